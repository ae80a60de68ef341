"""Hearing of other nodes' commits at once. Whatever is missed here, those who are told also poll for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from secrets import SystemRandom
from typing import Any, Final

from watchword_server.adapters.sql.postgres.connections import FAULTS, Connection, reason
from watchword_server.adapters.sql.postgres.transaction import CHANNEL
from watchword_server.ports import Unavailable

ALIVE: Final = 10.0
"""Seconds between two signs of life of a connection on which nothing happens."""
PATIENCE: Final = 2.0
"""Seconds to wait for one."""
SHORTEST, LONGEST = 0.1, 5.0
"""Seconds between two tries to connect."""

logger = logging.getLogger(__name__)


class Listener:
    """Calls `hear` for every notification that is not of the connection `own`, until it is closed."""

    def __init__(
        self, connect: Callable[[], Awaitable[Connection]], own: Callable[[], int | None], hear: Callable[[], None]
    ) -> None:
        self._connect = connect
        self._own = own
        self._hear = hear
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Hear no more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        pause, missed = SHORTEST, False
        while True:
            connection: Connection | None = None
            try:
                connection = await self._connect()
                ended = asyncio.Event()
                connection.add_termination_listener(lambda _, ended=ended: ended.set())
                await connection.add_listener(CHANNEL, self._notified)
                if missed:
                    self._hear()
                pause, missed = SHORTEST, True
                await _while_alive(connection, ended)
            except (*FAULTS, Unavailable) as error:
                logger.warning("other nodes' commits are found by polling only: %s", reason(error))
            finally:
                if connection is not None:
                    connection.terminate()
            # Not all nodes at the same moment, after a restart of the database.
            await asyncio.sleep(SystemRandom().uniform(pause / 2, pause))
            pause = min(2 * pause, LONGEST)

    def _notified(self, _: Connection, process: int, *__: Any) -> None:
        if process != self._own():
            self._hear()


async def _while_alive(connection: Connection, ended: asyncio.Event) -> None:
    """Until the connection has ended, or gives no sign of life."""
    while not ended.is_set():
        try:
            async with asyncio.timeout(ALIVE):
                await ended.wait()
        except TimeoutError:
            async with asyncio.timeout(PATIENCE):
                await connection.execute("SELECT 1")
