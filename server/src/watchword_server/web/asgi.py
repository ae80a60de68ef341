"""The words of ASGI, and an answer that is complete before it is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, NamedTuple

import msgspec

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON: Final[Header] = (b"content-type", b"application/json")
NO_STORE: Final[Header] = (b"cache-control", b"no-store")
CLOSE: Final[Header] = (b"connection", b"close")

encoded = msgspec.json.Encoder().encode


class Answer(NamedTuple):
    """A whole response. It is an ASGI application, so that Starlette takes it for one of its own."""

    status: int
    body: bytes = b""
    headers: tuple[Header, ...] = (NO_STORE,)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        length = () if self.status == 204 else ((b"content-length", b"%d" % len(self.body)),)
        await send({"type": "http.response.start", "status": self.status, "headers": [*self.headers, *length]})
        await send({"type": "http.response.body", "body": self.body})


def json_answer(value: object, *headers: Header, status: int = 200) -> Answer:
    """JSON that nobody may keep."""
    return Answer(status, encoded(value), (JSON, NO_STORE, *headers))


def public_json(body: bytes, max_age: int) -> Answer:
    """JSON that anybody may read and keep, from any page; `max_age` is seconds."""
    kept = (b"cache-control", b"public, max-age=%d" % max_age)
    return Answer(200, body, (JSON, kept, (b"access-control-allow-origin", b"*")))


def header(scope: Scope, name: bytes) -> str | None:
    """The value of a header that may stand once; None when it is missing. Raises ValueError for a second one."""
    found = [value for key, value in scope["headers"] if key == name]
    if len(found) > 1:
        raise ValueError("header stands twice")
    return found[0].decode("latin-1") if found else None
