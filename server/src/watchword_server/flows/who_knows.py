"""At how many verifiers a revocation is known, and until when the others may live in ignorance.

A message that lacks an entry says a time before that was committed (`flows/feed.py`), and whoever heard no later one
refuses every token `refuse_after` seconds after it. So the entry is dead everywhere by its commit + `refuse_after` +
the error of clocks, whoever is silent; where a lease ends before that, by the end of the lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from typing import Final

from watchword_server.flows.leases import LEEWAY, Key
from watchword_server.ports import Lease, Leases, Stores, Unavailable

LONGEST: Final = 10.0
"""Seconds for which acknowledgements are waited for."""
FIRST_PAUSE: Final = 0.01
LAST_PAUSE: Final = 0.1
"""Seconds between two looks: soon at first, for nearly all come within milliseconds."""


@dataclass(frozen=True, slots=True)
class Silent:
    """A verifier that has not acknowledged. It accepts nothing that is revoked from `dead_by` on (seconds)."""

    audience: str
    name: str
    heard_at: int
    dead_by: int


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a revocation has come `after` seconds from its commit: `known` verifiers, and the `silent` of them.

    `known` is None where the database could not be read since.
    """

    seq: int
    known: int | None
    silent: tuple[Silent, ...]
    after: float


class Awaited:
    """What was just committed, up to `seq`: from now on the time counts."""

    def __init__(self, stores: Stores, seq: int, clock: Callable[[], float]) -> None:
        self._stores = stores
        self._seq = seq
        self._clock = clock
        self._committed = clock()
        self._began = asyncio.get_running_loop().time()
        self._log = ""
        self._known = 0
        self._silent: Mapping[Key, Lease] | None = None

    async def everywhere(self, seconds: float, enough: asyncio.Event | None = None) -> Reach:
        """Wait until every known verifier has them, for at most so many seconds, or until it is `enough`."""
        pause = FIRST_PAUSE
        while True:
            with suppress(Unavailable):  # while the database does not answer, nothing can be told
                await self._look()
            left = seconds - self._after()
            if self._silent == {} or left <= 0 or (enough is not None and enough.is_set()):
                return self._reach()
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.3, LAST_PAUSE)

    async def _look(self) -> None:
        """Who was known at the first look, and has neither acknowledged since, nor is gone."""
        leases, now = self._stores.leases, int(self._clock())
        if self._silent is None:
            self._log = (await self._stores.log.head()).log
            self._silent = {_key(lease): lease for lease in await leases.all(now)}
            self._known = len(self._silent)
        behind = {_key(lease): lease for lease in await leases.behind(self._log, self._seq, now)}
        self._known -= sum(lease.until < now for key, lease in self._silent.items() if key not in behind)
        self._silent = {key: behind[key] for key in self._silent if key in behind}

    def _after(self) -> float:
        return asyncio.get_running_loop().time() - self._began

    def _reach(self) -> Reach:
        if self._silent is None:
            return Reach(self._seq, None, (), self._after())
        return Reach(self._seq, self._known, tuple(map(self._described, self._silent.values())), self._after())

    def _described(self, lease: Lease) -> Silent:
        at_the_latest = ceil(self._committed) + lease.refuse_after + LEEWAY
        return Silent(lease.audience, lease.name, lease.heard_at, min(lease.until, at_the_latest))


async def verifiers(leases: Leases, now: int) -> Sequence[Lease]:
    """Every verifier that is known, by API and name."""
    return await leases.all(now)


def _key(lease: Lease) -> Key:
    return lease.audience, lease.verifier
