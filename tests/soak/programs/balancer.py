"""A small TCP load balancer: `PORT NODE [NODE ...]`, all of them ports on loopback.

Every connection goes to the next node whose `/readyz` says 200, as in front of any deployment; one that refuses a
connection gets no other until it is ready again. Prints `ready` when it listens.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, cast

import uvloop

EVERY: Final = 0.1
"""Seconds between two looks at a node."""
PATIENCE: Final = 1.0
"""Seconds for its answer."""
TRIES: Final = 3
"""Answers in a row that may be missing."""
LAST: Final = 5.0
"""Seconds that a connection waits while no node is ready."""
ASK: Final = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Nodes:
    """Which nodes are ready, and whose turn it is."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports: Final = ports
        self._ready: set[int] = set()
        self._turn = 0

    def next(self) -> int | None:
        """The port of the next one that is ready; None when there is none."""
        for _ in self._ports:
            self._turn = (self._turn + 1) % len(self._ports)
            if self._ports[self._turn] in self._ready:
                return self._ports[self._turn]
        return None

    def lost(self, port: int) -> None:
        """It refused a connection."""
        self._ready.discard(port)

    async def watch(self, port: int) -> None:
        """Ask it for ever whether it is ready."""
        failed = 0
        while True:
            failed = 0 if await _is_ready(port) else failed + 1
            if not failed:
                self._ready.add(port)
            elif failed >= TRIES:  # one slow answer is no outage
                self._ready.discard(port)
            await asyncio.sleep(EVERY)


class End(asyncio.Protocol):
    """One end of a connection that is passed through; what it reads, the other end writes."""

    def __init__(self, nodes: Nodes | None) -> None:
        self._nodes = nodes
        self._other: End | None = None
        self._transport: asyncio.Transport | None = None
        self._opening: asyncio.Task[None] | None = None
        self._early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's derive from nothing
        if self._nodes is not None:
            self._opening = asyncio.get_running_loop().create_task(self._open(self._nodes))

    def data_received(self, data: bytes) -> None:
        if self._other is None:
            self._early += data
        elif self._other._transport is not None:
            self._other._transport.write(data)

    def pause_writing(self) -> None:
        if self._other is not None and self._other._transport is not None:
            self._other._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._other is not None and self._other._transport is not None:
            self._other._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._other is not None and self._other._transport is not None:
            self._other._transport.close()

    async def _open(self, nodes: Nodes) -> None:
        """Find a node for a client; whoever finds none in time is hung up on."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST):
                self._other = await self._connected(nodes)
        if self._transport is not None and self._other is not None and self._other._transport is not None:
            self._other._transport.write(self._early)
            return
        for end in (self, self._other):
            if end is not None and end._transport is not None:
                end._transport.close()

    async def _connected(self, nodes: Nodes) -> End:
        loop = asyncio.get_running_loop()
        while True:
            port = nodes.next()
            if port is None:
                await asyncio.sleep(EVERY)
                continue
            other = End(None)
            other._other = self
            try:
                await loop.create_connection(lambda other=other: other, "127.0.0.1", port)
            except OSError:
                nodes.lost(port)
                continue
            return other


async def _is_ready(port: int) -> bool:
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(ASK)
            line = await reader.readline()
            writer.close()
            return line.startswith(b"HTTP/1.1 200 ")
    return False


async def main(port: int, ports: Sequence[int]) -> None:
    """Until it is ended."""
    nodes = Nodes(ports)
    async with asyncio.TaskGroup() as tasks:
        for each in ports:
            tasks.create_task(nodes.watch(each))
        server = await asyncio.get_running_loop().create_server(lambda: End(nodes), "127.0.0.1", port, backlog=2048)
        print("ready", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), [int(each) for each in sys.argv[2:]]))
