"""Stands between a verifier and its issuer, and does to the revocation feed what it is told: `WORD [ARGUMENT]` a line.

Arguments: the port to listen on, the issuer's own port. Until the first line, and after `pass`, it only looks on and
remembers. While it is hostile, nobody gets through to the introspection endpoint. Says `ready`, and each word when it
holds; ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx2

from watchword.jose.b64 import b64url, unb64url
from watchword.jose.jwk import SigningKey

FEED: Final = ("/revocations", "/revocations/stream")
REMEMBERED: Final = 50
"""Messages of each path that are there to be played back."""


class Cut(Exception):
    """Hang up, now."""


@dataclass
class Channel:
    """One answer or stream on its way to a verifier."""

    path: str
    base: str
    """The address of who answers."""
    held: bytes = b""
    """A message that is kept back."""


@dataclass
class Proxy:
    """What is done to the feed, and what was seen of it."""

    upstream: str
    word: str = "pass"
    argument: str = ""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    seen: dict[str, list[bytes]] = field(default_factory=lambda: {path: [] for path in FEED})


Fault = Callable[[Proxy, Channel, bytes], Awaitable[Sequence[bytes]]]
"""From a genuine message to those that are sent in its place. Raises Cut to hang up."""


async def let_pass(proxy: Proxy, channel: Channel, message: bytes) -> Sequence[bytes]:
    """As it is; and it is remembered."""
    proxy.seen[channel.path] = [*proxy.seen[channel.path][-REMEMBERED:], message]
    return [message]


async def cut(proxy: Proxy, channel: Channel, message: bytes) -> Sequence[bytes]:
    """The line is down."""
    raise Cut


async def stall(proxy: Proxy, channel: Channel, message: bytes) -> Sequence[bytes]:
    """The line stands, and nothing comes."""
    await proxy.changed.wait()
    raise Cut


async def delay(proxy: Proxy, channel: Channel, message: bytes) -> Sequence[bytes]:
    """Everything, and so many seconds too late."""
    await asyncio.sleep(float(proxy.argument))
    return [message]


async def reorder(proxy: Proxy, channel: Channel, message: bytes) -> Sequence[bytes]:
    """Each second message before the one that came first."""
    if channel.path == "/revocations":
        return [message]
    held, channel.held = channel.held, b"" if channel.held else message
    return [message, held] if held else []


async def replay(proxy: Proxy, channel: Channel, message: bytes) -> Sequence[bytes]:
    """Each with an older one behind it; a question is answered by the answer to another one."""
    old = random.choice(proxy.seen[channel.path])
    return [message, old] if channel.path != "/revocations" else [old]


async def stream_replay(proxy: Proxy, channel: Channel, message: bytes) -> Sequence[bytes]:
    """As above, but questions get through."""
    return [message] if channel.path == "/revocations" else [message, random.choice(proxy.seen[channel.path])]


async def old(proxy: Proxy, channel: Channel, message: bytes) -> Sequence[bytes]:
    """Validly signed, but of before: nothing that is new gets through."""
    return [random.choice(proxy.seen[channel.path])]


async def truncate(proxy: Proxy, channel: Channel, message: bytes) -> Sequence[bytes]:
    """The first half of a message, as if it were all of it."""
    return [message[: len(message) // 2]]


async def gap(proxy: Proxy, channel: Channel, message: bytes) -> Sequence[bytes]:
    """Heartbeats come, what happened does not; nor do questions get through."""
    if channel.path == "/revocations":
        raise Cut
    return [message] if b"heartbeat" in unb64url(message.split(b".")[0]) else []


async def stream_gap(proxy: Proxy, channel: Channel, message: bytes) -> Sequence[bytes]:
    """What happened is lost on the stream, and can be asked for."""
    return [message] if channel.path == "/revocations" else await gap(proxy, channel, message)


async def forge(proxy: Proxy, channel: Channel, message: bytes) -> Sequence[bytes]:
    """Nothing ever happened, says the payload; the signature is of what was there before."""
    header, payload, signature = message.split(b".")
    return [b".".join((header, _emptied(payload), signature))]


async def sign(proxy: Proxy, channel: Channel, message: bytes) -> Sequence[bytes]:
    """Nothing ever happened, signed by a key of a file: `FILE ALG KID`, PKCS #8."""
    file, alg, kid = proxy.argument.split()
    key = SigningKey.load(await asyncio.to_thread(Path(file).read_bytes), alg)
    typ = json.loads(unb64url(message.split(b".")[0]))["typ"]
    header = b64url(json.dumps({"alg": alg, "kid": kid, "typ": typ}).encode()).encode()
    signed = header + b"." + _emptied(message.split(b".")[1])
    return [signed + b"." + b64url(key.sign(signed)).encode()]


