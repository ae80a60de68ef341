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

from watchword_server.flows.feed import Event
from watchword_server.ports import Unavailable
from watchword_server.protocol.client_authentication import authenticated_api, presented
from watchword_server.protocol.errors import InvalidRequest
from watchword_server.web.asgi import NO_STORE, Answer, Header, Receive, Scope, Send
from watchword_server.web.bodies import single
from watchword_server.web.front import Front
from watchword_server.web.refusals import CredentialsMissing

RETRY: Final = 1000
"""Milliseconds after which a reader that was cut off should come again; it adds its own jitter."""
STALL: Final = 30.0
"""Seconds that a reader may leave its connection full before it is cut off."""
SYNTAX: Final[Mapping[str, re.Pattern[str]]] = {
    "after": re.compile(r"0|[1-9][0-9]{0,15}"),
    "log": re.compile(r"[A-Za-z0-9_-]{1,64}"),
    "nonce": re.compile(r"[A-Za-z0-9_-]{16,64}"),
}

_JWT: Final[Header] = (b"content-type", b"application/jwt")
_STREAM: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    NO_STORE,
    (b"x-accel-buffering", b"no"),  # a proxy that buffers would hold revocations back
)

logger = logging.getLogger(__name__)


def routes(front: Front) -> list[Route]:
    """All three are for APIs with their credentials, or for everybody where the operator says so."""
    return [
        Route(f"{front.path}/revocations", partial(_read, front)),
        Route(f"{front.path}/revocations/stream", partial(_stream, front), methods=["GET"]),
    ]


async def _read(front: Front, request: Request) -> Answer:
    await _must_be_reader(front, request.scope)
    given = _parameters(request.scope, "after", "log", "nonce")
    nonce = given.get("nonce", "")
    feed = front.issuer.feed
    if "after" in given:
        event = await feed.since(given.get("log", ""), int(given["after"]), nonce)
    else:
        event = await feed.snapshot(nonce)
    return Answer(200, event.text.encode("ascii"), (_JWT, NO_STORE))


async def _stream(front: Front, request: Request) -> Stream:
    await _must_be_reader(front, request.scope)
    given = _parameters(request.scope, "after", "log")
    seen = single(request.scope, b"last-event-id") or given.get("after")
    if seen is not None and not SYNTAX["after"].fullmatch(seen):
        raise InvalidRequest("Last-Event-ID is malformed")
    events = front.issuer.feed.stream(given.get("log"), None if seen is None else int(seen))
    # The first event is made before the answer begins: until then a failure still has a status of its own.
    return Stream(await anext(events), events)


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream of server-sent events, for as long as somebody reads it."""

    first: Event
    events: AsyncIterator[Event]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them as they come; ends with the feed, with the reader, or with a database that fails."""
        await send({"type": "http.response.start", "status": 200, "headers": [*_STREAM]})
        hangup = asyncio.create_task(_hangup(receive))
        try:
            await _push(send, b"retry: %d\n\n" % RETRY + _framed(self.first))
            async for event in self.events:
                if hangup.done():
                    return
                await _push(send, _framed(event))
        except (Unavailable, TimeoutError) as error:
            logger.info("stream cut off", extra={"reason": f"{type(error).__name__}: {error}"})
        finally:
            hangup.cancel()
        await send({"type": "http.response.body", "body": b""})


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


async def _must_be_reader(front: Front, scope: Scope) -> None:
    """An API with its credentials; credentials that are sent must be good even where none are needed."""
    authorization = single(scope, b"authorization")
    if authorization is None:
        if not front.issuer.terms.feed_public:
            raise CredentialsMissing("the feed is read with an API's credentials")
        return
    given = presented(authorization, {})
    authenticated_api(await front.issuer.stores.apis.of(given.client_id), given)


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
