"""The revocation feed over HTTP: a snapshot, what followed, and a live stream (docs/feed.md)."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.routing import Route

from watchword.log import LINES
from watchword_server.flows.feed import Event
from watchword_server.flows.leases import Tenant
from watchword_server.ports import Unavailable
from watchword_server.protocol.errors import InvalidRequest
from watchword_server.protocol.values import Api
from watchword_server.web.asgi import NO_STORE, Answer, Header, Receive, Scope, Send
from watchword_server.web.bodies import single
from watchword_server.web.front import Front
from watchword_server.web.refusals import CredentialsMissing
from watchword_server.web.verifiers import api_of, tenant

RETRY: Final = 1000
"""Milliseconds after which a reader that was cut off should come again; it adds its own jitter."""
STALL: Final = 30.0
"""Seconds that a reader may leave its connection full before it is cut off."""
SYNTAX: Final[Mapping[str, re.Pattern[str]]] = {
    "after": re.compile(r"0|[1-9][0-9]{0,15}"),
    "log": re.compile(r"[A-Za-z0-9_-]{1,64}"),
    "nonce": re.compile(r"[A-Za-z0-9_-]{16,64}"),
}

GOODBYE: Final = b"event: goodbye\nretry: 0\n\n"
"""This node stops, others do not: come again at once."""

_JWT: Final[Header] = (b"content-type", b"application/jwt")
_LINES: Final[Header] = (b"content-type", LINES.encode("ascii"))
_STREAM: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    NO_STORE,
    (b"x-accel-buffering", b"no"),  # a proxy that buffers would hold revocations back
)

logger = logging.getLogger(__name__)


def routes(front: Front) -> list[Route]:
    """Both are for APIs with their credentials, or for everybody where the operator says so."""
    return [
        Route(f"{front.path}/revocations", partial(_read, front)),
        Route(f"{front.path}/revocations/stream", partial(_stream, front), methods=["GET"]),
    ]


async def _read(front: Front, request: Request) -> Answer | Lines:
    reader = await _reader(front, request.scope)
    given = _parameters(request.scope, "after", "log", "nonce")
    nonce, log = given.get("nonce", ""), given.get("log", "")
    after = int(given["after"]) if "after" in given else None
    verifier = await tenant(front, request.scope, reader, log, after)
    feed = front.issuer.feed
    if _takes_pages(request.scope):
        events = feed.in_pages(log, after, nonce)
        return Lines(await anext(events), events, verifier)
    event = await (feed.snapshot(nonce) if after is None else feed.since(log, after, nonce))
    if verifier is not None:
        await verifier.cover(event.time)
    return Answer(200, event.text.encode("ascii"), (_JWT, NO_STORE))


async def _stream(front: Front, request: Request) -> Stream:
    reader = await _reader(front, request.scope)
    given = _parameters(request.scope, "after", "log")
    seen = single(request.scope, b"last-event-id") or given.get("after")
    if seen is not None and not SYNTAX["after"].fullmatch(seen):
        raise InvalidRequest("Last-Event-ID is malformed")
    if front.stopping.is_set():
        raise Unavailable("this server stops; another one streams")
    log, after = given.get("log"), None if seen is None else int(seen)
    verifier = await tenant(front, request.scope, reader, log or "", after)
    events = front.issuer.feed.stream(log, after, whole=not _takes_pages(request.scope))
    # The first event is made before the answer begins: until then a failure still has a status of its own.
    return Stream(await anext(events), events, verifier)


@dataclass(frozen=True, slots=True)
class Lines:
    """An answer of several messages, one a line, each made when the one before it was sent."""

    first: Event
    events: AsyncIterator[Event]
    verifier: Tenant | None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them. What fails half-way ends there: without the message that closes it nobody takes it for whole."""
        await send({"type": "http.response.start", "status": 200, "headers": [_LINES, NO_STORE]})
        hangup = asyncio.create_task(_hangup(receive))
        try:
            await self._push(send, self.first)
            async for event in self.events:
                if hangup.done():
                    return
                await self._push(send, event)
        except (Unavailable, TimeoutError) as error:
            logger.info("pages cut off", extra={"reason": f"{type(error).__name__}: {error}"})
        finally:
            hangup.cancel()
        await send({"type": "http.response.body", "body": b""})

    async def _push(self, send: Send, event: Event) -> None:
        if self.verifier is not None:
            await self.verifier.cover(event.time)
        await _push(send, event.text.encode("ascii") + b"\n")


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream of server-sent events, for as long as somebody reads it."""

    first: Event
    events: AsyncIterator[Event]
    verifier: Tenant | None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them as they come; ends with the feed, and a goodbye, with the reader, or a database that fails."""
        await send({"type": "http.response.start", "status": 200, "headers": [*_STREAM]})
        hangup = asyncio.create_task(_hangup(receive))
        if self.verifier is not None:
            self.verifier.listen(hangup)
        try:
            await self._push(send, self.first, b"retry: %d\n\n" % RETRY)
            async for event in self.events:
                if hangup.done():
                    return
                await self._push(send, event)
            await _push(send, GOODBYE)
        except (Unavailable, TimeoutError) as error:
            logger.info("stream cut off", extra={"reason": f"{type(error).__name__}: {error}"})
        finally:
            hangup.cancel()
        await send({"type": "http.response.body", "body": b""})

    async def _push(self, send: Send, event: Event, before: bytes = b"") -> None:
        if self.verifier is not None:
            await self.verifier.cover(event.time)
        await _push(send, before + _framed(event))


async def _hangup(receive: Receive) -> None:
    """Returns when the reader is gone. Heartbeats come every two seconds, so it is noticed within them."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _push(send: Send, chunk: bytes) -> None:
    async with asyncio.timeout(STALL):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})


def _framed(event: Event) -> bytes:
    """WHATWG HTML §9.2.5."""
    return f"event: {event.kind}\nid: {event.seq}\ndata: {event.text}\n\n".encode("ascii")


def _takes_pages(scope: Scope) -> bool:
    """Whether what is too long for one message may come in several."""
    return LINES in (single(scope, b"accept") or "")


async def _reader(front: Front, scope: Scope) -> Api | None:
    """An API with its credentials, or anybody where none are needed; those that are sent must be good even there."""
    api = await api_of(front, scope)
    if api is None and not front.issuer.terms.feed_public:
        raise CredentialsMissing("the feed is read with an API's credentials")
    return api


def _parameters(scope: Scope, *names: str) -> Mapping[str, str]:
    """The parameters that are known here, each once and well formed; what is not known is refused."""
    try:
        pairs = parse_qsl(scope["query_string"].decode("ascii"), keep_blank_values=True, max_num_fields=8)
    except ValueError as error:
        raise InvalidRequest("the query is malformed") from error
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidRequest("a parameter appears twice")
    for name, value in found.items():
        if name not in names:
            raise InvalidRequest("a parameter is unknown here")
        if not SYNTAX[name].fullmatch(value):
            raise InvalidRequest(f"{name} is malformed")
    return found
