"""FastAPI: `Security(Bearer(verifier), scopes=[...])` gives the endpoint a Principal, or the caller a refusal."""

from __future__ import annotations

import copy
import logging
import time
from datetime import timedelta
from typing import Final
from urllib.parse import quote

from fastapi import WebSocket
from fastapi.openapi.models import OpenIdConnect
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocketState

from watchword.errors import Misconfigured, WatchwordError
from watchword.integrations.bearer import Bearing, Carriers, Offer, carried, refusal, scheme_of
from watchword.policy import Principal
from watchword.protected_resource import ProtectedResource
from watchword.verifier import Verifier

POLICY_VIOLATION: Final = 1008
"""How a WebSocket ends that is open already (RFC 6455 §7.4.1)."""

OFFER: Final = "watchword.offer"
"""Where in a request's scope it stands what its refusal has to offer."""

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
    an `Origin` out of `origins`. With `public_url`, what clients put before the paths of this app, tokens that are
    bound to a key are taken too, each request with a proof of it (RFC 9449); `trust_host` takes what a request itself
    says, which is for development. API keys of customers may also come in `api_key_header`, such as `X-API-Key`, where
    one is named. With `resource`, a refusal says where clients find its metadata (RFC 9728 §5.1): serve that with
    `app.add_middleware(ResourceMetadata, resource=...)`. Raises Misconfigured.
    """

    def __init__(
        self,
        verifier: Verifier,
        *,
        cookie: str | None = None,
        origins: tuple[str, ...] = (),
        public_url: str | None = None,
        trust_host: bool = False,
        api_key_header: str | None = None,
        resource: ProtectedResource | None = None,
        scheme_name: str = "Watchword",
        description: str | None = None,
    ) -> None:
        self.verifier = verifier
        self.carriers = Carriers(cookie, frozenset(origins), public_url, trust_host, api_key_header)
        self.told = {} if resource is None else {"resource_metadata": resource.metadata_url}
        self.acr: tuple[str, ...] = ()
        self.max_age: timedelta | None = None
        self.scheme_name = scheme_name
        self.model = OpenIdConnect(
            openIdConnectUrl=verifier.issuer.rstrip("/") + "/.well-known/openid-configuration",
            description=description,
        )

    async def __call__(self, connection: HTTPConnection, security_scopes: SecurityScopes) -> Principal:
        """The principal of a request or WebSocket. Raises the WatchwordErrors that `refuse` answers."""
        _answer_refusals(connection)
        bearing = _bearing(connection, self.carriers.api_key_header)
        connection.scope[OFFER] = self._offer(bearing)
        token, proof = carried(bearing, self.carriers)
        principal = await self.verifier.verify(token, proof)
        principal.require(*security_scopes.scopes)
        if self.acr or self.max_age is not None:
            principal.require_authentication(now=time.time(), acr=self.acr, max_age=self.max_age)
        return principal

    def authenticated(self, *, acr: tuple[str, ...] = (), max_age: timedelta | None = None) -> Bearer:
        """The same for endpoints that need more of the person's sign-in: one of `acr`, at most `max_age` ago.

        Who comes with less gets a 401 that says so (RFC 9470 §3), and can come back with a token that satisfies it.
        Raises Misconfigured.
        """
        if isinstance(acr, str) or (not acr and max_age is None):
            raise Misconfigured("acr is a tuple of strings; it, max_age or both are to be given")
        stricter = copy.copy(self)
        stricter.acr, stricter.max_age = acr, max_age
        return stricter

    def _offer(self, bearing: Bearing) -> Offer:
        nonces = self.verifier.proofs.nonces if self.carriers.dpop else None
        scheme = scheme_of(bearing)
        nonce = nonces.make(time.time()) if nonces is not None and scheme == "DPoP" else ""
        return Offer(self.carriers.dpop, scheme, nonce, self.told)


async def refuse(connection: HTTPConnection, error: Exception) -> Response | None:
    """An exception handler for WatchwordError. What is the program's own fault stays an exception."""
    if not isinstance(error, WatchwordError):
        raise error
    answer = refusal(error, connection.scope.get(OFFER, Offer()))
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


def _bearing(connection: HTTPConnection, api_key_header: str | None) -> Bearing:
    headers, scope = connection.headers, connection.scope
    return Bearing(
        scope.get("method", ""),
        tuple(headers.getlist("authorization")),
        tuple(headers.getlist("cookie")),
        tuple(headers.getlist("origin")),
        scope.get("query_string", b"").decode("latin-1"),
        scope["type"] == "websocket",
        tuple(headers.getlist("dpop")),
        _path(connection),
        f"{_SCHEMES[scope['scheme']]}://{headers.get('host', '')}",
        tuple(headers.getlist(api_key_header)) if api_key_header is not None else (),
    )


_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


def _path(connection: HTTPConnection) -> str:
    """The path as it stood in the request."""
    raw: bytes | None = connection.scope.get("raw_path")
    return quote(connection.scope["path"]) if raw is None else raw.partition(b"?")[0].decode("latin-1")
