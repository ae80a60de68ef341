"""A connection whose request heads are bounded in size and time."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD: Final = 64 * 1024
"""Bytes of a request line with its headers."""
PATIENCE: Final = 10.0
"""Seconds in which the whole head must have arrived."""
TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Connection(HttpToolsProtocol):  # a class is what uvicorn takes, and by itself it would wait and gather for ever
    """uvicorn's own, which hangs up on heads that are too long or too slow."""

    _head = 0
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A new connection must say something soon."""
        super().connection_made(transport)
        self._late = self.loop.call_later(PATIENCE, self._hang_up)

    def data_received(self, data: bytes) -> None:
        """Take in what came; while a head is not whole, count it and its time."""
        super().data_received(data)
        if self.scope is not None and "path" in self.scope:
            if self._late is not None:
                self._late.cancel()
                self._late, self._head = None, 0
        elif not self.transport.is_closing():
            self._wait_for_more(len(data))

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side has gone, or we hung up."""
        if self._late is not None:
            self._late.cancel()
            self._late = None
        super().connection_lost(exc)

    def _wait_for_more(self, size: int) -> None:
        self._head += size
        if self._head > MAX_HEAD:
            self.transport.write(TOO_LARGE)
            self._hang_up()
        elif self._late is None:
            self._late = self.loop.call_later(PATIENCE, self._hang_up)

    def _hang_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
