"""The feed: snapshots and deltas of any moment join to one truth, signed by a key that signs nothing else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec
import pytest

from tests.server.flows.house import BY, NOW, URL, House
from watchword.errors import Gap, InvalidFeed
from watchword.jose.b64 import b64url, unb64url
from watchword.jose.jwk import PublicKey, key_set
from watchword.log import Delta, Entry, Heartbeat, Kind, Message, Snapshot, genesis, unseal
from watchword.revocations import RevocationSet
from watchword_server.changes import Revoke
from watchword_server.flows import keys, revoking
from watchword_server.flows.feed import HEARTBEAT, LONGEST_DELTA, Event
from watchword_server.flows.purge import purge

NONCE = "a-nonce-of-22-letters."


async def feed_keys(house: House) -> dict[str, PublicKey]:
    """Those that are published for the feed."""
    ring = await house.issuer.keyring.at(await house.issuer.stores.log.head(), NOW)
    assert not set(key_set(msgspec.json.decode(ring.jwks))) & set(key_set(msgspec.json.decode(ring.feed_jwks)))
    return dict(key_set(msgspec.json.decode(ring.feed_jwks)))


async def read(house: House, event: Event) -> Message:
    """A message that was verified, with what its envelope says."""
    message = unseal(event.text.encode(), await feed_keys(house), URL)
    assert event.kind == type(message).__name__.lower()
    assert event.seq == message.seq
    return message


async def revoked(house: House, count: int = 1) -> list[Entry]:
    """So many new entries."""
    found: list[Entry] = []
    for _ in range(count):
        found += await house.issuer.stores.journal.save(Revoke("token", f"jti-{random.random()}", NOW + 10_000_000))
    return found


@asynccontextmanager
async def running(house: House) -> AsyncIterator[None]:
    """The feed at work, as in a server."""
    task = asyncio.create_task(house.issuer.feed.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def log_id(house: House) -> str:
    """Which log it is."""
    return (await house.issuer.stores.log.head()).log


# Snapshots and deltas.


async def test_an_empty_log_has_a_snapshot(house: House) -> None:
    """Its head is the genesis of its id."""
    message = await read(house, await house.issuer.feed.snapshot(NONCE))
    assert isinstance(message, Snapshot)
    assert (message.seq, message.entries, message.nonce) == (0, (), NONCE)
    assert message.head == b64url(genesis(message.log))
    assert message.log == await log_id(house)


async def test_a_delta_has_what_followed_and_echoes_the_nonce(house: House) -> None:
    """From every position to the end; none at the end."""
    entries, log, feed = await revoked(house, 5), await log_id(house), house.issuer.feed
    for after in range(6):
        message = await read(house, await feed.since(log, after, NONCE))
        assert isinstance(message, Delta)
        assert (message.after, message.seq, message.nonce) == (after, 5, NONCE)
        assert message.entries == tuple(entries[after:])


async def test_an_answer_with_a_nonce_is_nobody_elses(house: House) -> None:
    """A message that is shared between readers has none; one that was asked for with one is made for it."""
    log, feed = await log_id(house), house.issuer.feed
    await revoked(house)
    shared = [await feed.since(log, 0) for _ in range(2)]
    assert shared[0] is shared[1]
    mine, yours = await feed.since(log, 0, NONCE), await feed.since(log, 0, NONCE[::-1])
    said = [await read(house, event) for event in (*shared, mine, yours)]
    assert [message.nonce for message in said] == ["", "", NONCE, NONCE[::-1]]
    assert said[2].time >= said[0].time


@pytest.mark.parametrize("case", ["another log", "the future", "below zero", "forgotten"])
async def test_where_no_delta_can_be_told_there_is_a_snapshot(house: House, case: str) -> None:
    """And it holds everything that is alive."""
    log, feed = await log_id(house), house.issuer.feed
    await house.issuer.stores.journal.save(Revoke("token", "short-lived", NOW + 1))
    entries = await revoked(house, 3)
    seq = {"another log": 2, "the future": 99, "below zero": -1, "forgotten": 0}[case]
    if case == "forgotten":
        assert await purge(house.issuer, NOW + 2) == 1
    message = await read(house, await feed.since("another" if case == "another log" else log, seq, NONCE))
    assert isinstance(message, Snapshot)
    assert (message.seq, message.nonce) == (4, NONCE)
    assert set(entries) <= set(message.entries)


async def test_a_position_behind_what_was_forgotten_still_gets_its_delta(house: House) -> None:
    """Only who needs the missing entry needs a snapshot."""
    log, feed = await log_id(house), house.issuer.feed
    await house.issuer.stores.journal.save(Revoke("token", "short-lived", NOW + 1))
    entries = await revoked(house, 3)
    await purge(house.issuer, NOW + 2)
    message = await read(house, await feed.since(log, 2))
    assert isinstance(message, Delta)
    assert message.entries == tuple(entries[1:])


async def test_who_is_too_far_behind_gets_a_snapshot(house: House) -> None:
    """More entries than one delta may have."""
    changes = [Revoke("token", f"jti-{n}", NOW + 10_000_000) for n in range(LONGEST_DELTA + 1)]
    await house.issuer.stores.journal.save(*changes)
    log, feed = await log_id(house), house.issuer.feed
    far, near = await read(house, await feed.since(log, 0)), await read(house, await feed.since(log, 1))
    assert (type(far), type(near)) == (Snapshot, Delta)
    assert isinstance(near, Delta)
    assert isinstance(far, Snapshot)
    assert (len(far.entries), len(near.entries)) == (LONGEST_DELTA + 1, LONGEST_DELTA)


async def test_a_key_of_the_feed_can_be_replaced(house: House) -> None:
    """The next message is signed by the one that was published; the old one goes on for those who are behind."""
    before, published = await house.issuer.feed.snapshot(), await feed_keys(house)
    await keys.rotate(house.issuer, BY, "feed", NOW)
    after = await house.issuer.feed.snapshot()
    known = await feed_keys(house)
    assert len(known) == 3
    kids = [msgspec.json.decode(_header(event))["kid"] for event in (before, after)]
    assert len(set(kids)) == 2
    assert set(kids) == set(published), "the new one was known before it signed"
    for event in (before, after):
        await read(house, event)
    await keys.revoke_key(house.issuer, BY, kids[1], NOW)
    with pytest.raises(InvalidFeed):
        await read(house, after)
    await read(house, await house.issuer.feed.snapshot())


def _header(event: Event) -> bytes:
    return unb64url(event.text.partition(".")[0])


# Streams.


async def test_a_stream_begins_where_its_reader_stands(house: House) -> None:
    """A snapshot for who knows nothing, a delta for who knows a part, an empty one for who knows all."""
    entries, log, feed = await revoked(house, 3), await log_id(house), house.issuer.feed
    for where, kind, got in (
        ((None, None), Snapshot, 3),
        ((log, None), Snapshot, 3),
        ((None, 2), Snapshot, 3),
        (("another", 2), Snapshot, 3),
        ((log, 0), Delta, 3),
        ((log, 2), Delta, 1),
        ((log, 3), Delta, 0),
    ):
        stream = feed.stream(*where)
        message = await read(house, await anext(stream))
        assert isinstance(message, kind)
        assert message.entries == tuple(entries[3 - got :])


async def test_what_is_committed_arrives_and_then_heartbeats(house: House) -> None:
    """By this process or another; each delta joins to the one before, each heartbeat agrees with it."""
    log = await log_id(house)
    async with house.another_process() as other, running(house):
        stream = house.issuer.feed.stream(log, 0)
        known = RevocationSet()
        known.apply(await read(house, await house.issuer.feed.snapshot()))
        first = await read(house, await anext(stream))
        known.apply(first)
        for number in range(1, 11):
            await revoked(other if number % 2 else house)
            async with asyncio.timeout(5):
                while known.seq < number:
                    known.apply(await read(house, await anext(stream)))
        async with asyncio.timeout(HEARTBEAT * 3):
            while not isinstance(message := await read(house, await anext(stream)), Heartbeat):
                known.apply(message)
        known.apply(message)
        assert (message.seq, len(known)) == (10, 10)


async def test_a_slow_reader_gets_one_delta_for_all_that_it_missed(house: House) -> None:
    """No queue is kept for anybody."""
    log = await log_id(house)
    async with running(house):
        slow = house.issuer.feed.stream(log, 0)
        await anext(slow)
        entries = await revoked(house, 50)
        await house.issuer.feed.catch_up()
        async with asyncio.timeout(5):
            while isinstance(message := await read(house, await anext(slow)), Heartbeat):
                pass
        assert isinstance(message, Delta)
        assert message.entries == tuple(entries)


async def test_a_closed_feed_ends_its_streams(house: House) -> None:
    """Those that wait and those that begin."""
    async with running(house):
        waiting = house.issuer.feed.stream(None, None)
        await anext(waiting)
        rest = asyncio.create_task(_all(waiting))
        await asyncio.sleep(0)
        await house.issuer.feed.close()
        async with asyncio.timeout(5):
            assert all(event.kind == "heartbeat" for event in await rest)
            assert len(await _all(house.issuer.feed.stream(None, None))) == 1


async def _all(stream: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in stream]


async def test_however_it_was_followed_the_same_is_dead(house: House) -> None:
    """300 random acts; readers who take snapshots, deltas of any length, and duplicates all come to one set."""
    rng = random.Random(7)
    feed, log = house.issuer.feed, await log_id(house)
    start = await read(house, await feed.snapshot())
    readers = [RevocationSet() for _ in range(8)]
    for reader in readers:
        reader.apply(start)
    names = [f"name-{n}" for n in range(20)]
    kinds: tuple[Kind, ...] = ("token", "grant", "session", "subject", "client", "key")
    for _ in range(300):
        kind, name = rng.choice(kinds), rng.choice(names)
        await house.issuer.stores.journal.save(Revoke(kind, name, NOW + 10_000_000 + rng.randrange(100)))
        reader = rng.choice(readers)
        message = await read(house, await (feed.snapshot() if rng.random() < 0.1 else feed.since(log, reader.seq)))
        reader.apply(message)
        reader.apply(message)
        if rng.random() < 0.2:
            with suppress(Gap):
                rng.choice(readers).apply(message)
    for reader in readers:
        reader.apply(await read(house, await feed.since(log, reader.seq)))
    assert {reader.seq for reader in readers} == {300}
    assert len({reader.head for reader in readers}) == 1

    def dead(reader: RevocationSet) -> list[object]:
        found: list[object] = []
        for name in names:
            for rev in (0, 150, 299):
                found += [
                    reader.kills(name, "", rev, "", ""),
                    reader.kills("", name, rev, "", ""),
                    reader.kills("", "", rev, name, ""),
                    reader.kills("", "", rev, "", name),
                    reader.kills("", "", rev, "", "", sid=name),
                    reader.kills("", "", rev, "", "", gid=name),
                ]
        return found

    whole = RevocationSet()
    whole.apply(await read(house, await feed.snapshot()))
    truth = dead(whole)
    assert len(set(map(str, truth))) == 7
    assert all(dead(reader) == truth for reader in readers)


async def test_the_issuer_itself_knows_what_another_process_committed(house: House) -> None:
    """Without being told: it reads the log to its end before it answers."""
    token = (await house.sign_in()).tokens.access_token
    assert await house.killed(token) is None
    async with house.another_process() as other:
        await revoking.user(other.issuer, BY, "alice@example.com", NOW)
    assert await house.killed(token) == "subject"
