"""Redis: `Proofs(spent=SpentInRedis(client))` lets several processes of an API take each proof of possession once."""

from __future__ import annotations

from typing import Any, Final

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError

from watchword.errors import CannotDecide

PREFIX: Final = "watchword:spent:"
MARGIN: Final = 1000
"""Milliseconds for which a name is kept beyond its time."""


class SpentInRedis:
    """The used proofs of all processes that share a Redis, for `Verifier.verify`.

    It must evict nothing (`maxmemory-policy noeviction`): what is forgotten too early could be played back. `client`
    is the program's own, with time limits that it can wait for.
    """

    __slots__ = ("_client", "_prefix")

    def __init__(self, client: AsyncRedis, prefix: str = PREFIX) -> None:
        self._client = client
        self._prefix = prefix

    async def spend(self, name: str, seconds: float) -> bool:
        """True for exactly one caller. Raises CannotDecide when Redis does not say."""
        try:
            answer = await self._client.set(self._prefix + name, b"", **_once(seconds))
        except RedisError as error:
            raise _unsure(error) from error
        return answer is True


class SpentInRedisSync:
    """As SpentInRedis, for `Verifier.verify_sync`."""

    __slots__ = ("_client", "_prefix")

    def __init__(self, client: Redis, prefix: str = PREFIX) -> None:
        self._client = client
        self._prefix = prefix

    def spend(self, name: str, seconds: float) -> bool:
        """True for exactly one caller. Raises CannotDecide when Redis does not say."""
        try:
            answer = self._client.set(self._prefix + name, b"", **_once(seconds))
        except RedisError as error:
            raise _unsure(error) from error
        return answer is True


def _once(seconds: float) -> dict[str, Any]:
    return {"nx": True, "px": int(seconds * 1000) + MARGIN}


def _unsure(error: RedisError) -> CannotDecide:
    return CannotDecide(f"the memory of used proofs does not answer: {error or type(error).__name__}", retry_after=1)
