"""A connection: request heads bounded in size and time, and the express lane of the token endpoint."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from watchword_server.web.express import MAX_BODY, Express, Ticket

MAX_KEPT: Final = 4096
"""Bytes of the longest request that is compared with the next one."""
MAX_HEAD: Final = 64 * 1024
"""Bytes of a request line with its headers."""
PATIENCE: Final = 10.0
"""Seconds in which the whole head must have arrived."""
KEEP_ALIVE: Final = 30
"""Seconds that an idle connection stays open."""
TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Connection(HttpToolsProtocol):  # a class is what uvicorn takes, and by itself it would wait and gather for ever
    """uvicorn's own, which hangs up on heads that are too long or too slow, and asks the express lane first.

    A request that may be for the express lane is held back while what came is read. If it is not whole then, or the
    lane does not know it, uvicorn gets all of it, as if it had come just now. While one is in the lane (`_owed`),
    nothing else of this connection is answered: whoever pipelines behind it is hung up on after the answer, and may
    ask again (RFC 9112 §9.3.2).
    """

    def __init__(self, express: Express, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._express = express
        self._head = 0
        self._late: asyncio.TimerHandle | None = None
        self._whole = False
        self._held: list[bytes] | None = None
        self._owed = False
        self._last = False
        self._idle: asyncio.TimerHandle | None = None
        self._active = 0.0
        # The bytes of a request that the lane took whole, and the ticket that it gave.
        self._kept = b""
        self._ticket: Ticket | None = None
        self._between = True
        self._requests = 0

    def connection_made(self, transport: Any) -> None:
        """A new connection must say something soon."""
        super().connection_made(transport)
        self._late = self.loop.call_later(PATIENCE, self._hang_up)

    def data_received(self, data: bytes) -> None:
        """Take in what came; while a head is not whole, count it and its time."""
        if self._came_again(data):
            return
        between, self._requests = self._between, 0
        super().data_received(data)
        if between and self._owed and self._between and self._requests == 1 and len(data) <= MAX_KEPT:
            self._kept = data
        if self._held is not None:
            # The rest may come late or never: uvicorn and the door know how long to wait, and how to end.
            self._hand_over_held()
        if self._whole:
            if self._late is not None:
                self._late.cancel()
                self._late, self._head = None, 0
        elif not self.transport.is_closing():
            self._wait_for_more(len(data))

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side has gone, or we hung up."""
        for timer in (self._late, self._idle):
            if timer is not None:
                timer.cancel()
        self._late = self._idle = None
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What came is not HTTP. Behind a request that still waits for its answer, this would be taken for that."""
        if not self._behind():
            super().send_400_response(msg)

    def leave(self) -> None:
        """The server is going to stop: what is being answered is the last. Who is idle may have asked just now."""
        if self._owed:
            self._last = True
        elif self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """The server stops: what is owed is still answered."""
        if self._owed:
            self._last = True
        elif self._is_idle() and self.transport.get_extra_info("ssl_object") is not None:
            # To close would wait for the other side's goodbye, and it may have gone long ago.
            self.transport.abort()
        else:
            super().shutdown()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A request begins. Its scope is made when uvicorn is to answer it."""
        self._last = self._last or self._owed
        self._requests += 1
        self._whole, self._between, self._held = False, False, None
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._whole = True
        if self._owed:
            return
        if self.url == self._express.path and self._free() and self._plain_post():
            self._held = []
        else:
            self._hand_over()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if self._owed:
            return
        if self._held is None:
            super().on_body(body)
            return
        self._held.append(body)
        if sum(map(len, self._held)) > MAX_BODY:
            self._hand_over_held()

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._between = True
        if self._owed:
            return
        if self._held is not None:
            self._kept = b""
            self._ticket = self._express.take(self, self.client, self.headers, b"".join(self._held))
            if self._ticket is not None:
                self._owed, self._held = True, None
                return
            self._hand_over_held()
        super().on_message_complete()

    # The express lane.

    def deliver(self, response: bytes) -> None:
        """The answer to what is owed."""
        self._owed = False
        if self.transport.is_closing():
            return
        lines = self._express.lines(self.server_state.default_headers)
        self._last = self._last or self._express.stopping
        if self._last:
            lines += b"connection: close\r\n"
        self.transport.write(response.replace(b"\r\n", lines, 1))
        self.server_state.total_requests += 1
        if self._last:
            self.transport.close()
            return
        self._active = self.loop.time()
        if self._idle is None:
            self._idle = self.loop.call_later(KEEP_ALIVE, self._rest)

    def _came_again(self, data: bytes) -> bool:
        """Whether this is, to the byte, the last request that the lane took, and it takes it again.

        The parser would find in it what it found before, so it is not asked.
        """
        if data != self._kept or self._ticket is None or self._owed or not self._between or not self._free():
            return False
        self._owed = self._express.take_again(self, self._ticket)
        if self._owed:
            self._unset_keepalive_if_required()
        return self._owed

    def _free(self) -> bool:
        """Whether nothing else of this connection is being answered, and the other side reads."""
        return (self.cycle is None or self.cycle.response_complete) and not self.flow.write_paused

    def _plain_post(self) -> bool:
        parser = self.parser
        return parser.get_method() == b"POST" and parser.should_keep_alive() and parser.get_http_version() == "1.1"

    def _hand_over(self) -> None:
        """Let uvicorn answer, from the head on."""
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.headers += headers
        self.url, self.expect_100_continue = url, expect
        super().on_headers_complete()

    def _hand_over_held(self) -> None:
        parts, self._held = self._held or [], None
        self._hand_over()
        for part in parts:
            super().on_body(part)

    def _rest(self) -> None:
        """One timer a connection, looked at again when it is due: cheaper than one a request."""
        self._idle = None
        if self.timeout_keep_alive_task is not None:
            return  # uvicorn has answered since, and waits by itself
        left = self._active + KEEP_ALIVE - self.loop.time()
        if left <= 0 and not self._owed and self._free() and self._late is None:
            self._hang_up()
        elif not self.transport.is_closing():
            self._idle = self.loop.call_later(max(left, 1.0), self._rest)

    # Heads.

    def _wait_for_more(self, size: int) -> None:
        self._head += size
        if self._head > MAX_HEAD and self._behind():
            self.flow.pause_reading()
        elif self._head > MAX_HEAD:
            self.transport.write(TOO_LARGE)
            self._hang_up()
        elif self._late is None:
            self._late = self.loop.call_later(PATIENCE, self._hang_up)

    def _behind(self) -> bool:
        """Whether a whole request still waits for its answer; then that is the last one of this connection."""
        if self._owed:
            self._last = True
            return True
        cycle = self.cycle
        if cycle is None or cycle.response_complete or (cycle.more_body and not self.pipeline):
            return False
        cycle.keep_alive = False
        return True

    def _hang_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
