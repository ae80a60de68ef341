"""The authentication context class that a sign-in is told to be of."""

from __future__ import annotations

import pytest

from watchword_server.protocol.claims import ACRS, NOTHING, ClaimsRequest, Wanted, acr_for
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
