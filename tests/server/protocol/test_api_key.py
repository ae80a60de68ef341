"""grant_type=urn:watchword:api-key as a rule: which keys are good, for what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from watchword_server.people.values import User
from watchword_server.protocol.errors import InvalidGrant, InvalidScope, InvalidTarget
from watchword_server.protocol.grants.api_key import (
    USED_EVERY,
    id_in,
    is_note_due,
    kept,
    may_have,
    redeem,
    spelled,
)
from watchword_server.protocol.uris import BadRegistration
from watchword_server.protocol.values import Api, ApiKey, Client, Grant

NOW = 1_800_000_000
AUDIENCE = "https://orders.example"
KEY = ApiKey("aB3dE6gH", b"hash", "grant-1", "Shop 7", NOW - 100, NOW + 100)
GRANT = Grant("grant-1", "client_1", "client_1", AUDIENCE, ("read", "write"), NOW - 100, NOW + 100)
PERSONAL = replace(GRANT, sub="ada")
ADA = User("ada", "ada@example.com", "Ada", "hash", ("staff",), NOW - 1000)
CLIENT = Client("client_1", "Shop", "public", None, frozenset(), {AUDIENCE: ("read", "write", "more")}, NOW - 1000)
API = Api(AUDIENCE, "Orders", ("read", "write", "more"), "api_1", b"hash", NOW - 1000)


@dataclass(frozen=True)
class Held:
    """What a key leads to."""

    key: ApiKey = KEY
    grant: Grant | None = GRANT
    user: User | None = None


def test_a_key_has_a_part_to_show_and_256_bits_to_keep() -> None:
    """And is found by its hash."""
    text = spelled("aB3dE6gH", bytes(32))
    assert text == "ww_aB3dE6gH_" + "A" * 43
    assert id_in(text) == "aB3dE6gH"
    assert len(kept(text)) == 32
    for wrong in ("", "aB3dE6gH", text[:-1], text + "A", text + "\n", "wwx" + text[2:]):
        assert id_in(wrong) is None
    assert kept("ww_é") != kept(text)


def test_a_key_is_good_for_what_it_was_made_for() -> None:
    """Or for less; for its client, or for a person with their roles."""
    assert redeem(Held(), CLIENT, None, {}, NOW) == (GRANT, ("read", "write"), ())
    assert redeem(Held(), CLIENT, API, {"scope": "read", "resource": AUDIENCE}, NOW).scope == ("read",)
    assert redeem(Held(grant=PERSONAL, user=ADA), CLIENT, None, {}, NOW).roles == ("staff",)


@pytest.mark.parametrize(
    ("held", "client", "asker", "why"),
    [
        (None, CLIENT, None, "unknown"),
        (Held(key=replace(KEY, expires_at=NOW)), CLIENT, None, "expired"),
        (Held(grant=None), CLIENT, None, "revoked"),
        (Held(grant=replace(GRANT, ended_at=NOW - 1)), CLIENT, None, "revoked"),
        (Held(grant=replace(GRANT, expires_at=NOW)), CLIENT, None, "revoked"),
        (Held(), None, None, "client"),
        (Held(), replace(CLIENT, disabled_at=NOW - 1), None, "client"),
        (Held(grant=PERSONAL), CLIENT, None, "user"),
        (Held(grant=PERSONAL, user=replace(ADA, disabled_at=NOW - 1)), CLIENT, None, "user"),
        (Held(), CLIENT, replace(API, audience="https://other.example"), "another API"),
    ],
)
def test_a_key_that_is_not_good_is_an_invalid_grant(
    held: Held | None, client: Client | None, asker: Api | None, why: str
) -> None:
    """Alike for every reason."""
    with pytest.raises(InvalidGrant, match=why):
        redeem(held, client, asker, {}, NOW)


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"scope": "more"}, InvalidScope),
        ({"scope": "read more"}, InvalidScope),
        ({"resource": "https://other.example"}, InvalidTarget),
    ],
)
def test_a_key_never_widens(form: dict[str, str], error: type[Exception]) -> None:
    """RFC 6749 §3.3, RFC 8707: not even to what its client may have."""
    with pytest.raises(error):
        redeem(Held(), CLIENT, None, form, NOW)


def test_what_the_client_lost_the_key_lost() -> None:
    """It lives long, and operators change their minds."""
    less = replace(CLIENT, access={AUDIENCE: ("write",)})
    assert redeem(Held(), less, None, {}, NOW).scope == ("write",)
    for access in ({AUDIENCE: ("more",)}, {}):
        with pytest.raises(InvalidScope):
            redeem(Held(), replace(CLIENT, access=access), None, {}, NOW)
    bare = Held(grant=replace(GRANT, scope=()))
    assert redeem(bare, replace(CLIENT, access={AUDIENCE: ()}), None, {}, NOW).scope == ()
    with pytest.raises(InvalidScope):
        redeem(bare, replace(CLIENT, access={}), None, {}, NOW)


@pytest.mark.parametrize(
    ("audience", "scope", "has"),
    [
        (AUDIENCE, (), ("read", "write", "more")),
        (AUDIENCE, ("write", "read", "write"), ("write", "read")),
        (AUDIENCE, ("delete",), None),
        ("https://other.example", (), None),
    ],
)
def test_a_new_key_has_no_more_than_its_client(audience: str, scope: Any, has: Any) -> None:
    """Nothing named means all."""
    if has is None:
        with pytest.raises(BadRegistration):
            may_have(CLIENT, audience, scope)
    else:
        assert may_have(CLIENT, audience, scope) == has


def test_a_use_is_noted_once_a_minute() -> None:
    """A key in use must not cost a write for every token."""
    assert is_note_due(KEY, NOW)
    assert not is_note_due(replace(KEY, last_used_at=NOW - USED_EVERY + 1), NOW)
    assert is_note_due(replace(KEY, last_used_at=NOW - USED_EVERY), NOW)
