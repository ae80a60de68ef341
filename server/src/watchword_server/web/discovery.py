"""What the issuer says of itself: metadata and public keys."""

from __future__ import annotations

from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.routing import Route

from watchword_server.flows.feed import HEARTBEAT
from watchword_server.flows.keyring import Ring
from watchword_server.flows.token import GRANTS
from watchword_server.protocol.grants.api_key import GRANT_TYPE as API_KEY
from watchword_server.protocol.metadata import Offered, metadata
from watchword_server.web.asgi import Answer, encoded, public_json
from watchword_server.web.cors import Handler, open_to_all
from watchword_server.web.front import Front
from watchword_server.web.pages.words import Locale

MAX_AGE: Final = 300
"""Seconds for which others may keep what they read here."""
DOCUMENTS: Final = ("oauth-authorization-server", "openid-configuration")


def routes(front: Front) -> list[Route]:
    """Metadata stands before the issuer's path (RFC 8414 §3.1) and after it (OpenID Connect Discovery 1.0 §4)."""
    places = {f"/.well-known/{name}{front.path}" for name in DOCUMENTS}
    places |= {f"{front.path}/.well-known/{name}" for name in DOCUMENTS}
    return [
        *(_open(place, partial(_metadata, front)) for place in sorted(places)),
        _open(f"{front.path}/jwks.json", partial(_keys, front)),
        _open(f"{front.path}/revocations/jwks.json", partial(_feed_keys, front)),
    ]


def _open(place: str, handler: Handler) -> Route:
    """A page of any origin may read it, with whatever headers (some clients name a version of their protocol)."""
    return Route(place, open_to_all(handler, b"GET"), methods=["GET", "OPTIONS"])


async def _metadata(front: Front, request: Request) -> Answer:
    terms, head = front.issuer.terms, await front.issuer.stores.log.head()
    offered = Offered(
        issuer=terms.issuer,
        grant_types=(*GRANTS, API_KEY),
        max_lifetime=head.lifetime,
        heartbeat=HEARTBEAT,
        locales=[one.tag for one in Locale],
        registers=terms.registration != "off",
        reads_documents=terms.metadata_documents,
        signs_up=terms.sign_up,
        policy_uri=front.pages.brand.privacy,
        tos_uri=front.pages.brand.terms,
    )
    return public_json(encoded(metadata(offered)), MAX_AGE)


async def _keys(front: Front, request: Request) -> Answer:
    return public_json((await _ring(front)).jwks, _keys_age(front))


async def _feed_keys(front: Front, request: Request) -> Answer:
    return public_json((await _ring(front)).feed_jwks, _keys_age(front))


def _keys_age(front: Front) -> int:
    """Who keeps a key set for that long has read every key before it signs."""
    return min(MAX_AGE, front.issuer.terms.publish_ahead // 2)


async def _ring(front: Front) -> Ring:
    return await front.issuer.keyring.at(await front.issuer.stores.log.head(), front.now())
