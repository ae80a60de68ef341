"""The line to Redis: every question is bounded, and while it is lost nobody waits for it."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from hashlib import sha1, sha256
from typing import Any, Final

from redis.asyncio import ConnectionPool, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError

from watchword.jose.b64 import b64url
from watchword_server.adapters.redis.reasons import reason
from watchword_server.ports import Unavailable

BOUND: Final = 0.25
"""Seconds for one question, connecting and all."""
FIRST_LOOK: Final = 0.1
LAST_LOOK: Final = 1.0
"""Seconds between two looks for a Redis that was lost: from the first, doubling up to the last."""
DOCTOR: Final = 2.0
"""Seconds that `watchword doctor` waits."""
CONNECTIONS: Final = 8
"""More would gain nothing: one event loop asks some thousand questions a second, and each takes half a millisecond."""

Word = str | int

logger = logging.getLogger(__name__)


class Script:
    """Lua that runs as one step: nothing else comes between."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.hash = sha1(text.encode(), usedforsecurity=False).hexdigest()


PROBE: Final = Script("return redis.call('SET', KEYS[1], '', 'PXAT', ARGV[1])")
"""A replica and a full server read as ever, and old ones or strict access lists know no scripts: only this tells."""


class Link:
    """A pool of connections behind a breaker: one failure opens it, and only a write that succeeds closes it again."""

    def __init__(self, url: str, issuer: str, bound: float = BOUND) -> None:
        self._issuer = issuer
        self._bound = bound
        self._redis = _client(url, bound)
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self._probe = self.key("probe", "")
        self._up = True
        self._era = 0
        self._looking: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def up(self) -> bool:
        """Whether it answered when it was asked last."""
        return self._up

    def key(self, kind: str, value: str) -> str:
        """A name that tells nothing of the value, and that no other issuer on this Redis has."""
        whole = "\0".join((self._issuer, kind, value)).encode("utf-8", "surrogatepass")
        return f"watchword:{kind}:{b64url(sha256(whole).digest())}"

    async def ask(self, *words: Word) -> Any:
        """The answer to one command. Raises Unavailable: within the bound, and at once while Redis is lost.

        Where so many ask that there is a turn to wait for, within twice that.
        """
        return await self._in_turn(partial(_send, self._redis, *words))

    async def run(self, script: Script, keys: Sequence[str], *arguments: Word) -> Any:
        """The answer of a script. Raises Unavailable as `ask` does."""
        return await self._in_turn(partial(_evaluate, self._redis, script, keys, *arguments))

    async def open(self) -> None:
        """Look whether it is there, so that the log says so from the start."""
        with suppress(Unavailable):
            await self.run(PROBE, [self._probe], _soon())

    async def close(self) -> None:
        """Let go of it."""
        self._closing = True
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await _disconnected(self._redis)

    async def _in_turn(self, question: Callable[[], Awaitable[Any]]) -> Any:
        if not self._up:
            raise Unavailable("Redis is lost")
        try:
            async with asyncio.timeout(self._bound):
                await self._turns.acquire()
        except TimeoutError:  # that there are many questions says nothing against Redis
            raise Unavailable("too many questions wait for Redis") from None
        try:
            return await self._bounded(question)
        finally:
            self._turns.release()

    async def _bounded(self, question: Callable[[], Awaitable[Any]]) -> Any:
        if not self._up:
            raise Unavailable("Redis was lost meanwhile")
        era = self._era
        try:
            async with asyncio.timeout(self._bound):
                return await question()
        except Exception as error:  # whatever it was, the service goes on
            self._lose(error, era)
            raise Unavailable("Redis does not answer") from error

    def _lose(self, error: Exception, era: int) -> None:
        """Say it once; a question of before the last return says nothing of now."""
        if self._up and era == self._era:
            self._up = False
            logger.error(
                "redis is lost: each node limits sign-ins alone, and the database alone refuses what is spent",
                extra={"reason": reason(error)},
            )
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        pause = FIRST_LOOK
        while not await self._returned():
            if self._closing:  # the library may lose a cancellation while it gives a connection up
                return
            # Jittered: nodes that lost it together must not all come back at one moment.
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret
            pause = min(LAST_LOOK, pause * 2)
        self._up, self._era = True, self._era + 1
        logger.warning("redis is back: limits and what is spent are shared again")

    async def _returned(self) -> bool:
        await _disconnected(self._redis)
        return await _trouble(self._redis, self._probe, self._bound) is None


async def examine(url: str) -> str | None:
    """Why this Redis cannot be used; None when it can."""
    redis = _client(url, DOCTOR)
    try:
        return await _trouble(redis, "watchword:probe", DOCTOR)
    finally:
        await _disconnected(redis)


async def _trouble(redis: Redis, key: str, bound: float) -> str | None:
    try:
        async with asyncio.timeout(bound):
            await _evaluate(redis, PROBE, [key], _soon())
    except Exception as error:  # whatever it was, somebody must go on looking
        return reason(error)
    return None


def _soon() -> int:
    """When a probe is forgotten, in milliseconds since 1970."""
    return round(time.time() * 1000) + 1000


async def _send(redis: Redis, *words: Word) -> Any:
    return await redis.execute_command(*words)  # type: ignore[no-untyped-call]  # redis-py has no types for it


async def _evaluate(redis: Redis, script: Script, keys: Sequence[str], *arguments: Word) -> Any:
    """A Redis that was started anew does not know the script: only then the whole text is sent."""
    rest = (len(keys), *keys, *arguments)
    try:
        return await _send(redis, "EVALSHA", script.hash, *rest)
    except NoScriptError:
        return await _send(redis, "EVAL", script.text, *rest)


def _client(url: str, bound: float) -> Redis:
    """Without retries: what was sent and not answered may have been done."""
    pool = ConnectionPool.from_url(
        url,
        socket_timeout=bound,
        socket_connect_timeout=bound,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
    )
    if pool.connection_class is SSLConnection:
        pool.connection_class = _secured(ssl.create_default_context())  # type: ignore[assignment]  # makes one as well
    return Redis(connection_pool=pool)


def _secured(context: ssl.SSLContext) -> Callable[..., SSLConnection]:
    """Connections that share a context: reading this machine's authorities for each one would take 60 ms."""

    def connection(**options: Any) -> SSLConnection:
        made = SSLConnection(**options)
        made.ssl_context.context = context
        return made

    return connection


async def _disconnected(redis: Redis) -> None:
    """Close what nobody uses: behind one name there may be another server by now."""
    with suppress(Exception):
        async with asyncio.timeout(BOUND):
            await redis.connection_pool.disconnect(inuse_connections=False)
