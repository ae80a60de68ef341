"""Userinfo (OpenID Connect Core §5.3): GET and POST, with an access token as RFC 6750 §2 has it."""

from __future__ import annotations

from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.routing import Route

from watchword_server.flows.userinfo import userinfo
from watchword_server.protocol.form import fields
from watchword_server.web.asgi import JSON, NO_STORE, Answer, Header
from watchword_server.web.bodies import body, single
from watchword_server.web.front import Front
from watchword_server.web.refusals import TokenMisplaced, TokenMissing

JWT: Final[Header] = (b"content-type", b"application/jwt")
FORM: Final = "application/x-www-form-urlencoded"


def routes(front: Front) -> list[Route]:
    """The one door."""
    return [Route(f"{front.path}/userinfo", partial(_userinfo, front), methods=["GET", "POST"])]


async def _userinfo(front: Front, request: Request) -> Answer:
    told = await userinfo(front.issuer, await _token(request), front.now())
    if isinstance(told, str):
        return Answer(200, told.encode("ascii"), (JWT, NO_STORE))
    return Answer(200, told, (JSON, NO_STORE))


async def _token(request: Request) -> str:
    """The access token: from the header, or from the form of a POST, and from one of them only.

    A token in a URL stays in logs and histories (RFC 6750 §5.3), so one that came there has leaked and is not taken.
    """
    if request.scope["query_string"]:
        raise TokenMisplaced("no parameters are read from the URL here")
    by_header, by_form = _bearer(single(request.scope, b"authorization")), await _posted(request)
    if by_header is not None and by_form is not None:
        raise TokenMisplaced("send the access token once: as a header or in the form")
    token = by_header or by_form
    if not token:
        raise TokenMissing("no access token")
    return token


def _bearer(authorization: str | None) -> str | None:
    """What stands in the header (RFC 6750 §2.1); None where it carries no token, or none of this scheme."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip(" ") if scheme.lower() == "bearer" else None


async def _posted(request: Request) -> str | None:
    """What stands in the form (§2.2). Other bodies are read, since something must be done with them, and ignored."""
    if request.method != "POST":
        return None
    raw = await body(request.receive)
    kind = (single(request.scope, b"content-type") or "").partition(";")[0].strip().lower()
    return fields(raw).get("access_token") if kind == FORM else None
