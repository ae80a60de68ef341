"""GET /logos/{client_id}: our copy of a client's logo."""

from __future__ import annotations

from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.routing import Route

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
    """One place."""
    return [Route(f"{front.path}/logos/{{client_id}}", partial(_logo, front))]


async def _logo(front: Front, request: Request) -> Answer:
    client = await front.issuer.stores.clients.find(request.path_params["client_id"])
    logo = None if client is None else await front.issuer.logos.of(client, front.now())
    if logo is None:
        raise NotFound("there is no such logo")
    return Answer(200, logo.content, ((b"content-type", logo.kind.encode("ascii")), *_GUARDED))
