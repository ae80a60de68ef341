"""GET /logos/{client_id}, or /logos?client_id= for one that is an address: our copy of a client's logo."""

from __future__ import annotations

from functools import partial
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.routing import Route

from watchword_server.flows.client_documents import is_by_document, known
from watchword_server.protocol.values import Client
from watchword_server.web.asgi import Answer, Header
from watchword_server.web.front import Front
from watchword_server.web.refusals import NotFound

_GUARDED: Final[tuple[Header, ...]] = (
    # Opened by itself, it is a document of our origin, and may do nothing there.
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"public, max-age=3600"),
)


def routes(front: Front) -> list[Route]:
    """One place, by two names."""
    return [Route(f"{front.path}/logos{end}", partial(_logo, front)) for end in ("/{client_id}", "")]


def address(front: Front, client: Client) -> str | None:
    """Where pages find it on this server; None where there is none to be shown now."""
    if not front.issuer.logos.is_there(client, front.now()):
        return None
    if is_by_document(client):
        return f"{front.path}/logos?{urlencode({'client_id': client.client_id})}"
    return f"{front.path}/logos/{client.client_id}"


async def _logo(front: Front, request: Request) -> Answer:
    client_id = request.path_params.get("client_id") or request.query_params.get("client_id", "")
    client = await known(front.issuer, client_id, None, front.now())
    logo = None if client is None else await front.issuer.logos.of(client, front.now())
    if logo is None:
        raise NotFound("there is no such logo")
    return Answer(200, logo.content, ((b"content-type", logo.kind.encode("ascii")), *_GUARDED))
