"""The stream's fan-out: readers who stand at one place get one message, which is made without asking the database."""

from __future__ import annotations

import asyncio

import msgspec

from tests.server.flows.house import NOW, URL, House
from watchword.jose.jwk import key_set
from watchword.log import Delta, unseal
from watchword.revocations import empty
from watchword_server.changes import Revoke
from watchword_server.flows.feed import Event
from watchword_server.flows.purge import purge

READERS = 50


async def told(house: House, event: Event) -> Delta:
    """A delta that was verified."""
    ring = await house.issuer.keyring.at(await house.issuer.stores.log.head(), NOW)
    message = unseal(event.text.encode(), key_set(msgspec.json.decode(ring.feed_jwks)), URL)
    assert isinstance(message, Delta)
    return message


async def test_readers_who_are_late_by_some_commits_share_one_delta(house: House) -> None:
    """It holds all that they missed, even what the database has forgotten by now: each did not go and ask."""
    feed, log = house.issuer.feed, (await house.issuer.stores.log.head()).log
    streams = [feed.stream(log, 0) for _ in range(READERS)]
    known = empty(log)
    for first in await asyncio.gather(*map(anext, streams)):
        assert first.seq == 0
    for number in range(3):
        await house.issuer.stores.journal.save(Revoke("token", f"short-lived-{number}", NOW + 1))
        await feed.catch_up()
    await house.issuer.stores.journal.save(Revoke("token", "long-lived", NOW + 10_000))
    assert await purge(house.issuer, NOW + 2) == 3
    await feed.catch_up()
    first, *others = await asyncio.gather(*map(anext, streams))
    assert all(event is first for event in others)
    message = await told(house, first)
    assert (message.after, [entry.seq for entry in message.entries]) == (0, [1, 2, 3, 4])
    known.apply(message)
    assert known.head == (await told(house, await feed.since(log, 4))).head


async def test_who_is_later_than_what_is_kept_gets_it_from_the_database(house: House) -> None:
    """As everybody did who comes anew."""
    feed, log = house.issuer.feed, (await house.issuer.stores.log.head()).log
    late = feed.stream(log, 0)
    assert (await anext(late)).seq == 0
    for number in range(70):
        await house.issuer.stores.journal.save(Revoke("token", f"jti-{number}", NOW + 10_000))
        await feed.catch_up()
    message = await told(house, await anext(late))
    assert (message.after, message.seq, len(message.entries)) == (0, 70, 70)


async def test_a_long_delta_is_not_kept(house: House) -> None:
    """Memory stays bounded, and what is not kept in one piece is not joined."""
    feed, log = house.issuer.feed, (await house.issuer.stores.log.head()).log
    late = feed.stream(log, 0)
    assert (await anext(late)).seq == 0
    for count in (1, 1000, 1):
        await house.issuer.stores.journal.save(*(Revoke("token", f"{count}-{n}", NOW + 10_000) for n in range(count)))
        await feed.catch_up()
    message = await told(house, await anext(late))
    assert [entry.seq for entry in message.entries] == list(range(1, 1003))
