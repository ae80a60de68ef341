"""Addresses, passwords, roles, and how often one may guess."""

from __future__ import annotations

import pytest

from watchword_server.people.addresses import BadAddress, canonical
from watchword_server.people.passwords import WeakPassword, acceptable, normalized
from watchword_server.people.roles import MOST, BadRole, role_names
from watchword_server.people.throttle import LONGEST, MEMORY, Tally, failed, wait


@pytest.mark.parametrize("spelling", ["ann@example.com", " Ann@Example.COM ", "\uff21nn@example.com"])
def test_an_account_has_one_spelling(spelling):
    """Else an attacker had a budget of guesses for each spelling."""
    assert canonical(spelling) == "ann@example.com"


@pytest.mark.parametrize("text", ["", "@", "a@", "@b", "a", "a@b@c", "a b@c", "a@b\nc", "a@b\x00", "a@" + "b" * 254])
def test_what_is_no_address_is_refused(text):
    """Two @ have fooled rules about domains before."""
    with pytest.raises(BadAddress):
        canonical(text)


def test_a_password_is_one_in_every_composition():
    """The same word typed on two keyboards is one password (NFKC)."""
    assert normalized("cafe\u0301") == normalized("caf\u00e9")
    assert acceptable("cafe\u0301s are open", "a@b.example") == "caf\u00e9s are open"


@pytest.mark.parametrize("password", ["", "seven77", "p" * 257, "ann@example.com", "ANN@example.com"])
def test_a_weak_password_is_refused(password):
    """Too short, too long (never cut), or the address itself."""
    with pytest.raises(WeakPassword):
        acceptable(password, "ann@example.com")


def test_roles_are_sorted_names_without_repeats():
    """They travel in every token."""
    assert role_names(["b", "a", "b"]) == ("a", "b")


@pytest.mark.parametrize("roles", [["a b"], [""], ["\u00e9"], ["a" * 65], [f"r{n}" for n in range(MOST + 1)]])
def test_a_bad_role_is_refused(roles):
    """Spaces and quotes would break headers; too many would break tokens."""
    with pytest.raises(BadRole):
        role_names(roles)


def _after(failures: int) -> Tally:
    tally: Tally | None = None
    for second in range(failures):
        tally = failed(tally, float(second))
    assert tally is not None
    return tally


def test_the_pause_doubles_and_has_an_end():
    """A delay that grows, never a lock-out that anybody could do to anybody."""
    assert wait(None, 0, 5) == 0
    assert wait(_after(4), 4, 5) == 0
    pauses = [wait(Tally(count, 0.0), 0.0, 5) for count in (5, 6, 7, 8)]
    assert pauses == [1, 2, 4, 8]
    assert wait(Tally(500, 0.0), 0.0, 5) == LONGEST
    assert wait(Tally(6, 0.0), 1.5, 5) == 1
    assert wait(Tally(6, 0.0), 2.0, 5) == 0


def test_failures_are_forgotten_after_a_quiet_time():
    """A day-old typo costs nothing."""
    assert wait(Tally(500, 0.0), MEMORY, 5) == 0
    assert failed(Tally(500, 0.0), MEMORY).failures == 1
