"""Clients that register themselves: POST /register, and GET, PUT, DELETE /register/{client_id} (RFC 7591, RFC 7592)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from watchword.errors import InvalidToken
from watchword.jose import jwt
from watchword_server.flows import registration
from watchword_server.flows.registration import Registered
from watchword_server.protocol.errors import InvalidClientMetadata
from watchword_server.protocol.self_registration import described
from watchword_server.web.asgi import Answer, json_answer
from watchword_server.web.bodies import body, must_be, must_have_no_query, single
from watchword_server.web.cors import open_to_all
from watchword_server.web.front import Front
from watchword_server.web.preferences import told, wanted_wait


def routes(front: Front) -> list[Route]:
    """The door for all, and one for each client."""
    path = f"{front.path}/register"
    return [
        # It takes no cookie, and everybody may come: so may pages, of whatever origin.
        Route(path, open_to_all(partial(_register, front), b"POST"), methods=["POST", "OPTIONS"]),
        Route(f"{path}/{{client_id}}", partial(_manage, front), methods=["GET", "PUT", "DELETE"]),
    ]


async def _register(front: Front, request: Request) -> Answer:
    """RFC 7591 §3."""
    must_have_no_query(request.scope)
    members = await _members(request)
    caller = request.scope["caller"]
    found = await registration.register(front.issuer, members, _bearer(request), caller, front.now())
    return _answer(front, found, 201)


async def _manage(front: Front, request: Request) -> Answer:
    must_have_no_query(request.scope)
    return await _METHODS[request.method](front, request, request.path_params["client_id"])


async def _show(front: Front, request: Request, client_id: str) -> Answer:
    """RFC 7592 §2.1."""
    return _answer(front, await registration.current(front.issuer, client_id, _bearer(request)))


async def _update(front: Front, request: Request, client_id: str) -> Answer:
    """RFC 7592 §2.2."""
    members, caller = await _members(request), request.scope["caller"]
    found = await registration.update(front.issuer, client_id, _bearer(request), members, caller, front.now())
    return _answer(front, found)


async def _remove(front: Front, request: Request, client_id: str) -> Answer:
    """RFC 7592 §2.3."""
    caller = request.scope["caller"]
    entries = await registration.remove(front.issuer, client_id, _bearer(request), caller, front.now())
    wait = wanted_wait(request.scope)
    return Answer(204) if wait is None else await told(front, entries, wait)


_METHODS = {"GET": _show, "HEAD": _show, "PUT": _update, "DELETE": _remove}


async def _members(request: Request) -> Mapping[str, Any]:
    must_be(request.scope, "application/json")
    raw = await body(request.receive)
    try:
        return jwt.claims(raw)
    except InvalidToken as error:
        raise InvalidClientMetadata("the body is not one JSON object with each member once") from error


def _bearer(request: Request) -> str | None:
    """The token of the Authorization header (RFC 6750 §2.1); None where there is none, or it is of another kind."""
    scheme, _, token = (single(request.scope, b"authorization") or "").partition(" ")
    return token.strip(" ") if scheme.lower() == "bearer" else None


def _answer(front: Front, found: Registered, status: int = 200) -> Answer:
    """RFC 7591 §3.2.1. Only hashes are kept, so a secret is told when it is new and never again."""
    client = found.client
    ours: dict[str, object] = {
        "registration_access_token": found.token,
        "registration_client_uri": f"{front.issuer.terms.issuer}/register/{client.client_id}",
    }
    if found.secret is not None:
        ours |= {"client_secret": found.secret, "client_secret_expires_at": 0}
    return json_answer({**described(client), **ours}, status=status)
