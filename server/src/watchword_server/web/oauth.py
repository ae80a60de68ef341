"""The endpoints that take forms: token, revocation, introspection. Plain ASGI, since every token passes here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from watchword_server.flows.introspect import introspect
from watchword_server.flows.issuer import Caller
from watchword_server.flows.minting import Tokens
from watchword_server.flows.taking_back import take_back
from watchword_server.flows.token import TokenRequest, answer
from watchword_server.protocol.form import fields
from watchword_server.web.asgi import JSON, NO_STORE, Answer, App, Receive, Scope, Send, encoded, json_answer
from watchword_server.web.bodies import body, must_be, must_have_no_query, single
from watchword_server.web.dpop import proofs
from watchword_server.web.front import Front
from watchword_server.web.preferences import told, wanted_wait
from watchword_server.web.refusals import WrongMethod

Form = Mapping[str, str]
Handler = Callable[[Front, "Posted"], Awaitable[Answer]]

TOKEN_HEADERS = (JSON, NO_STORE)


class TokenAnswer(msgspec.Struct, frozen=True, gc=False):
    """RFC 6749 §5.1, and the id of a session that was just made."""

    access_token: str
    expires_in: int
    scope: str
    refresh_token: str | msgspec.UnsetType = msgspec.UNSET
    session_id: str | msgspec.UnsetType = msgspec.UNSET
    id_token: str | msgspec.UnsetType = msgspec.UNSET
    token_type: str = "Bearer"
    issued_token_type: str | msgspec.UnsetType = msgspec.UNSET


class Posted(msgspec.Struct, frozen=True):
    """A form and what came with it."""

    authorization: str | None
    body: bytes
    form: Form
    caller: Caller
    now: int
    scope: Scope


async def token(front: Front, posted: Posted) -> Answer:
    """POST /token (RFC 6749 §3.2)."""
    sent = proofs(posted.scope)
    ask = TokenRequest(posted.authorization, posted.form, posted.body, posted.caller, posted.now, sent)
    return issued(await answer(front.issuer, ask))


async def revoke(front: Front, posted: Posted) -> Answer:
    """POST /revoke (RFC 7009 §2)."""
    entries = await take_back(front.issuer, posted.authorization, posted.form, posted.caller, posted.now)
    wait = wanted_wait(posted.scope)
    return Answer(200) if wait is None else await told(front, entries, wait)


async def introspection(front: Front, posted: Posted) -> Answer:
    """POST /introspect (RFC 7662 §2)."""
    return json_answer(await introspect(front.issuer, posted.authorization, posted.form, posted.now))


def issued(tokens: Tokens) -> Answer:
    """The answer of the token endpoint (RFC 6749 §5.1)."""
    return Answer(200, encoded(token_answer(tokens)), TOKEN_HEADERS)


def token_answer(tokens: Tokens, session_id: str | msgspec.UnsetType = msgspec.UNSET) -> TokenAnswer:
    """What a client gets to see of its tokens."""
    refresh_token = tokens.refresh_token or msgspec.UNSET
    id_token = tokens.id_token or msgspec.UNSET
    kind, issued = tokens.token_type, tokens.issued_token_type or msgspec.UNSET
    return TokenAnswer(
        tokens.access_token, tokens.expires_in, tokens.scope, refresh_token, session_id, id_token, kind, issued
    )


def endpoints(front: Front) -> Mapping[str, App]:
    """By path."""
    handlers: Mapping[str, Handler] = {"/token": token, "/revoke": revoke, "/introspect": introspection}
    return {front.path + path: form_endpoint(front, handler) for path, handler in handlers.items()}


def form_endpoint(front: Front, handler: Handler) -> App:
    """Where a form is posted."""
    now = front.now

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            raise WrongMethod("POST")
        must_have_no_query(scope)
        must_be(scope, "application/x-www-form-urlencoded")
        raw = await body(receive)
        posted = Posted(single(scope, b"authorization"), raw, fields(raw), scope["caller"], now(), scope)
        found = await handler(front, posted)
        await found(scope, receive, send)

    return endpoint
