"""Values that count once: Redis refuses what it has seen, and the database decides the rest."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from watchword_server.adapters.redis.link import Link
from watchword_server.ports import Spent, Unavailable

KIND: Final = "spent"
CLOCKS: Final = 120
"""Seconds for which a value is remembered beyond its time: Redis goes by its own clock."""
LATEST: Final = 2**43
"""Seconds. Redis takes no time beyond 2^63 milliseconds."""


class RedisSpent:
    """Values that count once, as long as this Redis forgets nothing: a failover may."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def spend(self, kind: str, value: str, until: int) -> bool:
        """True for one caller. Raises Unavailable, and then nobody knows whether it was spent."""
        forgotten_at = 1000 * min(max(until + CLOCKS, 1), LATEST)
        answer = await self._link.ask("SET", self._name(kind, value), "", "NX", "PXAT", forgotten_at)
        return answer is True  # None: it was there

    async def forget(self, kind: str, value: str) -> None:
        """Whoever spent it got nothing for it. Raises Unavailable."""
        await self._link.ask("DEL", self._name(kind, value))

    def _name(self, kind: str, value: str) -> str:
        return self._link.key(KIND, f"{kind}\0{value}")


class GuardedSpent:
    """The database decides, for it alone forgets nothing; Redis keeps replays away from it.

    Nothing is spent because Redis says so: whether it is killed, restarted empty, cut off from some nodes or broken
    into, no value counts twice (docs/decisions/0017-redis.md).
    """

    def __init__(self, front: RedisSpent, database: Spent) -> None:
        self._front = front
        self._database = database

    async def spend(self, kind: str, value: str, until: int) -> bool:
        """True for exactly one caller. Raises Unavailable: then try again."""
        with suppress(Unavailable):  # the link has said so, once
            if not await self._front.spend(kind, value, until):
                return False
        decided = False
        try:
            won = await self._database.spend(kind, value, until)
            decided = True
            return won
        finally:
            if not decided:  # or the next try, which may be the first that counts, would be refused
                with suppress(Unavailable):
                    await self._front.forget(kind, value)
