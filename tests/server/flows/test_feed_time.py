"""What a message says of its time: never later than the moment up to which it knows the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec

from tests.server.flows.house import NOW, House
from watchword.jose.b64 import unb64url
from watchword_server.changes import Revoke
from watchword_server.flows.feed import HEARTBEAT, Event, Feed
from watchword_server.ports import Unavailable

HELD_UP = 50
"""Seconds for which the process is held up between reading and signing: it was stopped, or the machine slept."""
NONCE = "a-nonce-of-22-letters."
SLOW = ("after", "alive", "alive_after", "head")


class Clock:
    """Seconds since 1970, as the test says."""

    now = float(NOW)

    def __call__(self) -> float:
        return self.now


class HeldUp:
    """A log that is revoked in right after it was read, and then time passes until the reader goes on."""

    def __init__(self, house: House, clock: Clock) -> None:
        self._log, self._journal, self._clock = house.issuer.stores.log, house.issuer.stores.journal, clock
        self.holds = False
        self.fails = False
        self.commits: dict[int, float] = {}

    def __getattr__(self, name: str) -> object:
        found = getattr(self._log, name)

        async def slowly(*arguments: object) -> object:
            if self.fails:
                raise Unavailable("gone")
            answer = await found(*arguments)
            if self.holds:
                (entry,) = await self._journal.save(Revoke("token", "meanwhile", NOW + 10**6))
                self.commits[entry.seq] = self._clock.now
                self._clock.now += HELD_UP
            return answer

        return slowly if name in SLOW else found


def missing(event: Event, log: HeldUp) -> list[float]:
    """When those entries were committed, in milliseconds, that the message lacks."""
    said: dict[str, int] = msgspec.json.decode(unb64url(event.text.split(".")[1]))
    assert (said["time"], said["seq"]) == (event.time, event.seq)
    return [at * 1000 for seq, at in log.commits.items() if seq > event.seq]


@asynccontextmanager
async def running(feed: Feed) -> AsyncIterator[None]:
    """As in a server."""
    task = asyncio.create_task(feed.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_no_message_says_a_later_time_than_it_knows_of(house: House) -> None:
    """However long its process was held up: else verifiers would believe that nothing was revoked meanwhile."""
    clock = Clock()
    log = HeldUp(house, clock)
    feed = Feed(house.issuer.terms.issuer, log, house.issuer.keyring, clock)  # type: ignore[arg-type]  # a slow one
    await house.issuer.stores.journal.save(Revoke("token", "first", NOW + 10**6))
    await feed.catch_up()
    name, _ = feed.position
    log.holds = True
    for ask in (
        lambda: feed.snapshot(NONCE),
        lambda: feed.since(name, 1, NONCE),
        lambda: feed.since(name, 1),
        lambda: anext(feed.stream(name, 1)),
        lambda: anext(feed.stream(None, None)),
    ):
        event = await ask()
        lacks = missing(event, log)
        assert lacks, "nothing was revoked meanwhile, so this proves nothing"
        assert event.time <= min(lacks)


async def test_no_heartbeat_does_either(house: House) -> None:
    """It says that the log stands there at that time, so the time is that of the look."""
    clock = Clock()
    log = HeldUp(house, clock)
    feed = Feed(house.issuer.terms.issuer, log, house.issuer.keyring, clock)  # type: ignore[arg-type]  # as said
    await feed.catch_up()
    stream = feed.stream(None, None)
    await anext(stream)
    log.holds = True
    async with running(feed), asyncio.timeout(HEARTBEAT * 3):
        beat = await anext(stream)
    lacks = missing(beat, log)
    assert beat.kind == "heartbeat"
    assert lacks, "nothing was revoked meanwhile, so this proves nothing"
    assert beat.time <= min(lacks)


async def test_who_cannot_read_the_log_does_not_say_that_it_stands_still(house: House) -> None:
    """No heartbeat; verifiers grow stale, which is the truth. It goes on when the database answers again."""
    log = HeldUp(house, Clock())
    feed = Feed(house.issuer.terms.issuer, log, house.issuer.keyring, Clock())  # type: ignore[arg-type]  # as said
    async with running(feed):
        stream = feed.stream(None, None)
        await anext(stream)
        assert (await anext(stream)).kind == "heartbeat"
        log.fails = True
        coming = asyncio.create_task(anext(stream))
        done, _ = await asyncio.wait((coming,), timeout=HEARTBEAT + 0.5)
        assert not done
        assert feed.lag() > HEARTBEAT
        log.fails = False
        async with asyncio.timeout(HEARTBEAT * 2):
            assert (await coming).kind == "heartbeat"
        assert feed.lag() < 1
