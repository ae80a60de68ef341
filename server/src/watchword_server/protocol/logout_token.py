"""Logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.4): what a client is told when a session ends."""

from __future__ import annotations

from typing import Final

EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
LIFETIME: Final = 120
"""Seconds. A client may have to fetch a key first, and its clock may be off; each attempt makes a new token."""


def claims(issuer: str, client_id: str, sub: str, sid: str, jti: str, now: int) -> dict[str, object]:
    """The claims of a logout token. `sub` is the person as this client knows them. It never has a nonce (§2.4)."""
    return {
        "iss": issuer,
        "sub": sub,
        "aud": client_id,
        "iat": now,
        "exp": now + LIFETIME,
        "jti": jti,
        "events": {EVENT: {}},
        "sid": sid,
    }
