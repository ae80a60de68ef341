"""What is asked for by name: what has to be allowed for it, and the class of a sign-in."""

from __future__ import annotations

import pytest

from watchword_server.protocol.claims import (
    ACRS,
    NOTHING,
    SCOPES,
    ClaimsRequest,
    Wanted,
    acr_for,
    covered,
    scopes_asked,
)
from watchword_server.protocol.errors import UnmetRequirements

GOLD = "urn:mace:incommon:iap:gold"


def acr(**how: object) -> ClaimsRequest:
    """A `claims` parameter that asks for an `acr` in the ID token."""
    return ClaimsRequest(id_token={"acr": Wanted(**how)})  # type: ignore[arg-type]  # each is given as it is declared


@pytest.mark.parametrize(("acr_values", "asked", "told"), [
    ((), NOTHING, None),
    (("1",), NOTHING, "1"),
    ((GOLD, "1"), NOTHING, "1"),
    ((GOLD,), NOTHING, "1"),
    ((), acr(), "1"),
    ((), acr(essential=True), "1"),
    ((), acr(values=(GOLD,)), "1"),
    ((), acr(essential=True, values=(GOLD, "1")), "1"),
    ((), ClaimsRequest(userinfo={"acr": Wanted(essential=True)}), None),
])  # fmt: skip
def test_a_class_is_told_where_it_was_asked_for(
    acr_values: tuple[str, ...], asked: ClaimsRequest, told: str | None
) -> None:
    """A wish for another is no demand (OpenID Connect Core §5.5.1.1): the answer says what there is."""
    assert acr_for(("pwd",), acr_values, asked) == told
    assert told is None or told in ACRS


@pytest.mark.parametrize(("amr", "asked"), [
    (("pwd",), acr(essential=True, values=(GOLD,))),
    (("pwd",), acr(essential=True, values=(1,))),
    ((), acr(essential=True)),
    ((), acr(essential=True, values=("1",))),
])  # fmt: skip
def test_a_class_that_is_essential_and_was_not_reached_is_a_refusal(amr: tuple[str, ...], asked: ClaimsRequest) -> None:
    """§5.5.1.1: as a failed sign-in."""
    with pytest.raises(UnmetRequirements):
        acr_for(amr, ("1",), asked)


ASKED = ClaimsRequest(
    id_token={"email": Wanted(essential=True), "sub": Wanted(), "acr": Wanted(values=("1",))},
    userinfo={"given_name": Wanted(), "locale": Wanted(), "phone_number_verified": Wanted(), "shoe_size": Wanted()},
)


@pytest.mark.parametrize(("asked", "scopes"), [
    (NOTHING, set()),
    (ASKED, {"email", "profile", "phone"}),
    (ClaimsRequest(id_token={"sub": Wanted(), "auth_time": Wanted(essential=True)}), set()),
    (ClaimsRequest(userinfo={"address": Wanted()}), {"address"}),
])  # fmt: skip
def test_who_asks_by_name_asks_for_what_a_scope_tells(asked: ClaimsRequest, scopes: set[str]) -> None:
    """So the person can be asked in the same words; what is told of the sign-in itself needs no further consent."""
    assert scopes_asked(asked) == scopes


@pytest.mark.parametrize(("allowed", "id_token", "userinfo"), [
    (("openid",), {"sub", "acr"}, {"shoe_size"}),
    (("openid", "email"), {"sub", "acr", "email"}, {"shoe_size"}),
    (("openid", "profile", "orders:read"), {"sub", "acr"}, {"given_name", "locale", "shoe_size"}),
    (tuple(SCOPES), {"sub", "acr", "email"}, {"given_name", "locale", "phone_number_verified", "shoe_size"}),
])  # fmt: skip
def test_nothing_is_told_by_name_that_was_not_allowed(
    allowed: tuple[str, ...], id_token: set[str], userinfo: set[str]
) -> None:
    """Naming a claim is no way around the person; how it was wanted stays as it was."""
    found = covered(ASKED, allowed)
    assert (set(found.id_token), set(found.userinfo)) == (id_token, userinfo)
    assert all(ASKED.id_token[name] == how for name, how in found.id_token.items())
