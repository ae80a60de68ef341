"""The revocation feed: follows the log, signs what is new once for everybody, and answers for the issuer itself."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from watchword import log as wire
from watchword import revocations
from watchword.jose.b64 import unb64url
from watchword.log import Kind
from watchword.policy import Principal
from watchword_server.flows.keyring import KeyRing
from watchword_server.flows.pages import LONGEST_KEPT, Shelf, pages
from watchword_server.ports import Head, Log, Unavailable
from watchword_server.revocation import cuts

HEARTBEAT: Final = 2
"""Seconds between two heartbeats."""
POLL: Final = 0.25
"""Seconds between two looks at the log: the net below the nudges of other processes."""
LONGEST_DELTA: Final = 10_000
"""Entries. Who is further behind takes a snapshot."""
RECENT: Final = 64
"""Deltas that are kept for readers of the stream who are a little late."""
SHORT: Final = 100
"""Entries of the longest delta that is kept."""


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event: `kind` is snapshot, delta or heartbeat; `seq` is its id, `time` what its message says."""

    kind: str
    seq: int
    text: str
    time: int


class Feed:
    """One node's view of the log. Knows what the database knows as of its last look.

    Every message says the time *before* the log was read for it: whatever was committed by then is in it, however
    long this process was held up between reading and signing.
    """

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
        self._recent: deque[wire.Delta] = deque(maxlen=RECENT)
        self._joining_recent = asyncio.Lock()
        self._shelf = Shelf(self._cut_pages)
        self._nudged = asyncio.Event()
        self._closed = False
        self._looked = float("-inf")
        self._looked_at = 0

    @property
    def position(self) -> tuple[str, int]:
        """The log and the `seq` that this node has read."""
        return self._dead.log, self._dead.seq

    def lag(self) -> float:
        """Seconds since this node was known to be at the end of the log; infinite before its first look."""
        return asyncio.get_running_loop().time() - self._looked

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
            lineage=principal.lineage,
            via=principal.via,
        )

    async def remembered(self, *names: tuple[Kind, str]) -> int:
        """Until when (seconds) the latest entry of these has to be known, of all that are committed by now; 0: none."""
        await self.catch_up()
        return max(self._dead.remembered(kind, name) for kind, name in names)

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
                    self._beat = await self._heartbeat(self._looked_at)
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
            began, now = asyncio.get_running_loop().time(), self._now()
            head, entries = await self._log.after(self._dead.seq, LONGEST_DELTA)
            if head.log == self._dead.log and head.rev == self._dead.seq:
                self._looked, self._looked_at = began, now
                return False
            joins = entries and head.log == self._dead.log and entries[-1].seq == head.rev
            if joins:
                prev = unb64url(self._dead.head)
                delta = cuts.delta(self._issuer, head.log, self._dead.seq, prev, head.chain, entries, now, "")
                self._dead.apply(delta)
                self._keep(delta)
                if any(entry.kind == "key" for entry in entries):  # perhaps the very key that signed the pages
                    self._shelf.clear()
                self._deltas = {delta.after: await self._signed(head, delta)}
            else:
                self._dead.apply(await self._read_all())
                self._recent.clear()
                self._deltas = {}
            self._looked, self._looked_at = began, now
        self._dead.forget(int(self._clock()))
        self._tell()
        return True

    async def snapshot(self, nonce: str = "") -> Event:
        """All that is dead, signed now."""
        message = await self._cut_snapshot(nonce)
        return await self._signed(await self._log.head(), message)

    async def since(self, log: str, seq: int, nonce: str = "") -> Event:
        """What followed `seq` in this log; a snapshot where that cannot be told."""
        return await self.delta(log, seq, nonce) or await self.snapshot(nonce)

    async def in_pages(self, log: str, seq: int | None, nonce: str) -> AsyncIterator[Event]:
        """As `since`, and all that is dead without a `seq`: in pages where one delta does not tell it, and its end."""
        told = None if seq is None else await self.delta(log, seq, nonce)
        if told is None:
            is_kept = len(self._dead) <= LONGEST_KEPT
            async for name, page in self._shelf.read() if is_kept else self._cut_pages():
                log, seq = name, page.seq
                yield page
            told = await self.delta(log, seq or 0, nonce)
        if told is None:
            self._shelf.clear()
            raise Unavailable("the log went on faster than it was read")
        yield told

    async def delta(self, log: str, seq: int, nonce: str = "") -> Event | None:
        """What followed `seq` in this log; None where that cannot be told."""
        await self.catch_up()
        if not nonce and log == self._dead.log and seq in self._deltas:
            return self._deltas[seq]
        now = self._now()
        head, entries = await self._log.after(seq, LONGEST_DELTA)
        prev = await self._log.chain_at(seq)
        reached = entries[-1].seq if entries else seq
        if log != head.log or prev is None or reached != head.rev:
            return None
        delta = cuts.delta(self._issuer, log, seq, prev, head.chain, entries, now, nonce)
        event = await self._signed(head, delta)
        if not nonce and entries and reached == self._dead.seq:
            self._deltas[seq] = event
        return event

    async def stream(self, log: str | None, seq: int | None, whole: bool = True) -> AsyncIterator[Event]:
        """What followed `seq`, then everything new as it comes, and heartbeats. Ends when the feed is closed.

        A slow reader holds no queue: when it is ready again, it gets one delta from where it stands. Where none leads
        on, it gets a snapshot, or without `whole` only a heartbeat, which tells it to ask.
        """
        first = await self._joining(log, seq, whole)
        yield first
        at = first.seq
        seen: Event | None = None
        while not self._closed:
            news = self._news
            if self._dead.seq > at:
                # A thousand readers stand here at once: what is known is not looked for in the database by each.
                event = self._deltas.get(at) or await self._onward(at) or await self._joining(self._dead.log, at, whole)
                at = event.seq
                yield event
            elif self._beat is not None and self._beat is not seen:
                seen = self._beat
                if seen.seq >= at:
                    yield seen
            else:
                await news.wait()

    def _keep(self, delta: wire.Delta) -> None:
        if len(delta.entries) > SHORT:
            self._recent.clear()
        else:
            self._recent.append(delta)

    async def _onward(self, at: int) -> Event | None:
        """What followed `at`, from memory, signed once for all who stand there; None where it is not kept."""
        async with self._joining_recent:
            late = [delta for delta in self._recent if delta.after >= at]
            if at in self._deltas or not late or late[0].after != at:
                return self._deltas.get(at)
            last = late[-1]
            entries = [entry for delta in late for entry in delta.entries]
            prev, end = unb64url(late[0].prev), unb64url(last.head)
            whole = cuts.delta(self._issuer, last.log, at, prev, end, entries, last.time, "")
            event = await self._signed(await self._log.head(), whole)
            if last.log == self._dead.log and last.seq == self._dead.seq:
                self._deltas[at] = event
            return event

    async def _joining(self, log: str | None, seq: int | None, whole: bool) -> Event:
        told = None if log is None or seq is None else await self.delta(log, seq)
        if told is not None:
            return told
        if whole:
            return await self.snapshot()
        await self.catch_up()
        return await self._heartbeat(self._looked_at)

    async def _cut_pages(self) -> AsyncIterator[tuple[str, Event]]:
        async for head, page in pages(self._issuer, self._log, self._now):
            yield page.log, await self._signed(head, page)

    async def _read_all(self) -> wire.Message:
        """All that is dead, its entries added already, page by page: others have their turn in between."""
        taken = revocations.Pages(self._dead)
        last = None
        async for _, last in pages(self._issuer, self._log, self._now):
            taken.take(last)
        if last is None:
            raise Unavailable("the log has no pages")
        end = unb64url(last.head)
        return taken.closed(cuts.delta(self._issuer, last.log, last.seq, end, end, (), last.time, ""))

    async def _cut_snapshot(self, nonce: str) -> wire.Snapshot:
        now = self._now()
        head, entries = await self._log.alive(now // 1000)
        return cuts.snapshot(self._issuer, head.log, head.rev, head.chain, entries, now, nonce)

    async def _heartbeat(self, now: int) -> Event:
        head = await self._log.head()
        dead = self._dead
        beat = cuts.heartbeat(self._issuer, dead.log, dead.seq, unb64url(dead.head), now)
        return await self._signed(head, beat)

    async def _signed(self, head: Head, message: wire.Message) -> Event:
        ring = await self._keyring.at(head, int(self._clock()))
        kind = type(message)
        return Event(kind.__name__.lower(), message.seq, wire.seal(message, ring.sign_feed[kind]), message.time)

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
