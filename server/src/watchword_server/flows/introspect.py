"""Introspection (RFC 7662): an API asks about a token that was sent to it."""

from __future__ import annotations

from collections.abc import Mapping

from watchword_server.flows.issuer import Issuer
from watchword_server.flows.presented import presented
from watchword_server.protocol.client_authentication import authenticated_api
from watchword_server.protocol.client_authentication import presented as credentials
from watchword_server.protocol.errors import InvalidRequest, InvalidSession

INACTIVE: Mapping[str, object] = {"active": False}


async def introspect(
    issuer: Issuer, authorization: str | None, form: Mapping[str, str], now: int
) -> Mapping[str, object]:
    """The token's claims, only if it is for the asking API; everything else is `active: false` (§2.2).

    It changes nothing, so it leaves no audit row: verifiers that lost the feed would fill the trail.
    """
    given = credentials(authorization, form)
    api = authenticated_api(await issuer.stores.apis.of(given.client_id), given)
    if "token" not in form:
        raise InvalidRequest("token is missing")
    try:
        principal = await presented(issuer, form["token"], now, api.audience)
    except InvalidSession:
        return INACTIVE
    return {**principal.claims, "active": True, "token_type": "Bearer"}
