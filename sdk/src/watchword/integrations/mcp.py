"""MCP servers: `Protected(app, verifier, resource)` around one, and `TokenVerifier` for its framework.

The Model Context Protocol's authorization, revisions 2025-06-18 to 2026-07-28. `Protected` is what the specification
asks of a server over HTTP: it says where tokens come from (RFC 9728), refuses whoever has none or a bad one with a 401
that leads there, and answers what a token's scopes do not cover with a 403 that names them (RFC 6750 §3.1), so that a
client can ask its person for more. It wraps any ASGI app. `TokenVerifier` tells the official `mcp` package, and
`fastmcp`, who calls, so that tools can ask.

    verifier = Verifier(issuer=ISSUER, audience=URL, credentials=...)
    resource = ProtectedResource(url=URL, issuer=ISSUER, scopes=("notes:read",), name="Notes")
    app = Protected(server.streamable_http_app(), verifier, resource, tools={"add_note": ("notes:write",)})
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from mcp.server.auth.provider import AccessToken

from watchword.errors import InsufficientScope, InvalidToken, Revoked, WatchwordError
from watchword.integrations.asgi import App, Message, Receive, ResourceMetadata, Scope, Send, bearing, refuse
from watchword.integrations.bearer import Bearing, Carriers, Offer, Refusal, carried, refusal, scheme_of
from watchword.jose.jwt import BAD_BYTES, must_be_unique
from watchword.policy import Principal
from watchword.protected_resource import ProtectedResource
from watchword.verifier import Verifier

LIMIT: Final = 4 * 1024 * 1024
"""Bytes of the largest message that is read, as in the official package."""
POLICY_VIOLATION: Final = 1008
"""How a WebSocket is refused (RFC 6455 §7.4.1)."""

_log = logging.getLogger("watchword")


class BadMessage(Exception):
    """A body that is no message, told to whoever has a good token."""


class TokenVerifier:
    """What `MCPServer(token_verifier=...)` of `mcp`, and `RemoteAuthProvider(token_verifier=...)` of `fastmcp`, want.

    A token that is not good is None there, and then a 401. Where that cannot be told now, CannotDecide is raised: a
    None would make clients throw away good tokens. Behind `Protected`, that is a 503 before it comes here.
    """

    def __init__(self, verifier: Verifier, *, scopes: Sequence[str] = ()) -> None:
        self.verifier = verifier
        self.required_scopes = list(scopes)
        """Those that `fastmcp` demands of every request."""
        self.scopes_supported = list(scopes)

    async def verify_token(self, token: str) -> AccessToken | None:
        """Who calls. Raises CannotDecide."""
        try:
            principal = await self.verifier.verify(token)
        except InvalidToken as error:
            _log.debug("refused: %s: %s", type(error).__name__, error)
            return None
        return AccessToken(
            token=token,
            client_id=principal.client_id,
            scopes=sorted(principal.scopes),
            expires_at=int(principal.expires_at),
            resource=principal.audience,
            subject=principal.subject,
            claims=dict(principal.claims),
        )


class Protected:
    """An MCP server that only answers who may ask.

    Every request needs the scopes of the resource; a call of one of `tools`, and a message by one of `methods`
    (`resources/read`), those that stand there too. A stream that is open ends with the token's revocation. With
    `dpop`, tokens that are bound to a key are taken, with a proof for the address in `resource.url` (RFC 9449).
    Raises Misconfigured.
    """

    def __init__(
        self,
        app: App,
        verifier: Verifier,
        resource: ProtectedResource,
        *,
        tools: Mapping[str, Sequence[str]] | None = None,
        methods: Mapping[str, Sequence[str]] | None = None,
        limit: int = LIMIT,
    ) -> None:
        self._app = app
        self._verifier = verifier
        self._resource = resource
        self._tools = dict(tools or {})
        self._methods = dict(methods or {})
        self._limit = limit
        before = resource.metadata_url.removesuffix(resource.path)
        self._carriers = Carriers(public_url=before if resource.dpop else None)
        self._open = ResourceMetadata(self._guarded, resource)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._open(scope, receive, send)
        else:  # MCP has no other transport, and nothing gets by unasked
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        carries = bearing(scope)
        try:
            token, proof = carried(carries, self._carriers)
            principal = await self._verifier.verify(token, proof)
            body = await _body(receive, self._limit) if scope["method"] == "POST" else None
            principal.require(*self._needed(body))
        except BadMessage as error:
            await refuse(send, Refusal(400, {}, {"error": "invalid_request", "error_description": str(error)}))
            return
        except WatchwordError as error:
            _log.debug("refused: %s: %s", type(error).__name__, error)
            await refuse(send, refusal(error, self._offer(carries, error)))
            return
        await self._app(scope, receive if body is None else _again(body, receive), self._while_good(principal, send))

    def _needed(self, body: bytes | None) -> tuple[str, ...]:
        """The scopes of a request, all at once: a client that hears of one at a time would ask its person each time."""
        more = () if body is None else (scope for message in _messages(body) for scope in self._of(message))
        return tuple(dict.fromkeys((*self._resource.scopes, *more)))

    def _of(self, message: Mapping[str, Any]) -> Iterable[str]:
        method, params = message.get("method"), message.get("params")
        name = params.get("name") if method == "tools/call" and isinstance(params, dict) else None
        yield from self._methods.get(method, ()) if isinstance(method, str) else ()
        yield from self._tools.get(name, ()) if isinstance(name, str) else ()

    def _offer(self, carries: Bearing, error: WatchwordError) -> Offer:
        parameters = {"resource_metadata": self._resource.metadata_url}
        if self._resource.scopes and not isinstance(error, InsufficientScope):
            parameters["scope"] = " ".join(self._resource.scopes)
        nonces = self._verifier.proofs.nonces if self._carriers.dpop else None
        scheme = scheme_of(carries)
        nonce = nonces.make(time.time()) if nonces is not None and scheme == "DPoP" else ""
        return Offer(self._carriers.dpop, scheme, nonce, parameters)

    def _while_good(self, principal: Principal, send: Send) -> Send:
        """What is streamed is sent only while the token is not revoked; what was begun before it expired goes on."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.body" and message.get("more_body"):
                try:
                    self._verifier.still(principal)
                except Revoked:
                    raise ConnectionAbortedError("the token of this stream was revoked") from None
            await send(message)

        return guarded


async def _body(receive: Receive, limit: int) -> bytes:
    """The whole body. Raises BadMessage for one that is too long, or whose sender has gone."""
    pieces, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise BadMessage("the caller has gone")
        piece: bytes = message.get("body", b"")
        size, more = size + len(piece), message.get("more_body", False)
        if size > limit:
            raise BadMessage(f"a message of more than {limit} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def _again(body: bytes, receive: Receive) -> Receive:
    """The body for the app, and after it whatever comes."""
    waits = [body]

    async def replay() -> Message:
        return {"type": "http.request", "body": waits.pop(), "more_body": False} if waits else await receive()

    return replay


def _messages(body: bytes) -> list[dict[str, Any]]:
    """The messages of a body: one, or of older clients several. Raises BadMessage.

    Strictly, or the app could read another tool's name than was judged here.
    """
    try:
        found = msgspec.json.decode(body)
        must_be_unique(body)
    except BAD_BYTES as error:
        raise BadMessage("a body that is not JSON with each member once") from error
    messages = found if isinstance(found, list) else [found]
    if not all(isinstance(one, dict) for one in messages):
        raise BadMessage("a message that is not a JSON object")
    return messages
