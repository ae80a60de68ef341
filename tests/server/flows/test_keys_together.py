"""Keys that many processes tend at once, and what goes wrong with them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace as changed

from tests.server.flows.house import BY, NOW, URL, House
from tests.server.flows.keys_seen import AHEAD, ALGS, BORN, EVERY, KEY, chosen, published, rows, signer, sound, stored
from watchword.jose.jwk import public_key
from watchword.jose.jws import Signer
from watchword_server.changes import Add, ResealKey, RetireKey, StoredKey
from watchword_server.flows import keys
from watchword_server.flows.administration import Refused, Taken, Unknown
from watchword_server.flows.issuer import Issuer
from watchword_server.flows.key_life import ACCESS, MOST_PUBLISHED, has_room
from watchword_server.flows.keyring import NoSigningKey
from watchword_server.main import load_settings, open_issuer
from watchword_server.ports import KeyStore, KeyStoreError

# Many processes.


@asynccontextmanager
async def processes(house: House, count: int) -> AsyncIterator[list[Issuer]]:
    """So many views of one database, each with caches and a writer of its own."""
    async with AsyncExitStack() as stack:
        others = [await stack.enter_async_context(house.another_process()) for _ in range(count)]
        yield [house.issuer, *(other.issuer for other in others)]


async def test_exactly_one_of_many_processes_rotates(house: House) -> None:
    """Whether they are of one opinion about the second or not; no key is made that nobody needs."""
    due = BORN + EVERY
    async with processes(house, 3) as issuers:
        for turn in range(4):
            now = due + turn * EVERY
            await asyncio.gather(*(keys.tend(issuer, now + n % 3) for n, issuer in enumerate(issuers * 2)))
            assert rows(house, "key.rotate") == 2 * (turn + 1)
            sound(await house.issuer.stores.keys.all())
            assert len({await signer(issuer, now + 3) for issuer in issuers}) == 1
    assert rows(house, "key.publish") == 0


async def test_of_two_operators_who_rotate_at_once_one_is_told(house: House) -> None:
    """And not two keys are called."""
    async with processes(house, 3) as issuers:
        done = await asyncio.gather(
            *(keys.rotate(issuer, BY, ACCESS, NOW - n) for n, issuer in enumerate(issuers)), return_exceptions=True
        )
    assert sorted(type(one).__name__ for one in done)[0] == "Rotation"
    assert {type(one) for one in done} <= {keys.Rotation, Taken, Refused}
    assert sum(isinstance(one, keys.Rotation) for one in done) == rows(house, "key.rotate")
    sound(await house.issuer.stores.keys.all())


async def test_an_emergency_succeeds_whatever_others_do_to_the_keys(house: House) -> None:
    """Revoked, rotated and tended at once in every mixture: it is revoked, and somebody signs."""
    chance, now = random.Random(7), NOW
    async with processes(house, 2) as issuers:
        for _ in range(25):
            now += chance.choice((1, AHEAD, EVERY))
            found = await stored(house)
            lost = chance.choice([key for key in found if key.retired_at is None]).kid
            acts = [keys.revoke_key(chance.choice(issuers), BY, lost, now)]
            acts += [keys.tend(chance.choice(issuers), now + chance.choice((-1, 0, 1))) for _ in range(2)]
            acts += [keys.rotate(chance.choice(issuers), BY, ACCESS, now + chance.choice((-1, 0, 1)))]
            chance.shuffle(acts)
            ended = await asyncio.gather(*acts, return_exceptions=True)
            assert not [error for error in ended if isinstance(error, Exception) and not isinstance(error, Refused)]
            assert not [error for error in ended if isinstance(error, Unknown)]
            sound(await house.issuer.stores.keys.all())
            assert lost not in await published(house.issuer, now)
            await signer(house.issuer, now)


async def test_a_new_deployment_that_many_open_at_once_gets_its_keys_once(tmp_path: Path) -> None:
    """Whoever is slower finds them made."""
    (tmp_path / "data").mkdir(mode=0o700)
    settings = load_settings(None, {"issuer": URL, "data": tmp_path / "data"})

    async def opened() -> list[StoredKey]:
        async with open_issuer(settings) as issuer:
            return list(await issuer.stores.keys.all())

    found = await asyncio.gather(*(opened() for _ in range(4)))
    assert {len(one) for one in found} == {4}
    sound(found[0])
    assert found.count(found[0]) == 4


# What goes wrong.


async def test_a_set_that_is_full_is_not_rotated_but_survives_an_emergency(house: House) -> None:
    """Others read 64 KiB of it; a lifetime that was longer once keeps more keys than the settings allow for."""
    public = (await stored(house))[0].public
    count = MOST_PUBLISHED // (len(public) + 1)
    many = [
        changed(KEY, kid=f"old-{n}", public=public, active_at=NOW - 9, retired_at=NOW - 1, created_at=NOW - 9)
        for n in range(count)
    ]
    await house.issuer.stores.journal.save(*map(Add, many))
    issuer = replace(house.issuer, terms=replace(house.issuer.terms, rotate_every=AHEAD))
    assert not has_room(await issuer.stores.keys.all(), ACCESS)
    await keys.tend(issuer, NOW)
    assert rows(house, "key.rotate") == 1, "the feed's"
    with pytest.raises(Refused, match="too many keys are published"):
        await keys.rotate(issuer, BY, ACCESS, NOW)
    lost = await signer(issuer, NOW)
    heir = await keys.revoke_key(issuer, BY, lost, NOW)
    assert heir
    assert await signer(issuer, NOW) == heir.kid
    ring = await issuer.keyring.at(await issuer.stores.log.head(), NOW)
    assert len(ring.jwks) < 64 * 1024
    await keys.tend(issuer, NOW + AHEAD)
    assert has_room(await issuer.stores.keys.all(), ACCESS)


async def test_a_family_that_lost_its_signer_gets_one(house: House) -> None:
    """However that came about: what waits is called at once, for nothing else could sign."""
    first, waiting = await stored(house)
    await house.issuer.stores.journal.save(RetireKey(first.kid, NOW, revoked=False))
    with pytest.raises(NoSigningKey):
        await signer(house.issuer, NOW)
    await keys.tend(house.issuer, NOW)
    assert await signer(house.issuer, NOW) == waiting.kid
    sound(await house.issuer.stores.keys.all())


async def test_a_next_key_that_cannot_be_opened_is_found_before_it_must_sign(house: House) -> None:
    """While there is time to mend it; tokens are still signed."""
    signing, waiting = await stored(house)
    await house.issuer.stores.journal.save(ResealKey(waiting.kid, waiting.sealed, signing.sealed))
    with pytest.raises(KeyStoreError, match=waiting.kid):
        await keys.tend(house.issuer, NOW)
    await signer(house.issuer, NOW)


class Counting:
    """The key store, and how often each key was opened on the event loop's own thread."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self.on_loop: list[str] = []
        self.make, self.reseal = store.make, store.reseal

    def open(self, key: StoredKey) -> Signer:
        """As it is."""
        try:
            asyncio.get_running_loop()
            self.on_loop.append(key.kid)
        except RuntimeError:
            pass
        return self._store.open(key)


