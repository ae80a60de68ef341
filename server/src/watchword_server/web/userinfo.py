"""Userinfo (OpenID Connect Core §5.3): GET and POST, with an access token as RFC 6750 §2 or RFC 9449 §7.1 has it."""

from __future__ import annotations

from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.routing import Route

from watchword_server.flows.userinfo import Shown, userinfo
from watchword_server.protocol.errors import InvalidSession, OAuthError
from watchword_server.protocol.form import fields
from watchword_server.web.asgi import JSON, NO_STORE, Answer, Header
from watchword_server.web.bodies import body, single
from watchword_server.web.dpop import by_bearer, by_key, challenged, proofs
from watchword_server.web.front import Front
from watchword_server.web.refusals import TokenMisplaced, TokenMissing

JWT: Final[Header] = (b"content-type", b"application/jwt")
FORM: Final = "application/x-www-form-urlencoded"


def routes(front: Front) -> list[Route]:
    """The one door."""
    return [Route(f"{front.path}/userinfo", partial(_userinfo, front), methods=["GET", "POST"])]


async def _userinfo(front: Front, request: Request) -> Answer:
    try:
        told = await userinfo(front.issuer, await _shown(request), front.now())
    except OAuthError as error:
        return challenged(error, request.scope)
    if isinstance(told, str):
        return Answer(200, told.encode("ascii"), (JWT, NO_STORE))
    return Answer(200, told, (JSON, NO_STORE))


async def _shown(request: Request) -> Shown:
    """The access token: from the header, or from the form of a POST, and from one of them only.

    A token in a URL stays in logs and histories (RFC 6750 §5.3), so one that came there has leaked and is not taken.
    """
    if request.scope["query_string"]:
        raise TokenMisplaced("no parameters are read from the URL here")
    authorization, by_form = single(request.scope, b"authorization"), await _posted(request)
    bound = by_key(authorization)
    by_header = bound if bound is not None else by_bearer(authorization)
    if by_header is not None and by_form is not None:
        raise TokenMisplaced("send the access token once: as a header or in the form")
    token = by_header or by_form
    if not token:
        raise TokenMissing("no access token")
    sent = proofs(request.scope)
    if bound is None and sent:  # who has a proof says so, or somebody on the way might leave it out
        raise InvalidSession("a proof came with a token that was not sent as one that is bound")
    return Shown(token) if bound is None else Shown(token, request.method, sent)


async def _posted(request: Request) -> str | None:
    """What stands in the form (§2.2). Other bodies are read, since something must be done with them, and ignored."""
    if request.method != "POST":
        return None
    raw = await body(request.receive)
    kind = (single(request.scope, b"content-type") or "").partition(";")[0].strip().lower()
    return fields(raw).get("access_token") if kind == FORM else None
