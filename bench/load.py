"""A load generator in a process of its own: keep-alive connections that ask for tokens as fast as they are answered.

`python -m bench.load` reads one JSON Job from standard input and prints one JSON Outcome. Every answer has to be a 200
with an access token of its own, so that a server which errs or repeats itself is never called fast.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Final, Literal, cast

import msgspec
import uvloop

END: Final = b"\r\n\r\n"
LENGTH: Final = b"content-length:"
TOKEN: Final = b'"access_token":"'
REFRESH_TOKEN: Final = b'"refresh_token":"'
REFRESH: Final = "{refresh_token}"
CODE: Final = "{code}"
DEADLINE: Final = 120.0
"""Seconds after which a run that has not ended is a failure."""


class Job(msgspec.Struct, frozen=True):
    """What to send where, how often, on how many connections at once.

    `refresh` has a refresh token for each connection: it stands in the request as REFRESH, and each answer brings the
    next. `codes` has what stands in each request as CODE, once. All of a kind are equally long. `expects` are further
    tokens that every answer must hold, by their names.
    """

    host: str
    port: int
    request: str
    count: int
    connections: int
    refresh: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    expects: tuple[str, ...] = ()


class Outcome(msgspec.Struct, frozen=True):
    """What came of a job. `seconds` is wall time; latencies are in milliseconds; `answer` is the last body."""

    seconds: float
    p50: float
    p99: float
    first: str
    last: str
    answer: str
    refresh: tuple[str, ...] = ()


class Run:
    """One job under way: how many requests are still to be sent, and what came back."""

    def __init__(self, job: Job, done: asyncio.Future[None]) -> None:
        self.request: Final = job.request.encode()
        self.codes: Final = [code.encode() for code in job.codes]
        self.expects: Final = [f'"{name}":"'.encode() for name in job.expects]
        self.unsent = job.count
        self.unanswered = job.count
        self.done: Final = done
        self.latencies: list[float] = []
        self.tokens: list[bytes] = []
        self.answer = b""

    def take(self, latency: float, body: bytes) -> None:
        self.latencies.append(latency)
        self.tokens.append(token_in(body))
        for name in self.expects:
            token_in(body, name)
        self.answer = body
        self.unanswered -= 1
        if not self.unanswered and not self.done.done():
            self.done.set_result(None)

    def fail(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(reason))


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request in flight."""

    def __init__(self, run: Run, refresh: str) -> None:
        self._run: Final = run
        self.refresh = refresh.encode()
        self._write: Callable[[bytes], None]
        self._buffer = b""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = cast(asyncio.Transport, transport).write  # uvloop's transports derive from nothing
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            body = whole_body(self._buffer)
            if body is None:
                return
            self._buffer = b""
            if self.refresh:
                self.refresh = token_in(body, REFRESH_TOKEN)
            self._run.take(time.perf_counter() - self._sent, body)
        except ValueError as error:
            self._run.fail(str(error))
            return
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.fail(f"the server closed a connection: {exc}")

    def _send(self) -> None:
        if not self._run.unsent:
            return
        self._run.unsent -= 1
        self._sent = time.perf_counter()
        self._write(self._request())

    def _request(self) -> bytes:
        request = self._run.request
        if self._run.codes:
            return request.replace(CODE.encode(), self._run.codes.pop())
        return request.replace(REFRESH.encode(), self.refresh) if self.refresh else request


def whole_body(response: bytes) -> bytes | None:
    """The body of one HTTP response; None while bytes are missing, ValueError when it is not a plain 200."""
    head_end = response.find(END)
    if head_end < 0:
        return None
    if not response.startswith(b"HTTP/1.1 200 "):
        raise ValueError(f"not a 200: {response[:300]!r}")
    head = response[:head_end].lower()
    at = head.find(LENGTH)
    if at < 0:
        raise ValueError("no Content-Length")
    length = int(head[at + len(LENGTH) :].split(b"\r\n", 1)[0])
    body = response[head_end + len(END) :]
    if len(body) > length:
        raise ValueError("more bytes than the response has")
    return body if len(body) == length else None


def token_in(body: bytes, name: bytes = TOKEN) -> bytes:
    """A token of a token response, cut out without parsing: the generator must not be the bottleneck.

    ValueError where there is none, or an empty one.
    """
    at = body.find(name)
    if at < 0:
        raise ValueError(f"no {name.decode()} in {body[:300]!r}")
    start = at + len(name)
    found = body[start : body.index(b'"', start)]
    if not found:
        raise ValueError(f"an empty {name.decode()}")
    return found


async def carry_out(job: Job) -> Outcome:
    """Run a job to its end. RuntimeError for any answer that is not what was asked for."""
    loop = asyncio.get_running_loop()
    run = Run(job, loop.create_future())
    began = time.perf_counter()
    tokens = job.refresh or ("",) * job.connections
    opened = [loop.create_connection(partial(Connection, run, token), job.host, job.port) for token in tokens]
    connections = [connection for _, connection in await asyncio.gather(*opened)]
    await asyncio.wait_for(run.done, DEADLINE)
    seconds = time.perf_counter() - began
    if len(set(run.tokens)) != job.count:
        raise RuntimeError("the server gave one token twice")
    p50, p99 = (rank(run.latencies, share) * 1000 for share in (0.5, 0.99))
    following = tuple(connection.refresh.decode() for connection in connections) if job.refresh else ()
    first, last = run.tokens[0].decode(), run.tokens[-1].decode()
    return Outcome(seconds, p50, p99, first, last, run.answer.decode(), following)


def rank(values: list[float], share: float) -> float:
    """The value below which `share` of all values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def main() -> Literal[0]:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    outcome = uvloop.run(carry_out(job))
    sys.stdout.write(msgspec.json.encode(outcome).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