async def test_a_turn_holds_nobody_up(house: House) -> None:
    """The key that comes next was opened beside the requests: for RSA that takes a tenth of a second."""
    await chosen(house, "RS256")
    house.issuer.keyring._store = counting = Counting(house.issuer.key_store)
    await signer(house.issuer, NOW)
    await keys.tend(house.issuer, NOW)
    counting.on_loop.clear()
    for turn in range(1, 4):
        now = NOW + turn * (EVERY + AHEAD)
        await keys.tend(house.issuer, now)
        await signer(house.issuer, now, "RS256")
        await keys.tend(house.issuer, now + 60)
    assert counting.on_loop == []


async def test_private_halves_leave_memory_with_their_keys(house: House) -> None:
    """A process that runs for months keeps only what it may still need."""
    for turn in range(5):
        now = NOW + turn * EVERY
        await keys.tend(house.issuer, now)
        await signer(house.issuer, now)
    kept = set(house.issuer.keyring._opened)
    assert kept <= {key.kid for key in await house.issuer.stores.keys.all()}


async def test_nothing_that_is_published_is_private(house: House) -> None:
    """Member by member, for every algorithm, in both sets."""
    for alg in ALGS:
        await chosen(house, alg)
    ring = await house.issuer.keyring.at(await house.issuer.stores.log.head(), NOW)
    members = [key for text in (ring.jwks, ring.feed_jwks) for key in msgspec.json.decode(text)["keys"]]
    assert len(members) == 10
    shapes = {"EC": {"crv", "x", "y"}, "RSA": {"n", "e"}, "OKP": {"crv", "x"}}
    for member in members:
        assert set(member) == {"kty", "kid", "alg", "use"} | shapes[member["kty"]]
        public_key(member)
