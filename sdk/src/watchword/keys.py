"""The issuer's keys, followed in the background: a key that is known never waits for the network."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from watchword.errors import CannotDecide, WatchwordError
from watchword.freshness import DAWN, NEVER, Clocks
from watchword.jose.jwk import PublicKey, key_set
from watchword.jose.jwt import claims
from watchword.wire.backoff import BackOff
from watchword.wire.exchange import Document

EVERY: Final = 300.0
"""Seconds between two ordinary looks at the key set, at most; fewer where the issuer says `max-age`."""
AGAIN: Final = 30.0
"""Seconds until the next look, at most, when the last one failed and older keys are at hand."""
COOL_DOWN: Final = 5.0
"""Seconds after a fetch that failed, or that an unknown `kid` caused, in which an unknown `kid` causes no other.

Also the shortest time between two looks that `max-age` or revoked keys may ask for.

A token of a key that is not known is refused as UnknownKey within these seconds; after them it waits for a fetch.
So a key that was published a moment ago is found by its first token when all is calm. While somebody floods with
invented `kid`s it is found at the latest COOL_DOWN and two fetches after it was published: the one that was under
way and had just missed it, the seconds, and the one that finds it (measured on loopback: 5.1 to 5.3 s).
"""
KEEP: Final = 86_400.0
"""Seconds for which keys are trusted after they were last seen published."""

_log = logging.getLogger("watchword")


class KeySource:
    """The keys that one JWKS publishes. Runs on the background loop; `keys` may be read by any thread.

    `fetch` returns the document or raises a WatchwordError; `changed` is told every new set. A key that did not
    change stays the very same object, so that who holds it can tell whether it is still trusted.
    """

    __slots__ = (
        *("_changed", "_clocks", "_cooling", "_fetch", "_flight", "_outdated", "_provoked", "_renewed", "_seen"),
        *("every", "keys", "started", "trouble"),
    )

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Document]],
        clocks: Clocks,
        changed: Callable[[Mapping[str, PublicKey]], None] = lambda _: None,
    ) -> None:
        self.keys: Mapping[str, PublicKey] = {}
        self.trouble = ""
        """Why the last fetch failed; empty when it did not."""
        self.started = NEVER
        """When the last fetch began, on the monotonic clock."""
        self.every = EVERY
        """Seconds until the next ordinary look, as the last good answer had it."""
        self._fetch = fetch
        self._changed = changed
        self._clocks = clocks
        self._seen = DAWN
        self._cooling = DAWN
        """Since when an unknown `kid` causes no fetch."""
        self._provoked = False
        """Whether the fetch that is under way was caused by an unknown `kid`."""
        self._renewed = DAWN
        """When `renew` last caused a fetch."""
        self._outdated = asyncio.Event()
        self._flight: asyncio.Task[None] | None = None

    async def follow(self) -> None:
        """Look at the key set for ever: soon while there is none, then at the ordinary interval."""
        pause = BackOff()
        while True:
            await self.refresh()
            await self._rest(self._interval() if self.keys else pause.next())

    def renew(self) -> None:
        """What is known is out of date, since a key was revoked: `follow` fetches at once, cool-down or not.

        However often it is said, that is one fetch each COOL_DOWN, and the last one begins after the last word.
        """
        self._outdated.set()

    async def refresh(self) -> None:
        """Fetch now, or wait for the fetch that is under way. A failure is kept in `trouble`, never raised."""
        if self._flight is None:
            self.started = self._clocks.monotonic()
            self._flight = asyncio.create_task(self._load())
            self._flight.add_done_callback(self._landed)
        # Shielded: one that no longer waits must not cancel the fetch of all the others.
        await asyncio.shield(self._flight)

    async def look_again(self) -> None:
        """Something unknown was shown: at most one fetch, and none within COOL_DOWN of the last one like that."""
        if self.patience(1) > 0:
            self._provoked = self._provoked or self._flight is None
            await self.refresh()

    def patience(self, bound: float) -> float:
        """How many seconds `look_again` is worth waiting for, at most `bound`; 0 while nothing new can come of it.

        Counted from when the fetch began: behind a hung server not every caller waits in turn. For any thread.
        """
        if self._flight is not None:
            return max(0.0, self.started + bound - self._clocks.monotonic())
        return bound if self._cooling.age(self._clocks.now()) >= COOL_DOWN else 0.0

    def is_final(self, bound: float) -> bool:
        """Whether what is known now is the last word on an unknown `kid`. For any thread."""
        return not self.patience(bound) and self.is_current()

    def is_current(self) -> bool:
        """Whether the set was read as lately as its issuer wants: only then is a key that is not in it no key of his.

        For any thread. A process that was asleep, or whose issuer cannot be reached, knows that it does not know.
        """
        return self._seen.age(self._clocks.now()) <= self.every

    def expire(self) -> None:
        """Drop keys that were not seen published for KEEP."""
        if self.keys and self._seen.age(self._clocks.now()) > KEEP:
            self.keys = {}
            self._changed(self.keys)

    def forked(self) -> None:
        """In a forked child: the fetch that was under way is the parent's."""
        self._flight = None
        self._outdated = asyncio.Event()

    def _interval(self) -> float:
        usual = min(self.every, AGAIN) if self.trouble else self.every
        # Not to the last second: the fetch takes its time too. Spreads load, hides nothing.
        return usual * random.uniform(0.8, 0.95)  # noqa: S311  # as said

    async def _rest(self, seconds: float) -> None:
        """Wait so long, or until `renew` was called and may cause a fetch."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._outdated.wait()
        if not self._outdated.is_set():
            return
        await asyncio.sleep(max(0.0, COOL_DOWN - self._renewed.age(self._clocks.now())))
        while self._flight is not None:  # it may have begun before the word came
            await asyncio.shield(self._flight)
        self._renewed = self._clocks.now()
        self._outdated.clear()

    def _landed(self, _: asyncio.Task[None]) -> None:
        self._flight = None

    async def _load(self) -> None:
        cools = True
        try:
            self._take(await self._fetch())
            cools = self._provoked
        except WatchwordError as error:
            if str(error) != self.trouble:
                _log.warning("cannot refresh the issuer's keys: %s", error)
            self.trouble = str(error)
        finally:
            self._provoked = False
            if cools:  # counted from the end, so that a hung server is not asked without pause
                self._cooling = self._clocks.now()

    def _take(self, document: Document) -> None:
        found = key_set(claims(document.body))
        if not found:
            raise CannotDecide("the key set holds no key that can be used")
        known = self.keys
        self.keys = {kid: known[kid] if known.get(kid) == key else key for kid, key in found.items()}
        self.every = EVERY if document.fresh_for is None else min(max(document.fresh_for, COOL_DOWN), EVERY)
        self._seen = self._clocks.now()
        self.trouble = ""
        self._changed(self.keys)
