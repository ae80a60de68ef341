"""Key sets that others publish: fetched once for everybody who waits, renewed in the background, kept for a while.

A set that is in use is renewed behind the scenes, so that somebody else's hung server delays nobody here. Only who
comes first, and who comes first after a long pause, waits for it, a little.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from watchword.errors import WatchwordError
from watchword_server.ports import Fetcher, FetchFailed

EVERY: Final = 300
"""Seconds after which a key set is looked at again, at most; fewer where its server says `max-age`."""
SOONEST: Final = 5
"""Seconds before which nothing that `max-age` says causes another look."""
COOL_DOWN: Final = 10
"""Seconds between two looks while there is no key, counted from their starts: twice what a fetch may take."""
AGAIN: Final = 30
"""Seconds between two looks while they fail and a set is at hand."""
LONG: Final = 300
"""Seconds after which a look that is due but was never taken, since nobody asked, is waited for."""
PATIENCE: Final = 2.0
"""Seconds for which anybody waits."""

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place(Generic[T]):
    """A URL, whose it is, and what is made of what lies there."""

    url: str
    what: str
    """For the log: whose keys they are."""
    read: Callable[[bytes], T]
    """On a thread. Raises FetchFailed or WatchwordError for what is of no use."""
    by_operator: bool
    keep: int
    """Seconds for which it is used after it was last seen there."""


class Published(Generic[T]):
    """What lies at one place. Times are in seconds since 1970, as the requests have them."""

    def __init__(self, fetcher: Fetcher, place: Place[T]) -> None:
        self.place: Final = place
        self.trouble = ""
        """Why the last fetch gave nothing; empty when it did."""
        self._fetcher = fetcher
        self._found: T | None = None
        self._seen = 0
        self._looked = self._due = 0
        """When it was last looked at, and when it is to be looked at again; between them nothing does."""
        self._overslept = False
        self._flight: asyncio.Task[None] | None = None

    async def at(self, now: int) -> T | None:
        """What is there; None when it was not seen for as long as it is kept, or did not come within PATIENCE."""
        # Before the last look: the clock was set back, and would else be waited for.
        if self._flight is None and not self._looked <= now < self._due:
            self._overslept = now - self._due > LONG
            self._begin(now)
        if self._overslept or self._known(now) is None:
            await self._landing()
        return self._known(now)

    async def anew(self, now: int) -> T | None:
        """As `at`, for who misses something in what is known: looks again, but no sooner than COOL_DOWN after the last
        look, whatever is asked for.
        """
        if self._flight is None and not self._looked <= now < self._looked + COOL_DOWN:
            self._begin(now)
        await self._landing()
        return self._known(now)

    def wait(self, now: int) -> int:
        """Seconds until the next look."""
        return max(1, self._due - now)

    def close(self) -> None:
        """Fetch no more."""
        if self._flight is not None:
            self._flight.cancel()

    def _known(self, now: int) -> T | None:
        return self._found if now - self._seen <= self.place.keep else None

    async def _landing(self) -> None:
        if self._flight is not None:
            # wait, not wait_for: one that no longer waits must not cancel the fetch of all the others.
            await asyncio.wait([self._flight], timeout=PATIENCE)

    def _begin(self, now: int) -> None:
        self._looked, self._due = now, now + (COOL_DOWN if self._known(now) is None else AGAIN)
        self._flight = asyncio.create_task(self._look(now))
        self._flight.add_done_callback(self._landed)

    def _landed(self, flight: asyncio.Task[None]) -> None:
        self._flight = None
        if not flight.cancelled() and (error := flight.exception()) is not None:
            logger.error("reading %s failed unexpectedly", self.place.what, exc_info=error)

    async def _look(self, now: int) -> None:
        place = self.place
        try:
            got = await self._fetcher.get(place.url, by_operator=place.by_operator)
            found = await asyncio.to_thread(place.read, got.body)
        except (FetchFailed, WatchwordError) as error:
            if str(error) != self.trouble:
                logger.warning("cannot read %s", place.what, extra={"reason": str(error)})
            self.trouble = str(error)
            return
        fresh = EVERY if got.fresh_for is None else min(max(got.fresh_for, SOONEST), EVERY)
        self.trouble, self._found, self._seen, self._due = "", found, now, now + int(fresh)
