"""The revocation feed: follows the log, signs what is new once for everybody, and answers for the issuer itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from watchword import log as wire
from watchword import revocations
from watchword.jose.b64 import unb64url
from watchword.log import Kind
from watchword.policy import Principal
from watchword_server.flows.keyring import KeyRing
from watchword_server.ports import Head, Log, Unavailable
from watchword_server.revocation import cuts

HEARTBEAT: Final = 2
"""Seconds between two heartbeats."""
POLL: Final = 0.25
"""Seconds between two looks at the log: the net below the nudges of other processes."""
LONGEST_DELTA: Final = 10_000
"""Entries. Who is further behind takes a snapshot."""


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event: `kind` is snapshot, delta or heartbeat; `seq` is its id."""

    kind: str
    seq: int
    text: str


class Feed:
    """One node's view of the log. Knows what the database knows as of its last look."""

    def __init__(self, issuer: str, log: Log, keyring: KeyRing, clock: Callable[[], float]) -> None:
        self._issuer = issuer
        self._log = log
        self._keyring = keyring
        self._clock = clock
        self._dead = revocations.RevocationSet()
        self._looking = asyncio.Lock()
        self._news = asyncio.Event()
        self._beat: Event | None = None
        self._deltas: dict[int, Event] = {}
        self._nudged = asyncio.Event()
        self._closed = False

    async def kills(self, principal: Principal) -> Kind | None:
        """What kills this token, with every entry that is committed by now."""
        await self.catch_up()
        return self._dead.kills(
            jti=principal.token_id,
            kid=principal.key_id,
            rev=principal.rev,
            sub=principal.subject,
            client_id=principal.client_id,
            sid=principal.sid,
            gid=principal.gid,
        )

    def nudge(self) -> None:
        """Something was committed, here or by another process: look now."""
        self._nudged.set()

    async def run(self) -> None:
        """Look at every nudge and every POLL; send a heartbeat every HEARTBEAT. Runs until cancelled."""
        last_beat = float("-inf")
        loop = asyncio.get_running_loop()
        while True:
            try:
                moved = await self.catch_up()
                if not moved and loop.time() - last_beat >= HEARTBEAT:
                    last_beat = loop.time()
                    self._beat = await self._heartbeat()
                    self._tell()
            except Unavailable:
                pass  # No heartbeat: verifiers grow stale, which is the truth.
            await self._wait(POLL)

    async def close(self) -> None:
        """End all streams; their readers go elsewhere."""
        self._closed = True
        self._tell()

    async def catch_up(self) -> bool:
        """Read the log to its end. Whether there was anything new."""
        async with self._looking:
            head, entries = await self._log.after(self._dead.seq, LONGEST_DELTA)
            if head.log == self._dead.log and head.rev == self._dead.seq:
                return False
            joins = entries and head.log == self._dead.log and entries[-1].seq == head.rev
            if joins:
                prev = unb64url(self._dead.head)
                delta = cuts.delta(self._issuer, head.log, self._dead.seq, prev, head.chain, entries, self._now(), "")
                self._dead.apply(delta)
                self._deltas = {delta.after: await self._signed(head, delta)}
            else:
                self._dead.apply(await self._cut_snapshot(""))
                self._deltas = {}
        self._dead.forget(int(self._clock()))
        self._tell()
        return True

    async def snapshot(self, nonce: str = "") -> Event:
        """All that is dead, signed now."""
        message = await self._cut_snapshot(nonce)
        return await self._signed(await self._log.head(), message)

    async def since(self, log: str, seq: int, nonce: str = "") -> Event:
        """What followed `seq` in this log; a snapshot where that cannot be told."""
        await self.catch_up()
        if not nonce and log == self._dead.log and seq in self._deltas:
            return self._deltas[seq]
        head, entries = await self._log.after(seq, LONGEST_DELTA)
        prev = await self._log.chain_at(seq)
        reached = entries[-1].seq if entries else seq
        if log != head.log or prev is None or reached != head.rev:
            return await self.snapshot(nonce)
        delta = cuts.delta(self._issuer, log, seq, prev, head.chain, entries, self._now(), nonce)
        event = await self._signed(head, delta)
        if not nonce and entries and reached == self._dead.seq:
            self._deltas[seq] = event
        return event

    async def stream(self, log: str | None, seq: int | None) -> AsyncIterator[Event]:
        """What followed `seq`, then everything new as it comes, and heartbeats. Ends when the feed is closed.

        A slow reader holds no queue: when it is ready again, it gets one delta from where it stands.
        """
        first = await self.snapshot() if log is None or seq is None else await self.since(log, seq)
        yield first
        at = first.seq
        seen: Event | None = None
        while not self._closed:
            news = self._news
            if self._dead.seq > at:
                event = await self.since(self._dead.log, at)
                at = event.seq
                yield event
            elif self._beat is not None and self._beat is not seen:
                seen = self._beat
                if seen.seq >= at:
                    yield seen
            else:
                await news.wait()

    async def _cut_snapshot(self, nonce: str) -> wire.Snapshot:
        head, entries = await self._log.alive(int(self._clock()))
        return cuts.snapshot(self._issuer, head.log, head.rev, head.chain, entries, self._now(), nonce)

    async def _heartbeat(self) -> Event:
        head = await self._log.head()
        dead = self._dead
        beat = cuts.heartbeat(self._issuer, dead.log, dead.seq, unb64url(dead.head), self._now())
        return await self._signed(head, beat)

    async def _signed(self, head: Head, message: wire.Message) -> Event:
        ring = await self._keyring.at(head, int(self._clock()))
        kind = type(message)
        return Event(kind.__name__.lower(), message.seq, wire.seal(message, ring.sign_feed[kind]))

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _now(self) -> int:
        return int(self._clock() * 1000)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._nudged.wait()
        except TimeoutError:
            return
        self._nudged.clear()
