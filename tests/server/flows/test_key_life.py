"""The rules of a key's life."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.server.flows.keys_seen import AHEAD, EVERY, KEY
from watchword_server.flows.key_life import ACCESS, able, is_due, kin, next_turn, state


@pytest.mark.parametrize(
    ("times", "before", "then"),
    [
        ({}, "next", "next"),
        ({"active_at": 200}, "next", "signing"),
        ({"active_at": 100}, "signing", "signing"),
        ({"active_at": 100, "retired_at": 200}, "signing", "retired"),
        ({"active_at": 100, "retired_at": 150}, "retired", "retired"),
    ],
)
def test_a_key_signs_from_its_first_second_to_the_one_before_its_end(times, before, then):
    """What others agree on must hold to the second."""
    key = replace(KEY, **times)
    assert (state(key, 199), state(key, 200)) == (before, then)


def test_the_ring_turns_at_every_time_that_was_arranged():
    """The soonest of those that lie ahead."""
    arranged = [
        replace(KEY, active_at=100, retired_at=300),
        replace(KEY, kid="l", active_at=300),
        replace(KEY, kid="m", alg="RS256", active_at=250),
        replace(KEY, kid="n"),
    ]
    assert [next_turn(arranged, now) for now in (99, 100, 250, 300)] == [100, 250, 300, None]


@pytest.mark.parametrize(
    ("now", "waiting_since", "due"),
    [
        (100 + EVERY - 1, 100, False),
        (100 + EVERY, 100, True),
        (100 + EVERY, 101 + EVERY - AHEAD, False),
        (100 + EVERY, 100 + EVERY - AHEAD, True),
    ],
)
def test_a_rotation_is_due_when_both_times_have_passed(now, waiting_since, due):
    """The one for which a key signs, and the one for which the next is published."""
    family = kin([replace(KEY, active_at=100), replace(KEY, kid="l", created_at=waiting_since)], ACCESS, "ES256")
    assert is_due(family, now, EVERY, AHEAD) is due


@pytest.mark.parametrize(
    "family",
    [
        [replace(KEY, active_at=100)],
        [replace(KEY, active_at=100, retired_at=2**40), replace(KEY, kid="l", active_at=2**40), replace(KEY, kid="m")],
        [replace(KEY)],
    ],
    ids=["no key waits", "one was called", "none signs"],
)
def test_nothing_is_due_without_a_key_that_signs_and_another_that_waits(family):
    """However old it is."""
    assert not is_due(kin(family, ACCESS, "ES256"), 2**39, EVERY, AHEAD)


def test_a_clock_that_lags_leaves_nobody_without_a_signature():
    """Where no key's time has come, the one that was called first signs; otherwise nobody signs before its time."""
    first, other = replace(KEY, active_at=200), replace(KEY, kid="l", alg="RS256", active_at=150)
    assert able([first], ACCESS, 199) == {"ES256": first}
    assert able([first, other], ACCESS, 199) == {"RS256": other}
    assert able([first, other], ACCESS, 200) == {"ES256": first, "RS256": other}
    assert able([replace(KEY)], ACCESS, 2**40) == {}
