"""Opens a PostgreSQL database as the stores of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from watchword_server.adapters.sql.postgres import connections
from watchword_server.adapters.sql.postgres.listening import Listener
from watchword_server.adapters.sql.postgres.pool import SIZE, Pool
from watchword_server.adapters.sql.postgres.reading import Source
from watchword_server.adapters.sql.postgres.upgrade import must_be_servable
from watchword_server.adapters.sql.postgres.writer import Writer
from watchword_server.adapters.sql.statements import load
from watchword_server.adapters.sql.stores import assembled


class Store:
    """The stores of one database, as one process holds them on one event loop. Close it to let go of the server."""

    def __init__(self, url: str, readers: int = SIZE) -> None:
        statements = load("postgres")
        self._url = url
        self._callbacks: list[Callable[[], None]] = []
        self._listener: Listener | None = None
        self._source = Source(Pool(partial(connections.connect, url, connections.READER), readers), statements.queries)
        self._writer = Writer(partial(connections.writer, url), statements.commands, self._tell)
        self.stores = assembled(self._source, self._writer, statements.commands)

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call back on this event loop after each commit, of any node, that moved the log or `Head.state`.

        It carries nothing: who wants to know reads. Several commits may become one call.
        """
        self._callbacks.append(callback)
        if self._listener is None:
            connect = partial(connections.connect, self._url, connections.LISTENER)
            self._listener = Listener(connect, lambda: self._writer.process, self._tell)

    async def close(self) -> None:
        """Finish what waits to be written and let go of all connections."""
        if self._listener is not None:
            await self._listener.close()
        await self._writer.close()
        await self._source.close()

    def _tell(self) -> None:
        loop = asyncio.get_running_loop()
        for callback in self._callbacks:
            loop.call_soon(callback)


async def open_store(url: str) -> Store:
    """Open the database, whose schema `watchword migrate` has made.

    Raises SchemaError for one that this version cannot serve, Unavailable where it cannot be reached.
    """
    await must_be_servable(url)
    return Store(url)
