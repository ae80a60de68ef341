"""Readers of the feed's stream that note when each event came, as many as one process can; and some real verifiers.

One JSON object as the argument: `issuer`, `audience`, `port`, `credentials`, `readers` and `verifiers` (how many),
`name`, `log`, `acknowledge` (whether readers do, as verifiers do). Prints `ready` when every one of them has its first
event. A line `[[SEQ, MOMENT], ...]` on standard input, moments of `time.monotonic`, is answered by one JSON object:
`readers` and `verifiers`, the milliseconds from each of these moments until each of them had that SEQ, and `missing`,
how many never had. Ends with standard input.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import resource
import secrets
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any, Final, cast

import uvloop

from watchword import Verifier

ID: Final = re.compile(rb"\nid: ([0-9]+)\n")
OPENING: Final = 20
"""Connections that are opened at once."""
LANES: Final = 25
"""Connections for acknowledgements: an answer takes as long as a write to disk, and the readers do not wait in line."""
LOOK: Final = 0.002
"""Seconds between two looks at where the verifiers stand."""

Seen = list[tuple[int, float]]
"""Up to which `seq` somebody had read, and when."""


class Reader(asyncio.Protocol):
    """One stream."""

    def __init__(self, request: bytes) -> None:
        self.seen: Seen = []
        self.began: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.acknowledged = 0
        self._request = request
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(self._request)  # uvloop's derive from nothing

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        data = self._rest + data
        end = 0
        for found in ID.finditer(data):
            self._take(int(found[1]), now)
            end = found.end()
        self._rest = data[max(end, len(data) - 32) :]  # an id may be cut in two

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.began.done():
            self.began.set_exception(RuntimeError(f"no stream: {self._rest!r}"))

    def _take(self, seq: int, now: float) -> None:
        if not self.seen or seq > self.seen[-1][0]:
            self.seen.append((seq, now))
        if not self.began.done():
            self.began.set_result(None)


class Acknowledging:
    """One connection on which some readers say, each once a second at most, what they have."""

    def __init__(self, settings: Mapping[str, Any], pairs: Sequence[tuple[str, Reader]]) -> None:
        self._settings, self._pairs = settings, pairs
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self) -> None:
        """For ever; each reader has its own moment within the second."""
        while True:
            began = time.monotonic()
            for place, (name, one) in enumerate(self._pairs):
                await asyncio.sleep(max(0.0, began + place / len(self._pairs) - time.monotonic()))
                if (seq := one.seen[-1][0]) > one.acknowledged:
                    await self._send(self._message(name, seq))
                    one.acknowledged = seq
            await asyncio.sleep(max(0.0, began + 1 - time.monotonic()))

    async def _send(self, message: bytes) -> None:
        """On the connection that stands, or on a new one: an idle one is hung up on."""
        for _ in range(2):
            if self._line is None:
                self._line = await asyncio.open_connection("127.0.0.1", self._settings["port"])
            reader, writer = self._line
            writer.write(message)
            with suppress(OSError, asyncio.IncompleteReadError):
                await _answer(reader)
                return
            self._line = None

    def _message(self, name: str, seq: int) -> bytes:
        body = json.dumps({"verifier": name, "log": self._settings["log"], "seq": seq}).encode()
        lines = (
            "POST /revocations/ack HTTP/1.1",
            f"Host: localhost:{self._settings['port']}",
            f"Authorization: {basic(self._settings['credentials'])}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        )
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def _answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 204 " not in head.split(b"\r\n", 1)[0]:
        raise RuntimeError(f"an acknowledgement was answered with {head[:200]!r}")


def basic(credentials: Sequence[str]) -> str:
    """HTTP Basic."""
    return f"Basic {b64encode(':'.join(credentials).encode()).decode()}"


def asked(settings: Mapping[str, Any], name: str) -> bytes:
    """What opens a stream; it begins with a snapshot."""
    lines = (
        "GET /revocations/stream HTTP/1.1",
        f"Host: localhost:{settings['port']}",
        f"Authorization: {basic(settings['credentials'])}",
        f'Watchword-Verifier: {name}; name="{settings["name"]}"; refuse-after=60',
        "Accept: text/event-stream",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def opened(settings: Mapping[str, Any], names: Sequence[str]) -> list[Reader]:
    """The streams, every one of which has begun."""
    loop, gate = asyncio.get_running_loop(), asyncio.Semaphore(OPENING)

    async def one(name: str) -> Reader:
        async with gate:
            _, reader = await loop.create_connection(
                lambda: Reader(asked(settings, name)), "127.0.0.1", settings["port"]
            )
            await reader.began
            return reader

    return await asyncio.gather(*map(one, names))


async def followed(verifiers: Sequence[Verifier], seen: Sequence[Seen]) -> None:
    """Look for ever at where the verifiers stand."""
    while True:
        for one, its in zip(verifiers, seen, strict=True):
            seq = one.freshness.seq
            if not its or seq > its[-1][0]:
                its.append((seq, time.monotonic()))
        await asyncio.sleep(LOOK)


def delays(answers: Sequence[tuple[int, float]], seen: Seen) -> Iterator[float | None]:
    """Milliseconds from each answer until that `seq` was read; None where it never was."""
    found = iter(seen)
    reached, moment = next(found)
    for seq, answered in answers:
        while reached < seq:
            try:
                reached, moment = next(found)
            except StopIteration:
                break
        yield max(0.0, 1000 * (moment - answered)) if reached >= seq else None


def told(answers: Sequence[tuple[int, float]], readers: Sequence[Seen], verifiers: Sequence[Seen]) -> str:
    """The answer to a question."""
    found = {
        name: [round(each, 2) if each is not None else None for seen in these for each in delays(answers, seen)]
        for name, these in (("readers", readers), ("verifiers", verifiers))
    }
    missing = sum(each is None for these in found.values() for each in these)
    kept = {name: [each for each in these if each is not None] for name, these in found.items()}
    return json.dumps({**kept, "missing": missing})


async def main(settings: Mapping[str, Any]) -> None:
    """Until standard input ends."""
    loop, questions = asyncio.get_running_loop(), asyncio.Queue[str | None]()
    names = [secrets.token_urlsafe(16) for _ in range(settings["readers"])]
    with ExitStack() as stack:
        verifiers = [
            stack.enter_context(
                Verifier(
                    issuer=settings["issuer"], audience=settings["audience"], credentials=tuple(settings["credentials"])
                )
            )
            for _ in range(settings["verifiers"])
        ]
        followers: list[Seen] = [[] for _ in verifiers]
        readers = await opened(settings, names)
        while not all(each.freshness.state == "fresh" for each in verifiers):
            await asyncio.sleep(0.02)
        tasks = [loop.create_task(followed(verifiers, followers))]
        if settings["acknowledge"]:
            pairs = list(zip(names, readers, strict=True))
            lanes = [pairs[place::LANES] for place in range(LANES)]
            tasks += [loop.create_task(Acknowledging(settings, lane).run()) for lane in lanes if lane]

        def read() -> None:
            for line in sys.stdin:
                loop.call_soon_threadsafe(questions.put_nowait, line)
            loop.call_soon_threadsafe(questions.put_nowait, None)

        threading.Thread(target=read, daemon=True).start()
        print("ready", flush=True)
        while (line := await questions.get()) is not None:
            for task in tasks:
                if task.done():
                    task.result()
            print(told(json.loads(line), [each.seen for each in readers], followers), flush=True)
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    logging.basicConfig(format="~ %(message)s", level=logging.WARNING)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.run(main(json.loads(sys.argv[1])))
