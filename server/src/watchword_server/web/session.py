"""First-party sign-in: POST /session, POST /session/refresh, GET /session, DELETE /session."""

from __future__ import annotations

from functools import partial
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.routing import Route

from watchword_server.flows import session, sign_in
from watchword_server.flows.minting import Tokens
from watchword_server.flows.refresh import Shown, refresh
from watchword_server.flows.session import Open
from watchword_server.flows.sign_in import SignedIn, SignIn
from watchword_server.protocol.client_authentication import presented
from watchword_server.protocol.errors import AccessDenied, InvalidRequest, InvalidSession
from watchword_server.web import cookies
from watchword_server.web.asgi import Answer, Header, json_answer
from watchword_server.web.bodies import json_body, must_have_no_query, single
from watchword_server.web.cookies import access_cookie, access_name, refresh_cookie
from watchword_server.web.front import Front
from watchword_server.web.oauth import token_answer
from watchword_server.web.preferences import told, wanted_wait


class SignInBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `POST /session` takes."""

    client_id: str
    email: str
    password: str
    scope: str | None = None
    resource: str | None = None
    transport: Literal["body", "cookie"] = "body"


class RefreshBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `POST /session/refresh` takes. The token stands here or in its cookie."""

    client_id: str
    refresh_token: str | None = None
    scope: str | None = None
    resource: str | None = None


def routes(front: Front) -> list[Route]:
    """The four doors of a session."""
    path = f"{front.path}/session"
    return [
        Route(path, partial(_session, front), methods=["GET", "POST", "DELETE"]),
        Route(f"{path}/refresh", partial(_refresh, front), methods=["POST"]),
    ]


async def _session(front: Front, request: Request) -> Answer:
    must_have_no_query(request.scope)
    return await _METHODS[request.method](front, request)


async def _create(front: Front, request: Request) -> Answer:
    """Sign in: tokens in the body, or as cookies for a page that says where it is from."""
    asked = await json_body(request.scope, request.receive, SignInBody)
    origin = single(request.scope, b"origin")
    if asked.transport == "cookie":
        _must_say(origin)
    credentials = presented(single(request.scope, b"authorization"), {"client_id": asked.client_id})
    ask = SignIn(credentials, asked.email, asked.password, asked.scope, asked.resource, origin)
    signed_in = await sign_in.sign_in(front.issuer, ask, request.scope["caller"], front.clock())
    return (_as_cookies if asked.transport == "cookie" else _as_body)(front, signed_in)


async def _refresh(front: Front, request: Request) -> Answer:
    """Refresh, by a token in the body or by the cookie, and the answer goes the same way."""
    must_have_no_query(request.scope)
    asked = await json_body(request.scope, request.receive, RefreshBody)
    baked = cookies.cookie(request.scope, cookies.REFRESH)
    origin = single(request.scope, b"origin")
    if (baked is None) == (not asked.refresh_token):
        raise InvalidRequest("send one refresh token: in the body or as a cookie")
    if baked is not None:
        _must_say(origin)
    credentials = presented(single(request.scope, b"authorization"), {"client_id": asked.client_id})
    head = await front.issuer.stores.log.head()
    caller, now = request.scope["caller"], front.now()
    client = await sign_in.first_party(front.issuer, credentials, origin, now)
    raw = baked or asked.refresh_token or ""
    shown = Shown(raw, asked.scope, asked.resource)
    tokens = await refresh(front.issuer, head, client, shown, caller, now)
    if baked is None:
        return json_answer(token_answer(tokens))
    body = {"expires_in": tokens.expires_in, "scope": tokens.scope}
    return json_answer(body, *_cookies(front, tokens, front.issuer.terms.refresh_lifetime))


async def _show(front: Front, request: Request) -> Answer:
    """Who is signed in here."""
    token, _ = _token(front, request)
    return json_answer(_facts(await session.current(front.issuer, token, front.now())))


async def _end(front: Front, request: Request) -> Answer:
    """Sign out. A browser sends the cookie whoever makes it, so then the page must be one that may."""
    token, by_cookie = _token(front, request)
    if by_cookie:
        origin = _must_say(single(request.scope, b"origin"))
        found = await session.current(front.issuer, token, front.now())
        sign_in.must_be_allowed(front.issuer, found.client, origin)
    entries = await session.sign_out(front.issuer, token, request.scope["caller"], front.now())
    gone = (access_cookie(front, "", 0), refresh_cookie(front, "", 0)) if by_cookie else ()
    wait = wanted_wait(request.scope)
    if wait is not None:
        return await told(front, entries, wait, *gone)
    return Answer(204, headers=(*Answer(204).headers, *gone))


_METHODS = {"POST": _create, "GET": _show, "HEAD": _show, "DELETE": _end}


def _token(front: Front, request: Request) -> tuple[str, bool]:
    """The access token, and whether it came as a cookie. Two at once are refused: which one would count?"""
    header = single(request.scope, b"authorization")
    baked = cookies.cookie(request.scope, access_name(front))
    if header is not None and baked is not None:
        raise InvalidRequest("send the access token once: as a header or as a cookie")
    if baked is not None:
        return baked, True
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise InvalidSession("no access token")
    return token.strip(" "), False


def _must_say(origin: str | None) -> str:
    """Cookies are for browsers, and browsers send an Origin with every such request."""
    if origin is None:
        raise AccessDenied("cookies are only for requests with an Origin")
    return origin


def _as_body(front: Front, signed_in: SignedIn) -> Answer:
    return json_answer(token_answer(signed_in.tokens, signed_in.session.sid))


def _as_cookies(front: Front, signed_in: SignedIn) -> Answer:
    tokens, opened = signed_in.tokens, signed_in.session
    longest = min(front.issuer.terms.refresh_lifetime, opened.expires_at - opened.created_at)
    body = {"session_id": opened.sid, "expires_in": tokens.expires_in, "scope": tokens.scope}
    return json_answer(body, *_cookies(front, tokens, longest))


def _cookies(front: Front, tokens: Tokens, longest: int) -> tuple[Header, ...]:
    refreshing = refresh_cookie(front, tokens.refresh_token or "", longest)
    return access_cookie(front, tokens.access_token, tokens.expires_in), refreshing


def _facts(found: Open) -> dict[str, object]:
    return {
        "session_id": found.session.sid,
        "sub": found.user.sub,
        "email": found.user.email,
        "name": found.user.name,
        "roles": found.user.roles,
        "client_id": found.session.client_id,
        "amr": found.session.amr,
        "created_at": found.session.created_at,
        "expires_at": found.session.expires_at,
    }
