"""What may be known of a person."""

from __future__ import annotations

import pytest

from watchword_server.people.profile import BadProfile, changed
from watchword_server.people.values import User
from watchword_server.protocol.claims import SCOPES
from watchword_server.protocol.person import facts

NOW = 1_800_000_000
GOOD = {
    "family_name": "Lovelace",
    "given_name": "Ada",
    "middle_name": "King",
    "nickname": "愛",
    "preferred_username": "ada",
    "profile": "https://ada.example/",
    "picture": "https://ada.example/me.jpg",
    "website": "http://ada.example",
    "gender": "female",
    "birthdate": "1815-12-10",
    "zoneinfo": "Europe/London",
    "locale": "en-GB",
    "email_verified": "true",
    "phone_number": "+44 20 7946 0000",
    "phone_number_verified": "false",
    "address.formatted": "12 St James's Square\nLondon",
    "address.country": "GB",
}


def test_every_standard_claim_can_be_set_and_is_told() -> None:
    """All that the standard scopes ask for, but for name and address of the account (OpenID Connect Core §5.4)."""
    profile = changed({}, GOOD, NOW)
    assert profile["updated_at"] == NOW
    assert (profile["email_verified"], profile["phone_number_verified"]) == (True, False)
    assert profile["address"] == {"formatted": GOOD["address.formatted"], "country": "GB"}
    user = User("u1", "ada@example.com", "Ada", None, (), 0, profile=profile)
    assert facts(user).keys() == {name for names in SCOPES.values() for name in names}


@pytest.mark.parametrize("birthdate", ["1990-02-28", "0000-02-29", "2000-02-29", "1990"])
def test_a_birthdate_may_keep_the_year_or_the_day_to_itself(birthdate: str) -> None:
    """OpenID Connect Core §5.1."""
    assert changed({}, {"birthdate": birthdate}, NOW)["birthdate"] == birthdate


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sub", "u2"),
        ("email", "eve@example.com"),
        ("updated_at", "1"),
        ("roles", "admin"),
        ("address", "x"),
        ("address.planet", "Mars"),
        ("Given_name", "Ada"),
        ("given_name", "A\nda"),
        ("given_name", "\x1b[31m"),
        ("given_name", "x" * 201),
        ("picture", "javascript:alert(1)"),
        ("picture", "data:image/png;base64,AAAA"),
        ("website", "ada.example"),
        ("website", "https://"),
        ("website", "https://[::1"),
        ("website", "https://ada.example/a b"),
        ("birthdate", "1990-02-30"),
        ("birthdate", "10.12.1815"),
        ("birthdate", "1815-12"),
        ("birthdate", "1815-12-10\n"),
        ("zoneinfo", "../../etc/passwd"),
        ("zoneinfo", "Europe/"),
        ("locale", "english please"),
        ("email_verified", "yes"),
        ("email_verified", "True"),
        ("phone_number", "0123"),
        ("phone_number", "+1 call me"),
        ("address.street_address", "x" * 501),
        ("address.country", "G\nB"),
    ],
)
def test_what_no_profile_can_have_is_refused(name: str, text: str) -> None:
    """By the name of the claim; nobody becomes somebody else by it."""
    with pytest.raises(BadProfile, match=name.partition(".")[0]):
        changed({}, {name: text}, NOW)


def test_an_empty_text_takes_a_claim_away() -> None:
    """Part by part, and the address goes with its last part."""
    before = changed({}, GOOD, NOW)
    after = changed(before, {"nickname": "", "address.formatted": "", "gender": ""}, NOW + 1)
    assert before.keys() - after.keys() == {"nickname", "gender"}
    assert (after["address"], after["updated_at"]) == ({"country": "GB"}, NOW + 1)
    assert "address" not in changed(after, {"address.country": ""}, NOW)
    assert changed(before, {}, NOW) == before


def test_another_phone_number_is_not_verified() -> None:
    """Unless that is said with it."""
    before = changed({}, {"phone_number": "+15550100", "phone_number_verified": "true"}, NOW)
    assert changed(before, {"phone_number": "+15550100"}, NOW)["phone_number_verified"] is True
    assert "phone_number_verified" not in changed(before, {"phone_number": "+15550101"}, NOW)
    both = changed(before, {"phone_number_verified": "true", "phone_number": "+15550101"}, NOW)
    assert both["phone_number_verified"] is True