async def elsewhere(proxy: Proxy, channel: Channel, message: bytes) -> Sequence[bytes]:
    """What another issuer says, the one at the port of the argument; who was connected to the true one is cut off."""
    if channel.base != _local(proxy.argument):
        raise Cut
    return [message]


def _local(port: object) -> str:
    return f"http://127.0.0.1:{port}"


def _emptied(payload: bytes) -> bytes:
    said = json.loads(unb64url(payload))
    if "entries" in said:
        said["entries"] = []
    return b64url(json.dumps(said).encode()).encode()


FAULTS: Final[Mapping[str, Fault]] = {
    "pass": let_pass,
    "cut": cut,
    "stall": stall,
    "delay": delay,
    "reorder": reorder,
    "replay": replay,
    "stream-replay": stream_replay,
    "old": old,
    "truncate": truncate,
    "gap": gap,
    "stream-gap": stream_gap,
    "forge": forge,
    "sign": sign,
    "elsewhere": elsewhere,
}


async def serve(
    proxy: Proxy, http: httpx2.AsyncClient, reader: asyncio.StreamReader, out: asyncio.StreamWriter
) -> None:
    """One connection, which ends with its first answer."""
    with suppress(OSError, asyncio.IncompleteReadError, httpx2.HTTPError, Cut):
        line, *rest = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest if each)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        await answer(proxy, http, (method, target, headers, body), out)
    out.close()


Asked = tuple[str, str, Mapping[str, str], bytes]


async def answer(proxy: Proxy, http: httpx2.AsyncClient, asked: Asked, out: asyncio.StreamWriter) -> None:
    """Ask the issuer, and hand on what it says."""
    method, target, headers, body = asked
    path = target.partition("?")[0]
    if proxy.word != "pass" and path == "/introspect":
        raise Cut
    base = _local(proxy.argument) if proxy.word == "elsewhere" and path in FEED else proxy.upstream
    if path in FEED and proxy.word in ("cut", "stall"):
        await FAULTS[proxy.word](proxy, Channel(path, base), b"")
    sent = {name: value for name, value in headers.items() if name not in ("connection", "content-length")}
    async with http.stream(method, base + target, headers=sent, content=body) as found:
        kind = found.headers.get("content-type", "text/plain")
        more = "".join(f"{name}: {found.headers[name]}\r\n" for name in ("cache-control",) if name in found.headers)
        out.write(f"HTTP/1.1 {found.status_code} X\r\nContent-Type: {kind}\r\n{more}Connection: close\r\n\r\n".encode())
        is_feed = path in FEED and found.status_code == 200
        async for chunk in _tampered(proxy, Channel(path, base), found) if is_feed else found.aiter_raw():
            out.write(chunk)
            await out.drain()


async def _tampered(proxy: Proxy, channel: Channel, found: httpx2.Response) -> AsyncIterator[bytes]:
    """A body of the feed, message by message, each as it is told in the moment it comes."""
    is_stream = channel.path == "/revocations/stream"
    if is_stream:
        yield b": \n\n"
    async for part in _parts(found, b"\n\n" if is_stream else b"\n"):
        message = part.partition(b"data: ")[2] if is_stream else part
        if not message:
            yield part + b"\n\n"
            continue
        for each in await FAULTS[proxy.word](proxy, channel, message):
            yield b"data: " + each + b"\n\n" if is_stream else each + b"\n"


async def _parts(found: httpx2.Response, end: bytes) -> AsyncIterator[bytes]:
    left = b""
    async for chunk in found.aiter_raw():
        *parts, left = (left + chunk).split(end)
        for part in parts:
            yield part
    if left:
        yield left


async def main(port: int, upstream: int) -> None:
    """Until standard input ends."""
    proxy = Proxy(_local(upstream))
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx2.AsyncClient(trust_env=False, timeout=None, limits=limits) as http:
        server = await asyncio.start_server(lambda reader, out: serve(proxy, http, reader, out), "127.0.0.1", port)
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            proxy.word, _, proxy.argument = line.strip().partition(" ")
            proxy.changed.set()
            proxy.changed = asyncio.Event()
            print(proxy.word, flush=True)
        server.close()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
