"""What a principal says of a sign-in, and what an API may demand of one (RFC 9470)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tests.sdk.minting import NOW, claims, opener, token
from watchword.errors import InsufficientAuthentication, Malformed, Misconfigured
from watchword.policy import Principal

STRONG, WEAK = "urn:example:strong", "urn:example:weak"


def principal(**changes: object) -> Principal:
    return opener().open(token(body=claims(**changes)), NOW).principal


def test_a_principal_says_how_and_when_the_person_signed_in() -> None:
    """And who acts for them, and from which grants that came."""
    act = {"sub": "agent-2", "act": {"sub": "agent-1"}}
    found = principal(acr=STRONG, auth_time=NOW - 60, lineage=["g-2", "g-1"], act=act)
    assert (found.acr, found.auth_time, found.lineage, found.actor) == (STRONG, NOW - 60, ("g-2", "g-1"), act)


def test_a_line_of_descent_may_be_long() -> None:
    """Of 64; 65 are refused below."""
    assert len(principal(lineage=["g"] * 64, via=["c"] * 64).lineage) == 64


def test_where_a_token_says_nothing_a_principal_says_so() -> None:
    """None is not a value that anything is compared with."""
    found = principal()
    assert (found.acr, found.auth_time, found.lineage, found.actor, found.confirmation) == (None, None, (), None, None)


@pytest.mark.parametrize("changes", [
    {"acr": 1}, {"acr": None}, {"acr": ""}, {"acr": ["a"]}, {"acr": "x" * 257}, {"auth_time": "1"}, {"auth_time": True},
    {"auth_time": -1}, {"auth_time": None}, {"lineage": "g-1"}, {"lineage": [1]}, {"lineage": [""]}, {"lineage": None},
    {"lineage": ["g"] * 65}, {"act": "agent"}, {"act": None}, {"act": []},
])  # fmt: skip
def test_claims_of_another_type_are_refused(changes: dict[str, object]) -> None:
    """Null too: it is not the same as nothing."""
    with pytest.raises(Malformed):
        principal(**changes)


def test_an_actor_twice_is_refused() -> None:
    """Hidden in what is nested as well."""
    twice = msgspec.json.encode(claims())[:-1] + b',"act":{"sub":"a","sub":"b"}}'
    with pytest.raises(Malformed):
        opener().open(token(body=twice), NOW)


@pytest.mark.parametrize(("changes", "acr", "minutes"), [
    ({"acr": STRONG}, (STRONG,), None),
    ({"acr": WEAK}, (STRONG, WEAK), None),
    ({"auth_time": NOW - 300}, (), 5),
    ({"acr": STRONG, "auth_time": NOW}, (STRONG,), 5),
    ({"auth_time": NOW}, (), 0),
])  # fmt: skip
def test_a_sign_in_that_is_good_enough_passes(
    changes: dict[str, object], acr: tuple[str, ...], minutes: int | None
) -> None:
    """One of the values, and not longer ago than allowed."""
    principal(**changes).require_authentication(
        now=NOW, acr=acr, max_age=None if minutes is None else timedelta(minutes=minutes)
    )


@pytest.mark.parametrize(("changes", "acr", "minutes"), [
    ({}, (STRONG,), None),
    ({"acr": WEAK}, (STRONG,), None),
    ({"acr": STRONG.upper()}, (STRONG,), None),
    ({"acr": f"{WEAK} {STRONG}"}, (STRONG,), None),
    ({}, (), 5),
    ({"auth_time": NOW - 301}, (), 5),
    ({"acr": STRONG, "auth_time": NOW - 301}, (STRONG,), 5),
    ({"acr": WEAK, "auth_time": NOW}, (STRONG,), 5),
    ({"auth_time": NOW - 1}, (), 0),
])  # fmt: skip
def test_a_sign_in_that_is_not_is_told_what_is_missing(
    changes: dict[str, object], acr: tuple[str, ...], minutes: int | None
) -> None:
    """A fresh sign-in of a weaker kind does not make up for it, nor a strong one of yesterday; none said is none."""
    with pytest.raises(InsufficientAuthentication) as caught:
        principal(**changes).require_authentication(
            now=NOW, acr=acr, max_age=None if minutes is None else timedelta(minutes=minutes)
        )
    seconds = None if minutes is None else minutes * 60
    assert repr((caught.value.acr_values, caught.value.max_age)) == repr((acr, seconds)), "in whole seconds"


@pytest.mark.parametrize("acr", [STRONG, ""])
def test_one_text_is_not_a_list_of_values(acr: Any) -> None:
    """Any part of it would do, the empty one first."""
    with pytest.raises(Misconfigured):
        principal(acr="urn").require_authentication(now=NOW, acr=acr)


def test_who_asks_for_nothing_has_made_a_mistake() -> None:
    """An endpoint that was to be guarded would be open."""
    with pytest.raises(Misconfigured):
        principal(acr=STRONG).require_authentication(now=NOW)
