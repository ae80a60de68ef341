"""FastAPI: `Security(Bearer(verifier), scopes=[...])` gives the endpoint a Principal, or the caller a refusal."""

from __future__ import annotations

import logging
from typing import Final

from fastapi import WebSocket
from fastapi.openapi.models import OpenIdConnect
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocketState

from watchword.errors import WatchwordError
from watchword.integrations.bearer import Bearing, Carriers, refusal, token_in
from watchword.policy import Principal
from watchword.verifier import Verifier

POLICY_VIOLATION: Final = 1008
"""How a WebSocket ends that is open already (RFC 6455 §7.4.1)."""

_log = logging.getLogger("watchword")


class Bearer(SecurityBase):  # FastAPI finds its security schemes by this class
    """A security scheme: verifies the request's token, demands the scopes, returns the Principal.

        auth = Bearer(Verifier(issuer=..., audience=..., credentials=...))

        @app.get("/orders")
        async def orders(principal: Annotated[Principal, Security(auth, scopes=["orders:read"])]): ...

    The scopes show in the OpenAPI document. Refusals are JSON with `error` and `error_description`: 400, 401, 403
    and 503 with the headers of RFC 6750, and so is an InsufficientScope that `principal.require` raises in the
    endpoint. A handler of your own for WatchwordError goes first.

    `cookie` names a cookie that may carry the token instead of the header; unsafe methods and WebSockets then need
    an `Origin` out of `origins`. Raises Misconfigured.
    """

    def __init__(
        self,
        verifier: Verifier,
        *,
        cookie: str | None = None,
        origins: tuple[str, ...] = (),
        scheme_name: str = "Watchword",
        description: str | None = None,
    ) -> None:
        self.verifier = verifier
        self.carriers = Carriers(cookie, frozenset(origins))
        self.scheme_name = scheme_name
        self.model = OpenIdConnect(
            openIdConnectUrl=verifier.issuer.rstrip("/") + "/.well-known/openid-configuration",
            description=description,
        )

    async def __call__(self, connection: HTTPConnection, security_scopes: SecurityScopes) -> Principal:
        """The principal of a request or WebSocket. Raises the WatchwordErrors that `refuse` answers."""
        _answer_refusals(connection)
        principal = await self.verifier.verify(token_in(_bearing(connection), self.carriers))
        principal.require(*security_scopes.scopes)
        return principal


async def refuse(connection: HTTPConnection, error: Exception) -> Response | None:
    """An exception handler for WatchwordError. What is the program's own fault stays an exception."""
    if not isinstance(error, WatchwordError):
        raise error
    answer = refusal(error)
    _log.debug("refused: %s: %s", type(error).__name__, error)
    if isinstance(connection, WebSocket) and not _can_be_denied(connection):
        await connection.close(POLICY_VIOLATION, answer.body["error_description"])
        return None
    return JSONResponse(answer.body, answer.status, answer.headers)


def _answer_refusals(connection: HTTPConnection) -> None:
    """Have `refuse` answer, unless the program has a handler of its own.

    Here rather than in a step at start-up that one could forget: then every refusal would be a 500.
    """
    handlers = connection.scope.get("starlette.exception_handlers")
    if handlers is not None:
        handlers[0].setdefault(WatchwordError, refuse)


def _can_be_denied(socket: WebSocket) -> bool:
    """Whether a handshake may still be answered like a request."""
    return socket.application_state is WebSocketState.CONNECTING and "websocket.http.response" in socket.scope.get(
        "extensions", {}
    )


def _bearing(connection: HTTPConnection) -> Bearing:
    headers, scope = connection.headers, connection.scope
    return Bearing(
        scope.get("method", ""),
        tuple(headers.getlist("authorization")),
        tuple(headers.getlist("cookie")),
        tuple(headers.getlist("origin")),
        scope.get("query_string", b"").decode("latin-1"),
        scope["type"] == "websocket",
    )
