"""Who may read answers from a page of another origin: the pages of each client's registered origins (Fetch §3.2).

What is the same for everybody, and registration, any page may read.

A browser asks first, before anybody has said which client speaks: that is always allowed, and tells nothing. The answer
itself can be read only by a page whose origin is registered for the client that the request names; no cookie counts.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request

from watchword.errors import InvalidToken
from watchword.jose import jwt
from watchword.jose.b64 import unb64url
from watchword_server.protocol.errors import OAuthError
from watchword_server.protocol.form import decoded, fields
from watchword_server.web.asgi import Answer, App, Header, Message, Receive, Scope, Send, header
from watchword_server.web.bodies import body, single
from watchword_server.web.front import Front
from watchword_server.web.refusals import ClientGone, refusal

Handler = Callable[[Request], Awaitable[Answer]]
Speaker = Callable[[Scope, bytes], str | None]
"""The `client_id` that a request names; unverified, for it only says who may read the answer."""

_ORIGIN: Final = b"origin"
_VARY: Final[Header] = (b"vary", b"origin")
_ANYBODY: Final[Header] = (b"access-control-allow-origin", b"*")
# On the answer itself: what stands on that to a preflight exposes nothing (Fetch §3.2.3).
_EXPOSED: Final[Header] = (b"access-control-expose-headers", b"www-authenticate, dpop-nonce, retry-after")
_PREFLIGHT: Final[tuple[Header, ...]] = (
    (b"access-control-allow-headers", b"authorization, content-type, dpop"),
    (b"access-control-max-age", b"600"),
    _VARY,
)


def open_to_all(handler: Handler, method: bytes) -> Handler:
    """A place that pages of all origins may use: neither cookies nor where a caller is count for anything there."""
    # Not `*` alone: that does not name Authorization (Fetch §4.8).
    allowed = ((b"access-control-allow-methods", method), (b"access-control-allow-headers", b"*, authorization"))
    preflight = Answer(204, b"", (_ANYBODY, *allowed, (b"access-control-max-age", b"600")))

    async def endpoint(request: Request) -> Answer:
        if request.method == "OPTIONS":
            return preflight
        try:
            answer = await handler(request)
        except ClientGone:
            raise
        except Exception as error:  # a page that may read answers may read refusals
            answer = refusal(error, request.scope)
        headers = tuple(one for one in answer.headers if one != _ANYBODY)
        return answer._replace(headers=(*headers, _ANYBODY, _EXPOSED))

    return endpoint


def shared(front: Front, app: App, speaker: Speaker, methods: bytes) -> App:
    """An endpoint that pages of registered origins may use. Nobody else pays for it but by a look at the headers."""

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        if not any(name == _ORIGIN for name, _ in scope["headers"]):
            await app(scope, receive, send)
            return
        await _with_origin(front, app, speaker, methods, scope, receive, send)

    return endpoint


async def _with_origin(
    front: Front, app: App, speaker: Speaker, methods: bytes, scope: Scope, receive: Receive, send: Send
) -> None:
    origin = single(scope, _ORIGIN) or ""
    if scope["method"] == "OPTIONS":
        allowed: tuple[Header, ...] = ((b"access-control-allow-methods", methods), *_PREFLIGHT)
        await Answer(204, b"", (_allowing(origin), *allowed))(scope, receive, send)
        return
    raw = await body(receive)
    readers = (_allowing(origin), _EXPOSED) if await _may_read(front, origin, speaker(scope, raw)) else ()

    async def again() -> Message:
        return {"type": "http.request", "body": raw, "more_body": False}

    async def sends(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *readers, _VARY]
        await send(message)

    try:
        await app(scope, again, sends)
    except Exception as error:  # a page that may read answers may read refusals
        await refusal(error, scope)(scope, again, sends)


def by_form(scope: Scope, raw: bytes) -> str | None:
    """A client that says in a form, or by HTTP Basic, who it is."""
    try:
        named = fields(raw).get("client_id")
        return named if named is not None else _by_basic(header(scope, b"authorization") or "")
    except (OAuthError, ValueError):
        return None


def by_token(scope: Scope, raw: bytes) -> str | None:
    """The client of an access token."""
    try:
        _, _, token = (header(scope, b"authorization") or "").partition(" ")
        found = jwt.claims(unb64url((token or fields(raw).get("access_token", "")).split(".")[1])).get("client_id")
    except (OAuthError, InvalidToken, ValueError, IndexError):
        return None
    return found if isinstance(found, str) else None


def _by_basic(authorization: str) -> str | None:
    scheme, _, blob = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    return decoded(b64decode(blob, validate=True).decode("utf-8").partition(":")[0])


async def _may_read(front: Front, origin: str, client_id: str | None) -> bool:
    client = await front.issuer.stores.clients.find(client_id) if client_id else None
    return client is not None and client.disabled_at is None and origin in client.origins


def _allowing(origin: str) -> Header:
    return b"access-control-allow-origin", origin.encode("latin-1")
