"""SIGTERM: nobody is cut off who was asked to come, everybody is told to go elsewhere, and it ends in time."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.server.web.follower import Follower
from tests.server.web.served import Served, basic, served
from tests.server.web.test_verifiers import revocation
from tests.server.web.wire import Wire, get, known
from tests.stories.oidf.provider import provider
from tests.stories.processes import until
from watchword_server.web.serving import GRACE, LINGER

STREAM = "/revocations/stream"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Served]:
    """A server to stop."""
    with served(tmp_path) as found:
        yield found


def stop(server: Served) -> None:
    """Ask it to end."""
    server.program.process.send_signal(signal.SIGTERM)


def everything(wire: Wire) -> bytes:
    """What comes until the server hangs up."""
    came = b""
    while part := wire.socket.recv(65536):
        came += part
    return came


def ended(server: Served, within: float) -> None:
    """It has to, by itself, and well."""
    assert server.program.process.wait(within) == 0, server.program.said
    assert "Traceback" not in server.program.said


def test_who_comes_while_it_stops_is_answered_once_more(own: Served) -> None:
    """Not ready, at once; every answer is the last of its connection, in the express lane too; then it ends.

    A new stream is refused, with the time to come again: another node has it.
    """
    express = known(own)
    with ExitStack() as stack:
        idle, lane, reader, _ = (stack.enter_context(Wire(own)) for _ in range(4))
        assert idle.ask(get("/readyz")).status == 200
        assert reader.ask(get("/readyz")).status == 200
        assert lane.ask(express).express
        start = time.monotonic()
        stop(own)
        until(lambda: "stopping" in own.http.get("/readyz").text)
        ready = idle.ask(get("/readyz"))
        assert (ready.status, ready.json) == (503, {"status": "not ready", "reason": "stopping"})
        assert ready.one("connection") == "close"
        token = lane.ask(express)
        assert (token.status, token.express, token.one("connection")) == (200, True, "close")
        stream = reader.ask(get(STREAM, f"Authorization: {basic(own.known.api)}"))
        assert (stream.status, stream.one("connection"), stream.one("retry-after")) == (503, "close", "2")
        assert time.monotonic() - start < LINGER, "this machine is too slow to tell"
        assert (idle.rest(), lane.rest(), reader.rest()) == ([], [], [])
    ended(own, 5)


def test_who_is_being_answered_hears_the_end(own: Served) -> None:
    """Each in its way, and on a connection that ends with it.

    A stream says goodbye: nothing is wrong, come again at once. Who waits for verifiers hears how things stand. A
    request whose body came after the signal is answered.
    """
    follower = Follower(own, own.known.api)
    waiting, slow = revocation(own, own.token().json()["access_token"], "wait=10"), revocation(own, "unknown", "wait=0")
    said = [f"{name}: {value}" for name, value in follower.header.items()]
    with Wire(own) as stream, Wire(own) as idle, Wire(own) as waiter, Wire(own) as sender:
        stream.send(get(STREAM, f"Authorization: {basic(follower.api)}", *said))
        assert not stream.quiet(5), "it has begun, so its reader is on record"
        assert idle.ask(get("/readyz")).status == 200
        waiter.send(waiting)
        sender.send(slow[:-4])
        assert waiter.quiet(0.3)
        start = time.monotonic()
        stop(own)
        streamed = everything(stream)
        assert idle.ask(get("/readyz")).status == 503, "the stream's connection was ended late, with the idle ones"
        assert streamed.count(b"event: goodbye\nretry: 0\n\n") == 1
        assert streamed.endswith(b"event: goodbye\nretry: 0\n\n\r\n0\r\n\r\n")
        verifiers = (told := waiter.answer()).json["revocation"]["verifiers"]
        assert time.monotonic() - start < 5
        assert (verifiers["known"], len(verifiers["silent"]), told.one("connection")) == (1, 1, "close")
        assert sender.quiet(LINGER + 0.5)
        sender.send(slow[-4:])
        answer = sender.answer()
        assert (answer.status, answer.one("connection")) == (200, "close")
    ended(own, 5)


@pytest.mark.fault
def test_who_never_ends_does_not_keep_it(own: Served) -> None:
    """A body that never comes is cut off in the end."""
    with socket.create_connection(("127.0.0.1", own.port)) as connection:
        connection.sendall(revocation(own, "x", "wait=0")[:-1])
        until(lambda: own.http.get("/healthz").status_code == 200)
        start = time.monotonic()
        stop(own)
        ended(own, LINGER + GRACE + 5)
        assert time.monotonic() - start < LINGER + GRACE + 3


def test_a_second_signal_ends_it_at_once(own: Served) -> None:
    """Whoever is still there."""
    with socket.create_connection(("127.0.0.1", own.port)) as connection:
        connection.sendall(revocation(own, "x", "wait=0")[:-1])
        until(lambda: own.http.get("/healthz").status_code == 200)
        start = time.monotonic()
        stop(own)
        until(lambda: "stopping" in own.http.get("/readyz").text)
        stop(own)
        own.program.process.wait(5)
        assert time.monotonic() - start < 5


@pytest.mark.fault
def test_an_idle_connection_over_tls_does_not_keep_it(tmp_path: Path) -> None:
    """Whose other side does not say goodbye, as programs that keep connections never do in time."""
    with provider(tmp_path) as own:
        assert own.wire().get(f"{own.issuer}/healthz").status == 200  # and the connection stays open
        assert own.program is not None
        start = time.monotonic()
        own.program.process.send_signal(signal.SIGTERM)
        own.program.process.wait(GRACE)
        assert time.monotonic() - start < LINGER + 2


@pytest.mark.fault
def test_without_anybody_it_ends_at_once(own: Served) -> None:
    """Nobody has to be told."""
    own.http.close()
    start = time.monotonic()
    stop(own)
    ended(own, 5)
    assert time.monotonic() - start < LINGER + 2
