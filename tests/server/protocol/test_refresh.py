"""The refresh grant: rotation, one retry, and reuse that kills the family."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec.structs import replace

from watchword_server.people.values import Session, User
from watchword_server.protocol.errors import InvalidGrant, RefreshReused, UnauthorizedClient
from watchword_server.protocol.grants.refresh_token import RETRY, Found, Step, redeem
from watchword_server.protocol.refresh_token import kept, sealed, spelled, unsealed
from watchword_server.protocol.values import Client, Grant, RefreshToken

NOW = 1_000_000
CLIENT = Client("c1", "App", "public", None, frozenset({"refresh_token"}), {}, 0)
TOKEN = RefreshToken(b"1" * 32, "g1", NOW - 10, NOW + 10)
SPENT = replace(TOKEN, spent_at=NOW - 5, successor_hash=b"2" * 32, sealed_successor=b"x")
SUCCESSOR = RefreshToken(b"2" * 32, "g1", NOW - 5, NOW + 10)
GRANT = Grant("g1", "c1", "u1", "https://orders.example", ("read",), 0, NOW + 10, sid="s1")
SESSION = Session("s1", "u1", "c1", ("pwd",), 0, NOW + 10, "", "")
USER = User("u1", "a@b.example", "A", None, (), 0)
GOOD = Found(TOKEN, None, GRANT, SESSION, USER)
RETRIED = replace(GOOD, token=SPENT, successor=SUCCESSOR)


@pytest.mark.parametrize(
    ("found", "client", "step"),
    [
        (GOOD, CLIENT, Step.ROTATE),
        (GOOD, replace(CLIENT, rotates=False), Step.ROTATE),
        (GOOD, replace(CLIENT, kind="confidential"), Step.ROTATE),
        (GOOD, replace(CLIENT, kind="confidential", rotates=False), Step.KEEP),
        (RETRIED, CLIENT, Step.REPEAT),
        (replace(RETRIED, token=replace(SPENT, spent_at=NOW - RETRY)), CLIENT, Step.REPEAT),
        (replace(GOOD, grant=replace(GRANT, sid=None), session=None), CLIENT, Step.ROTATE),
    ],
)
def test_a_good_refresh_token_rotates_repeats_or_stays(found, client, step):
    """Public clients always rotate; a retry in time gets the same successor (RFC 9700 §4.14.2)."""
    assert redeem(found, client, NOW) is step


@pytest.mark.parametrize(
    "found",
    [
        replace(RETRIED, successor=replace(SUCCESSOR, spent_at=NOW - 1)),
        replace(RETRIED, successor=None),
        replace(RETRIED, token=replace(SPENT, spent_at=NOW - RETRY - 1)),
    ],
)
def test_a_spent_token_that_comes_back_kills_the_family(found):
    """After the successor was used, or too late: somebody has a copy."""
    with pytest.raises(RefreshReused):
        redeem(found, CLIENT, NOW)


@pytest.mark.parametrize("jkt", [None, "mine", "theirs"])
def test_a_thief_who_binds_a_stolen_token_to_a_key_is_found_out_all_the_same(jkt):
    """Else the owner, who has not got that key, would be refused for it, and the thief could go on for ever."""
    bound = replace(RETRIED, grant=replace(GRANT, jkt="theirs"))
    for found in (
        replace(bound, successor=replace(SUCCESSOR, spent_at=NOW - 1)),
        replace(bound, token=replace(SPENT, spent_at=NOW - RETRY - 1)),
    ):
        with pytest.raises(RefreshReused):
            redeem(found, CLIENT, NOW, jkt)


@pytest.mark.parametrize("found", [GOOD, RETRIED])
def test_without_the_key_a_bound_token_is_refused_and_no_family_dies(found):
    """RFC 9449 §5: a retry in time needs it too, and whoever stole the token has not got it."""
    found = replace(found, grant=replace(GRANT, jkt="mine"))
    for jkt in (None, "theirs"):
        with pytest.raises(InvalidGrant) as refusal:
            redeem(found, CLIENT, NOW, jkt)
        assert not isinstance(refusal.value, RefreshReused)
    redeem(found, CLIENT, NOW, "mine")


@pytest.mark.parametrize(
    "found",
    [
        Found(None, None, None, None, None),
        replace(GOOD, grant=None),
        replace(GOOD, grant=replace(GRANT, client_id="c2")),
        replace(RETRIED, successor=None, grant=replace(GRANT, client_id="c2")),
        replace(GOOD, grant=replace(GRANT, ended_at=NOW - 1)),
        replace(GOOD, grant=replace(GRANT, expires_at=NOW)),
        replace(GOOD, token=replace(TOKEN, expires_at=NOW)),
        replace(GOOD, session=None),
        replace(GOOD, session=replace(SESSION, ended_at=NOW - 1)),
        replace(GOOD, session=replace(SESSION, expires_at=NOW)),
        replace(GOOD, user=None),
        replace(GOOD, user=replace(USER, disabled_at=NOW - 1)),
    ],
)
def test_what_is_unknown_dead_or_somebody_elses_is_refused(found):
    """invalid_grant, and another client's token is no sign of theft by this one."""
    with pytest.raises(InvalidGrant) as refusal:
        redeem(found, CLIENT, NOW)
    assert not isinstance(refusal.value, RefreshReused)


def test_a_client_without_the_grant_is_refused():
    """Only clients registered for refresh tokens may use them."""
    with pytest.raises(UnauthorizedClient):
        redeem(GOOD, replace(CLIENT, grant_types=frozenset()), NOW)


def test_only_who_shows_the_spent_token_reads_its_successor():
    """The successor is sealed under a key derived from the spent token; the store knows only hashes."""
    spent, successor = spelled(b"a" * 32), spelled(b"b" * 32)
    blob = sealed(successor, spent, b"n" * 12)
    assert unsealed(blob, spent) == successor
    assert successor.encode() not in blob
    with pytest.raises(InvalidGrant):
        unsealed(blob, spelled(b"c" * 32))
    assert kept(spent) != kept(spent[:-1])


def test_a_successor_is_sealed_under_a_key_by_hkdf():
    """One block of RFC 5869 with SHA-256 and no salt, as another implementation computes it."""
    spent, successor, nonce = spelled(b"a" * 32), spelled(b"b" * 32), b"n" * 12
    key = HKDF(SHA256(), 32, salt=None, info=b"watchword refresh successor").derive(spent.encode())
    assert AESGCM(key).decrypt(nonce, sealed(successor, spent, nonce)[12:], kept(spent)) == successor.encode()
