"""Introspection (RFC 7662): an API asks about a token that was sent to it, or a client about its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from watchword_server.flows.client_authentication import authenticate
from watchword_server.flows.issuer import Issuer
from watchword_server.flows.minting import token_type
from watchword_server.flows.presented import presented
from watchword_server.protocol.client_authentication import authenticated_api
from watchword_server.protocol.client_authentication import presented as credentials
from watchword_server.protocol.errors import InvalidRequest, InvalidSession
from watchword_server.protocol.values import Api, Client

INACTIVE: Mapping[str, object] = {"active": False}
FOR_CLIENTS: Final = ("iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "cnf")
"""What a client may read of a token that is for somebody else, and perhaps encrypted to them."""


async def introspect(
    issuer: Issuer, authorization: str | None, form: Mapping[str, str], now: int
) -> Mapping[str, object]:
    """The token's claims, only if it is for the asking API; everything else is `active: false` (§2.2).

    A client is told of its own tokens, and less: what it was told with them. The rest is its API's to read.

    It changes nothing, so it leaves no audit row: verifiers that lost the feed would fill the trail.
    """
    asks = await _who(issuer, authorization, form, now)
    if "token" not in form:
        raise InvalidRequest("token is missing")
    audience = asks.audience if isinstance(asks, Api) else None
    try:
        principal = await presented(issuer, form["token"], now, audience, bound=True)
    except InvalidSession:
        return INACTIVE
    said = principal.claims
    if isinstance(asks, Client):
        if principal.client_id != asks.client_id:
            return INACTIVE
        said = {name: said[name] for name in FOR_CLIENTS if name in said}
    return {**said, "active": True, "token_type": token_type(principal.confirmation)}


async def _who(issuer: Issuer, authorization: str | None, form: Mapping[str, str], now: int) -> Api | Client:
    given = credentials(authorization, form)
    api = None if given.assertion is not None else await issuer.stores.apis.of(given.client_id)
    if api is not None:
        return authenticated_api(api, given)
    return await authenticate(issuer, await issuer.stores.log.head(), authorization, form, now, "introspect")
