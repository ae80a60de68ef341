"""An answer in lines: each as it comes, bounded in length and in time, whatever the server does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing, suppress
from socket import socket

import pytest

from tests.sdk.hostile_server import (
    HEAD,
    HostileServer,
    answering,
    bomb,
    drip,
    endless,
    hang,
    hanging_up,
    redirecting,
)
from watchword.errors import CannotDecide
from watchword.wire.exchange import client, lines_of


async def lines(
    behave: Callable[[HostileServer, socket], None], seconds: float = 5.0, more: float = 5.0
) -> list[bytes]:
    """What is read of a server's answer; an empty line stands for where it failed."""
    server = HostileServer(behave)
    found: list[bytes] = []
    try:
        async with client(server.url) as http:
            read = lines_of(http, server.url, seconds=seconds, more=more, headers={}, params={}, limit=1000)
            async with aclosing(read):
                with suppress(CannotDecide):
                    async for line in read:
                        found.append(line)  # noqa: PERF401  # what came before a failure stays
                    return found
        return [*found, b""]
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", []),
        (b"one", [b"one"]),
        (b"one\n", [b"one"]),
        (b"one\ntwo\n", [b"one", b"two"]),
        (b"one\n\ntwo", [b"one", b"", b"two"]),
        (b"x" * 1000 + b"\n" + b"y" * 1000, [b"x" * 1000, b"y" * 1000]),
        (b"one\n" + b"x" * 1001, [b""]),
        (b"x" * 1001 + b"\none\n", [b""]),
    ],
)
async def test_a_body_is_its_lines(body: bytes, expected: list[bytes]) -> None:
    """Each of the length that is allowed; the last may lack its end."""
    found = await lines(answering(body))
    assert found == expected or (expected == [b""] and found[-1] == b"")


def one_and(behave: Callable[[HostileServer, socket], None]) -> Callable[[HostileServer, socket], None]:
    """A good line first."""

    def both(server: HostileServer, connection: socket) -> None:
        server.send(connection, HEAD + b"Content-Length: 60000\r\n\r\none\n")
        behave(server, connection)

    return both


@pytest.mark.parametrize("behave", [hang, drip, hanging_up, endless, bomb("gzip"), redirecting("http://127.0.0.1:1/")])
async def test_a_server_that_misbehaves_is_left(behave: Callable[[HostileServer, socket], None]) -> None:
    """In time, and with no more of it read than is allowed."""
    assert await lines(behave, seconds=0.5) == [b""]


def trickle(server: HostileServer, connection: socket) -> None:
    """A byte each twentieth of a second, and no end of the line."""
    while not server.stopped.wait(0.05):
        server.send(connection, b" ")


@pytest.mark.parametrize("behave", [hang, trickle, hanging_up])
async def test_what_came_before_it_misbehaved_was_read(behave: Callable[[HostileServer, socket], None]) -> None:
    """A line is there when it has come; the next one has its own time."""
    assert await lines(one_and(behave), more=0.3) == [b"one", b""]
