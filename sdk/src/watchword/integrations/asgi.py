"""ASGI: `ResourceMetadata(app, resource)` tells clients where to get tokens for an app, whatever it is written with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from watchword.integrations.bearer import Bearing, Refusal
from watchword.protected_resource import ProtectedResource

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_AGE: Final = 3600
"""Seconds for which clients may keep the metadata."""
_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class ResourceMetadata:
    """Serves a resource's metadata at its well-known path (RFC 9728 §3), and leaves all else to the app.

        app.add_middleware(ResourceMetadata, resource=RESOURCE)   # Starlette, FastAPI
        app = ResourceMetadata(app, RESOURCE)                     # any other

    Anybody may read it, pages of other origins too.
    """

    def __init__(self, app: App, resource: ProtectedResource) -> None:
        self._app = app
        self._path = resource.path
        kept = (b"cache-control", b"public, max-age=%d" % MAX_AGE)
        anybody = ((b"access-control-allow-origin", b"*"), (b"access-control-allow-headers", b"*"))
        self._headers = [(b"content-type", b"application/json"), kept, *anybody]
        self._document = resource.document()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["path"] != self._path:
            await self._app(scope, receive, send)
            return
        match scope["method"]:
            case "GET" | "HEAD":
                body = self._document if scope["method"] == "GET" else b""
                length = (b"content-length", b"%d" % len(self._document))
                await answer(send, 200, [*self._headers, length], body)
            case "OPTIONS":
                await answer(send, 204, [*self._headers, (b"access-control-allow-methods", b"GET")], b"")
            case _:
                await answer(send, 405, [(b"allow", b"GET, HEAD, OPTIONS"), (b"content-length", b"0")], b"")


def bearing(scope: Scope) -> Bearing:
    """The parts of a request or a WebSocket's handshake that count."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]

    def all_of(name: bytes) -> tuple[str, ...]:
        return tuple(value.decode("latin-1") for key, value in headers if key == name)

    raw: bytes | None = scope.get("raw_path")
    return Bearing(
        scope.get("method", ""),
        all_of(b"authorization"),
        all_of(b"cookie"),
        all_of(b"origin"),
        scope.get("query_string", b"").decode("latin-1"),
        scope["type"] == "websocket",
        all_of(b"dpop"),
        quote(scope["path"]) if raw is None else raw.partition(b"?")[0].decode("latin-1"),
        f"{_SCHEMES[scope['scheme']]}://{next(iter(all_of(b'host')), '')}",
    )


async def refuse(send: Send, refusal: Refusal) -> None:
    """Answer a request with a refusal."""
    body = msgspec.json.encode(refusal.body)
    lines = {"content-type": "application/json", "content-length": str(len(body)), **refusal.headers}
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in lines.items()]
    await answer(send, refusal.status, encoded, body)


async def answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Send a whole response."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
