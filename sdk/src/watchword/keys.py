"""The issuer's keys, followed in the background: a key that is known never waits for the network."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from watchword.errors import CannotDecide, WatchwordError
from watchword.freshness import NEVER, Clocks
from watchword.jose.jwk import PublicKey, key_set
from watchword.jose.jwt import claims
from watchword.wire.backoff import BackOff

EVERY: Final = 300.0
"""Seconds between two ordinary looks at the key set."""
AGAIN: Final = 30.0
"""Seconds until the next look when the last one failed and older keys are at hand."""
COOL_DOWN: Final = 5.0
"""Seconds after a fetch, good or bad, in which an unknown `kid` causes no other."""
KEEP: Final = 86_400.0
"""Seconds for which keys are trusted after they were last seen published."""

_log = logging.getLogger("watchword")


class KeySource:
    """The keys that one JWKS publishes. Runs on the background loop; `keys` may be read by any thread.

    `fetch` returns the document's bytes or raises a WatchwordError; `changed` is told every new set. A key
    that did not change stays the very same object, so that who holds it can tell whether it is still trusted.
    """

    __slots__ = ("_changed", "_clocks", "_cool_until", "_fetch", "_flight", "_seen", "keys", "started", "trouble")

    def __init__(
        self,
        fetch: Callable[[], Awaitable[bytes]],
        clocks: Clocks,
        changed: Callable[[Mapping[str, PublicKey]], None] = lambda _: None,
    ) -> None:
        self.keys: Mapping[str, PublicKey] = {}
        self.trouble = ""
        """Why the last fetch failed; empty when it did not."""
        self.started = NEVER
        """When the last fetch began, on the monotonic clock."""
        self._fetch = fetch
        self._changed = changed
        self._clocks = clocks
        self._seen = NEVER
        self._cool_until = NEVER
        self._flight: asyncio.Task[None] | None = None

    async def follow(self) -> None:
        """Look at the key set for ever: soon while there is none, then at the ordinary interval."""
        pause = BackOff()
        while True:
            await self.refresh()
            if self.keys:
                usual = AGAIN if self.trouble else EVERY
                await asyncio.sleep(usual * random.uniform(0.9, 1.1))  # noqa: S311  # spreads load, hides nothing
            else:
                await asyncio.sleep(pause.next())

    async def refresh(self) -> None:
        """Fetch now, or wait for the fetch that is under way. A failure is kept in `trouble`, never raised."""
        if self._flight is None:
            self.started = self._clocks.monotonic()
            self._flight = asyncio.create_task(self._load())
            self._flight.add_done_callback(self._landed)
        # Shielded: one that no longer waits must not cancel the fetch of all the others.
        await asyncio.shield(self._flight)

    async def look_again(self) -> None:
        """Something unknown was shown: at most one fetch, and none while the last one is younger than COOL_DOWN."""
        if self.patience(1) > 0:
            await self.refresh()

    def patience(self, bound: float) -> float:
        """How many seconds `look_again` is worth waiting for, at most `bound`; 0 while nothing new can come of it.

        Counted from when the fetch began: behind a hung server not every caller waits in turn. For any thread.
        """
        now = self._clocks.monotonic()
        if self._flight is not None:
            return max(0.0, self.started + bound - now)
        return bound if now >= self._cool_until else 0.0

    def expire(self) -> None:
        """Drop keys that were not seen published for KEEP."""
        if self.keys and self._clocks.monotonic() - self._seen > KEEP:
            self.keys = {}
            self._changed(self.keys)

    def forked(self) -> None:
        """In a forked child: the fetch that was under way is the parent's."""
        self._flight = None

    def _landed(self, _: asyncio.Task[None]) -> None:
        self._flight = None

    async def _load(self) -> None:
        try:
            self._take(await self._fetch())
        except WatchwordError as error:
            if str(error) != self.trouble:
                _log.warning("cannot refresh the issuer's keys: %s", error)
            self.trouble = str(error)
        finally:
            # Counted from the end, so that a hung server is not asked without pause.
            self._cool_until = self._clocks.monotonic() + COOL_DOWN

    def _take(self, body: bytes) -> None:
        found = key_set(claims(body))
        if not found:
            raise CannotDecide("the key set holds no key that can be used")
        known = self.keys
        self.keys = {kid: known[kid] if known.get(kid) == key else key for kid, key in found.items()}
        self._seen = self._clocks.monotonic()
        self.trouble = ""
        self._changed(self.keys)
