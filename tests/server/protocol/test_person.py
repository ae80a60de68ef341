"""What is known of a person, and what of it a client gets to see."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from watchword_server.people.values import User
from watchword_server.protocol.claims import SCOPES, ClaimsRequest, Wanted
from watchword_server.protocol.id_token import RESERVED
from watchword_server.protocol.person import STANDARD, by_name, by_scopes, facts, is_another

ALICE = User("248289761001", "alice@example.com", "Alice Adams", None, (), 0)
LONDON = {"locality": "London", "country": "GB"}
KNOWN = facts(replace(ALICE, profile={"given_name": "Alice", "email_verified": True, "address": LONDON}))


def test_of_a_new_person_the_name_and_the_address_are_known() -> None:
    """Nothing is said of what is not known: no null, no empty string (OpenID Connect Core §5.3.2)."""
    assert facts(ALICE) == {"name": "Alice Adams", "email": "alice@example.com"}
    assert facts(replace(ALICE, name="")) == {"email": "alice@example.com"}


@pytest.mark.parametrize(("profile", "known"), [
    ({"given_name": "Alice"}, True),
    ({"given_name": ""}, False),
    ({"given_name": None}, False),
    ({"given_name": 7}, False),
    ({"shoe_size": "38"}, False),
    ({"sub": "somebody else"}, False),
    ({"password_hash": "$argon2id$"}, False),
    ({"email_verified": False}, True),
    ({"email_verified": "true"}, False),
    ({"email_verified": 1}, False),
    ({"phone_number_verified": True}, False),
    ({"updated_at": 1311280970}, True),
    ({"updated_at": True}, False),
    ({"updated_at": "2011-07-21"}, False),
    ({"address": LONDON}, True),
    ({"address": {}}, False),
    ({"address": "London"}, False),
    ({"address": {"locality": 7}}, False),
    ({"address": {"door": "blue"}}, False),
])  # fmt: skip
def test_only_standard_claims_of_the_right_type_are_told(profile: Mapping[str, object], known: bool) -> None:
    """§5.1: whoever filled the profile, no client is told what it cannot read, or what is nobody's business."""
    (name,) = profile
    assert (name in facts(replace(ALICE, profile=profile))) is known


def test_a_number_is_verified_or_not_only_where_there_is_one() -> None:
    """A flag says something about the claim beside it."""
    profile = {"phone_number": "+44 20 7946 0018", "phone_number_verified": False}
    assert facts(replace(ALICE, profile=profile)).items() >= profile.items()


def test_a_profile_does_not_replace_what_the_person_signs_in_with() -> None:
    """The address was checked when it was registered; whatever else stands in the profile."""
    profile = {"email": "ceo@example.com", "name": "The Chief"}
    assert facts(replace(ALICE, profile=profile)) == facts(ALICE)


@pytest.mark.parametrize(("scopes", "names"), [
    (("openid",), set()),
    (("openid", "email"), {"email", "email_verified"}),
    (("openid", "profile"), {"name", "given_name"}),
    (("openid", "address", "phone"), {"address"}),
    (("openid", "orders:read"), set()),
    ((), set()),
])  # fmt: skip
def test_a_scope_tells_its_claims_and_no_other(scopes: tuple[str, ...], names: set[str]) -> None:
    """§5.4."""
    assert by_scopes(KNOWN, scopes).keys() == names


@pytest.mark.parametrize(("name", "wanted", "told"), [
    ("email", Wanted(), True),
    ("email", Wanted(essential=True), True),
    ("email", Wanted(values=("alice@example.com",)), True),
    ("email", Wanted(values=("bob@example.com", "alice@example.com")), True),
    ("email", Wanted(essential=True, values=("bob@example.com",)), False),
    ("email_verified", Wanted(values=(True,)), True),
    ("email_verified", Wanted(values=(1,)), False),
    ("email_verified", Wanted(values=("true",)), False),
    ("phone_number", Wanted(essential=True), False),
    ("sub", Wanted(), False),
    ("amr", Wanted(), False),
])  # fmt: skip
def test_a_claim_that_is_asked_for_by_name_is_told_where_it_is_as_wanted(name: str, wanted: Wanted, told: bool) -> None:
    """§5.5.1: one that is unknown, or of another value, is left out, essential or not."""
    assert (name in by_name(KNOWN, {name: wanted})) is told


@pytest.mark.parametrize(("asked", "another"), [
    (ClaimsRequest(), False),
    (ClaimsRequest(id_token={"sub": Wanted()}), False),
    (ClaimsRequest(id_token={"sub": Wanted(essential=True)}), False),
    (ClaimsRequest(id_token={"sub": Wanted(values=("248289761001",))}), False),
    (ClaimsRequest(id_token={"sub": Wanted(values=("77", "248289761001"))}), False),
    (ClaimsRequest(id_token={"sub": Wanted(values=("77",))}), True),
    (ClaimsRequest(id_token={"sub": Wanted(values=(248289761001,))}), True),
    (ClaimsRequest(userinfo={"sub": Wanted(values=("77",))}), True),
    (ClaimsRequest(userinfo={"sub": Wanted(values=("248289761001",))}), False),
])  # fmt: skip
def test_a_request_for_a_certain_person_is_for_no_other(asked: ClaimsRequest, another: bool) -> None:
    """§5.5.1: then no ID token and no userinfo may come of it."""
    assert is_another(asked, ALICE.sub) is another


def test_no_standard_claim_is_one_that_the_issuer_makes_itself() -> None:
    """So nothing of a person's profile stands in place of what the issuer vouches for."""
    assert not STANDARD & RESERVED
    assert {name for names in SCOPES.values() for name in names} == STANDARD
