"""Reading an `id_token_hint`: an ID token of ours, whatever its age (OpenID Connect Core §3.1.2.1)."""

from __future__ import annotations

from typing import Final

from watchword.errors import InvalidToken
from watchword.jose import jws, jwt
from watchword.jose.kinds import Kind
from watchword_server.flows.issuer import Issuer
from watchword_server.protocol.logout import Hint

TYPES: Final = frozenset((Kind.ID_TOKEN.lower(),))
"""As `jws.verify` compares them."""
MAX_HINT: Final = 16 * 1024
"""Bytes."""


async def hinted(issuer: Issuer, token: str, now: int) -> Hint | None:
    """Of whom an ID token speaks. None unless we signed it with a key that is published still.

    It may have expired: it says who somebody was, and opens nothing.
    """
    ring = await issuer.keyring.at(await issuer.stores.log.head(), now)
    try:
        _, payload = jws.verify(token, ring.trusted, TYPES, MAX_HINT)
        claims = jwt.claims(payload)
    except InvalidToken:
        return None
    client_id, sub, sid = claims.get("aud"), claims.get("sub"), claims.get("sid")
    # Other tokens of ours have another `typ`. Beside that, `auth_time` is in every ID token and in access tokens of
    # people, and these name their client.
    if claims.get("iss") != issuer.terms.issuer or "auth_time" not in claims or "client_id" in claims:
        return None
    if not isinstance(client_id, str) or not isinstance(sub, str) or not (sid is None or isinstance(sid, str)):
        return None
    return Hint(client_id, sub, sid)
