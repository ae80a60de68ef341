"""The documents of clients that sign their own tokens, read from the issuer with the API's credentials.

They are kept like key sets. Whatever a token claims, only the issuer is asked, and rarely: who floods with invented
names neither makes it busy nor pushes out a document that is known.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, NamedTuple

from watchword.client_tokens import ClientDocument, Standing, read_document
from watchword.errors import CannotDecide, WatchwordError
from watchword.freshness import DAWN, NEVER, Clocks, Moment
from watchword.wire.exchange import Reply
from watchword.wire.rates import Allowance

WITHIN: Final = 2.0
"""Seconds for an answer."""
AGAIN: Final = 0.5
"""After this part of its life a document that is in use is read anew, while it still serves."""
SETTLE: Final = 1.0
"""Seconds in which a document that was read is not read again because of a revocation."""
REMEMBER: Final = 5.0
"""Seconds for which it is remembered that there is no document, and in which an unknown `kid` causes no second look."""
COOL_DOWN: Final = 5.0
"""Seconds after a failure in which nobody asks."""
RATE: Final = 5.0
BURST: Final = 20.0
"""How many unknown clients and keys are asked for in a second, and how many at once."""
MOST: Final = 10_000
"""Documents that are kept, and clients of which it is remembered that they have none."""

_log = logging.getLogger("watchword")


class _Kept(NamedTuple):
    standing: Standing
    asked: Moment
    """When it was asked for: what it says was true then, or later."""
    renew: Moment
    ends: Moment


class Documents:
    """The clients of one API. `look` runs on the background loop, the rest on any thread.

    `get` asks for the document of a client within so many seconds; `begin` runs a coroutine on the loop, for nobody in
    particular.
    """

    __slots__ = (
        *("_absent", "_asking", "_begin", "_clocks", "_closed_until", "_get", "_kept", "_looked"),
        *("_monotonic", "_resting", "_strangers", "_wall", "trouble"),
    )

    def __init__(
        self,
        get: Callable[[str, float], Awaitable[Reply]],
        clocks: Clocks,
        begin: Callable[[Coroutine[Any, Any, Any]], object],
    ) -> None:
        self.trouble = ""
        """Why the last look failed; empty when it did not."""
        self._get, self._clocks, self._begin = get, clocks, begin
        self._monotonic, self._wall = clocks.monotonic, clocks.wall
        self._kept: dict[str, _Kept] = {}
        self._absent: dict[str, float] = {}
        self._looked: dict[str, float] = {}
        """When a client's document was last looked at for a `kid` that it lacked."""
        self._resting: dict[str, float] = {}
        """Until when a client is not asked for, since that failed."""
        self._strangers = Allowance(RATE, BURST, clocks.monotonic)
        self.forked()

    def forked(self) -> None:
        """In a forked child: what was under way is the parent's."""
        self._asking: dict[str, asyncio.Task[bool]] = {}
        self._closed_until = NEVER

    def find(self, client_id: str) -> Standing | None:
        """How things stand with a client; None when that has to be asked."""
        kept = self._kept.get(client_id)
        if kept is None:
            gone = self._clocks.monotonic() < self._absent.get(client_id, NEVER)
            return Standing(None, 0) if gone else None
        monotonic, wall = self._monotonic(), self._wall()
        standing, _, renew, ends = kept
        if monotonic >= ends.monotonic or wall >= ends.wall:
            return None
        if (monotonic >= renew.monotonic or wall >= renew.wall) and client_id not in self._asking:
            self._renew(client_id)
        return standing

    def _renew(self, client_id: str) -> None:
        if self._is_open(client_id):
            self._begin(self.look(client_id))

    def age(self, client_id: str) -> float:
        """Seconds since the document that is kept was asked for; infinite where there is none."""
        kept = self._kept.get(client_id)
        return (kept.asked if kept is not None else DAWN).age(self._clocks.now())

    def may_look(self, client_id: str) -> bool:
        """Whether looking makes sense: not while the issuer failed a moment ago, or strangers ask for too much."""
        known = client_id in self._kept or client_id in self._asking
        return self._is_open(client_id) and (known or self._strangers.is_left())

    def may_look_for_key(self, client_id: str) -> bool:
        """As `may_look`, for a `kid` that a document lacks: once in a while for each client."""
        cool = self._clocks.monotonic() >= self._looked.get(client_id, NEVER) + REMEMBER
        return cool and self._is_open(client_id) and self._strangers.is_left()

    async def look_for_key(self, client_id: str) -> bool:
        """As `look`, for who misses a key."""
        if not self.may_look_for_key(client_id) or not self._strangers.take():
            return False
        if len(self._looked) >= MOST:
            self._looked.clear()
        self._looked[client_id] = self._clocks.monotonic()
        return await self.look(client_id)

    async def look(self, client_id: str) -> bool:
        """Read a client's document; whether the issuer has said what it is, or that there is none. Never raises."""
        task = self._asking.get(client_id)
        if task is None:
            if not self.may_look(client_id) or not (client_id in self._kept or self._strangers.take()):
                return False
            task = self._asking[client_id] = asyncio.create_task(self._look(client_id))
            task.add_done_callback(lambda _: self._asking.pop(client_id, None))
        # Shielded: one that no longer waits must not cancel the look of all the others.
        return await asyncio.shield(task)

    async def _look(self, client_id: str) -> bool:
        asked = self._clocks.now()
        try:
            reply = await self._get(client_id, WITHIN)
        except WatchwordError as error:
            self._closed_until = self._clocks.monotonic() + COOL_DOWN
            return self._failed(client_id, str(error))
        try:
            document = _document(reply, client_id)
        except CannotDecide as error:  # there is an answer, so it is about this client: others may be asked for
            return self._failed(client_id, str(error))
        self.trouble = ""
        if document is None:
            self._forget(client_id)
        else:
            self._keep(client_id, _kept(document, asked))
        return True

    def _failed(self, client_id: str, trouble: str) -> bool:
        if trouble != self.trouble:
            _log.warning("cannot read the document of a client: %s", trouble)
        self.trouble = trouble
        if len(self._resting) >= MOST:
            self._resting.clear()
        self._resting[client_id] = self._clocks.monotonic() + COOL_DOWN
        return False

    def _is_open(self, client_id: str) -> bool:
        now = self._clocks.monotonic()
        return now >= self._closed_until and now >= self._resting.get(client_id, NEVER)

    def _forget(self, client_id: str) -> None:
        self._kept.pop(client_id, None)
        if len(self._absent) >= MOST:
            self._absent.clear()
        self._absent[client_id] = self._clocks.monotonic() + REMEMBER

    def _keep(self, client_id: str, kept: _Kept) -> None:
        """Only what the issuer vouches for gets here, so that only its own clients can push each other out."""
        self._absent.pop(client_id, None)
        self._kept.pop(client_id, None)
        self._kept[client_id] = kept
        if len(self._kept) > MOST:
            del self._kept[next(iter(self._kept))]


def _kept(document: ClientDocument, asked: Moment) -> _Kept:
    ends = asked.after(document.fresh_for)
    return _Kept(Standing(document, ends.wall), asked, asked.after(document.fresh_for * AGAIN), ends)


def _document(reply: Reply, client_id: str) -> ClientDocument | None:
    if reply.status == 404:
        return None
    if reply.status != 200:
        raise CannotDecide(f"the issuer answered {reply.status} for the document of a client")
    return read_document(reply.body, client_id)
