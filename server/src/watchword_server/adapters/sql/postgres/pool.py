"""A few connections that read. Whoever asks is answered, or told that it cannot be, within seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

from watchword_server.adapters.sql.postgres.connections import FAULTS, Connection, reason
from watchword_server.ports import Unavailable

SIZE: Final = 6
"""Connections: most questions share trips, so few are ever needed."""
PATIENCE: Final = 2.0
"""Seconds for a question, the wait for a connection included."""

T = TypeVar("T")


class _Lost(Exception):
    """The connection broke while it was asked; another may not."""


class Pool:
    """Connections that are made when they are needed. One that failed a question is never asked another."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], size: int = SIZE) -> None:
        self._connect = connect
        self._idle: list[Connection] = []
        self._free = asyncio.Semaphore(size)
        self._closed = False

    async def ask(self, question: Callable[[Connection], Awaitable[T]], patience: float = PATIENCE) -> T:
        """Ask on one of them, within `patience` seconds. Raises Unavailable."""
        if self._closed:
            raise Unavailable("the store is closed")
        try:
            async with asyncio.timeout(patience), self._free:
                return await self._asked(question)
        except (*FAULTS, _Lost) as error:
            raise Unavailable(f"the database cannot answer now: {reason(error)}") from error

    async def _asked(self, question: Callable[[Connection], Awaitable[T]]) -> T:
        used = self._used()
        if used is not None:
            with suppress(_Lost):  # it was idle when the server ended it: that says nothing of the server now
                return await self._on(used, question)
        return await self._on(await self._connect(), question)

    async def _on(self, connection: Connection, question: Callable[[Connection], Awaitable[T]]) -> T:
        try:
            answer = await question(connection)
        except BaseException as error:
            lost = connection.is_closed()
            # Also at a timeout: to wait until a frozen server has noted that nobody waits would be waiting.
            connection.terminate()
            if lost and isinstance(error, FAULTS):
                raise _Lost(reason(error)) from error
            raise
        if self._closed:
            connection.terminate()
        else:
            self._idle.append(connection)
        return answer

    def _used(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return None

    async def close(self) -> None:
        """Let go of all connections."""
        self._closed = True
        while (connection := self._used()) is not None:
            with suppress(*FAULTS):
                await connection.close(timeout=1)
