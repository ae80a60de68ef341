"""Emergencies: a stolen key's tokens die, the key that was published before signs; and what is destroyed of keys."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from msgspec.structs import replace as changed

from tests.server.flows.house import AUDIENCE, BY, NOW, URL, House
from tests.server.flows.keys_seen import AHEAD, ALGS, EVERY, chosen, published, signer, sound, stored
from tests.server.key_ages import LONG
from watchword.errors import InvalidToken
from watchword.jose import jws
from watchword.jose.kinds import Kind
from watchword.verifier import Verifier
from watchword_server.changes import DropKey, ResealKey, StoredKey
from watchword_server.flows import keys
from watchword_server.flows.administration import Unknown
from watchword_server.flows.key_life import ACCESS, state
from watchword_server.ports import Conflict, KeyStoreError
from watchword_server.protocol.access_token import AccessClaims, payload
from watchword_server.revocation.deaths import SLACK


@pytest.mark.parametrize("which", ["next", "signing", "called", "signing before a called one", "retired"])
async def test_a_stolen_key_is_succeeded_at_once(house: House, which: str) -> None:
    """By the one that follows anyway, from the same second on; and none is missed that did not sign."""
    done = await keys.rotate(house.issuer, BY, ACCESS, NOW)
    if "called" in which:
        done = await keys.rotate(house.issuer, BY, ACCESS, NOW)
    by_state = {key.kid: key for key in await stored(house)}
    waiting = next(key for key in by_state.values() if key.active_at is None)
    lost, heir, at = {
        "next": (waiting, None, NOW),
        "signing": (done.successor, waiting, NOW),
        "called": (done.successor, waiting, NOW + AHEAD),
        "signing before a called one": (done.predecessor, done.successor, NOW),
        "retired": (done.predecessor, None, NOW),
    }[which]
    assert state(by_state[lost.kid], NOW) == which.split()[0].replace("called", "next")
    before = await signer(house.issuer, NOW)
    found = await keys.revoke_key(house.issuer, BY, lost.kid, NOW)
    assert (found and found.kid) == (heir and heir.kid)
    left = await stored(house)
    sound(await house.issuer.stores.keys.all())
    assert lost.kid not in {key.kid for key in left} | await published(house.issuer, NOW)
    if heir is not None:
        assert [max(NOW, key.active_at) for key in left if key.kid == heir.kid] == [at]
    if lost.kid != before:
        assert await signer(house.issuer, NOW) == before
    if heir is not None:
        assert await signer(house.issuer, at) == heir.kid
    (entry,) = (await house.issuer.stores.log.after(0, 9))[1]
    assert (entry.kind, entry.id) == ("key", lost.kid)


async def test_an_emergency_leaves_no_gap_where_a_clock_lags(house: House) -> None:
    """The command ran on a machine whose clock is a minute ahead of the one that signs."""
    await chosen(house, "EdDSA", NOW - LONG)
    lost, waiting = await stored(house)
    await keys.revoke_key(house.issuer, BY, lost.kid, NOW + 60)
    assert await signer(house.issuer, NOW) == waiting.kid


async def test_one_emergency_after_the_other_always_leaves_a_signer(house: House) -> None:
    """Until nothing is left that was published before: then a new key signs, for there is no other."""
    gone = set()
    for _ in range(4):
        lost = await signer(house.issuer, NOW)
        heir = await keys.revoke_key(house.issuer, BY, lost, NOW)
        gone.add(lost)
        assert heir
        assert await signer(house.issuer, NOW) == heir.kid
        assert not gone & await published(house.issuer, NOW)
        sound(await house.issuer.stores.keys.all())
    assert len(gone) == 4
    with pytest.raises(Unknown):
        await keys.revoke_key(house.issuer, BY, gone.pop(), NOW)


class Locked:
    """A key store whose master key cannot be had."""

    def make(self, alg: str, use: str, now: int, beside: StoredKey | None) -> StoredKey:
        """Never."""
        raise KeyStoreError("the master key is locked away")


async def test_an_emergency_needs_no_master_key(house: House) -> None:
    """What was published signs; the one to wait after it is made by the next who can."""
    lost, waiting = await stored(house)
    locked = replace(house.issuer, key_store=Locked())  # type: ignore[arg-type]  # asked for nothing else
    heir = await keys.revoke_key(locked, BY, lost.kid, NOW)
    assert heir is not None
    assert await signer(house.issuer, NOW) == heir.kid == waiting.kid
    await keys.tend(house.issuer, NOW)
    sound(await house.issuer.stores.keys.all())


async def test_whatever_a_thief_writes_into_a_token_it_is_dead(house: House) -> None:
    """He has the key and knows the log: no `rev`, `jti`, time or subject saves his tokens."""
    issuer, (lost, _) = house.issuer, await stored(house)
    stolen = issuer.key_store.open(lost)
    tokens = await house.ask(house.known.machine, {"grant_type": "client_credentials"})
    await keys.revoke_key(issuer, BY, lost.kid, NOW)
    assert await house.killed(tokens.access_token) == "key"
    for rev in (0, 1, 2**62):
        claims = AccessClaims(URL, "root", AUDIENCE, NOW + 900, NOW, f"j{rev}", "c", rev, "a")
        forged = jws.signer(stolen, Kind.ACCESS_TOKEN)(payload(claims))
        assert await house.killed(forged) == "key"
        ring = await issuer.keyring.at(await issuer.stores.log.head(), NOW)
        with pytest.raises(InvalidToken):
            Verifier(issuer=URL, audience=AUDIENCE, jwks=msgspec.json.decode(ring.jwks)).verify_sync(forged)


# What is destroyed.


async def test_the_private_half_goes_with_its_key(house: House) -> None:
    """A revoked key's at once, a retired one's when it is dropped: not a byte of it is left in any file."""
    for alg in ALGS:
        await chosen(house, alg)
    for now in (NOW + AHEAD, NOW + AHEAD + EVERY):
        await keys.tend(house.issuer, now)
    now = NOW + AHEAD + EVERY
    found = await house.issuer.stores.keys.all()
    assert len(found) == 5 * 3
    for key in found:
        assert left(house, key.sealed)
    gone = [key for key in found if state(key, now) == "retired"]
    await keys.tend(house.issuer, now + house.issuer.terms.access_lifetime + SLACK + 1)
    for key in (key for key in found if state(key, now) == "signing"):
        await keys.revoke_key(house.issuer, BY, key.kid, now)
        gone.append(key)
        assert not left(house, key.sealed), key.alg
    assert len(gone) == 10
    for key in gone:
        assert not left(house, key.sealed), key.alg
    assert house.rows("SELECT DISTINCT sealed FROM keys WHERE revoked_at IS NOT NULL") == [(b"",)]


def left(house: House, secret: bytes) -> bool:
    """Whether any piece of it is in a file of the database."""
    content = [path.read_bytes() for path in house.data.glob("watchword.db*")]
    pieces = [secret[at : at + 24] for at in range(0, len(secret) - 24, 24)]
    return any(piece in file for piece in pieces for file in content)


async def test_only_a_retired_key_can_be_dropped(house: House) -> None:
    """Whoever asks for it."""
    for key in await stored(house):
        with pytest.raises(Conflict):
            await house.issuer.stores.journal.save(DropKey(key.kid))


async def test_keys_are_sealed_anew_only_where_that_changes_something(house: House) -> None:
    """Each as one change, which does not happen when somebody else was faster."""
    assert await keys.reseal(house.issuer, BY, NOW) == []
    (key, _) = await stored(house)
    await house.issuer.stores.journal.save(ResealKey(key.kid, key.sealed, b"\x01other"))
    with pytest.raises(Conflict):
        await house.issuer.stores.journal.save(ResealKey(key.kid, key.sealed, b"\x01third"))
    assert (await stored(house))[0] == changed(key, sealed=b"\x01other")
