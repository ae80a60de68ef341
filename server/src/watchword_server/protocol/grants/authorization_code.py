"""A code for tokens (RFC 6749 §4.1.3)."""

from __future__ import annotations

import msgspec

from watchword_server.people.values import Session, User
from watchword_server.protocol.errors import CodeReplayed, InvalidGrant, UnauthorizedClient
from watchword_server.protocol.pkce import answers
from watchword_server.protocol.values import Client, Grant

GRANT_TYPE = "authorization_code"
LIFETIME = 60
"""Seconds."""


PREFIX = "wwc_"


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """What a code stands for; it is kept by SHA-256. Times are seconds since 1970."""

    hash: bytes
    client_id: str
    redirect_uri: str
    code_challenge: str | None
    """S256; None where the client may do without."""
    nonce: str | None = None
    gid: str
    """The grant that its tokens belong to, and that dies when the code comes back."""
    expires_at: int
    spent_at: int | None = None
    jkt: str | None = None
    """The thumbprint of the key that it is bound to (RFC 9449 §10)."""


class Redeemable(msgspec.Struct, frozen=True):
    """A code with all that it leads to, as read from the store."""

    code: Code
    grant: Grant | None
    session: Session | None
    user: User | None


class Offer(msgspec.Struct, frozen=True):
    """What a client presents."""

    redirect_uri: str | None
    code_verifier: str | None
    jkt: str | None = None
    """The thumbprint of the key that it has proven to have."""


def redeem(code: Code | None, offer: Offer, client: Client, now: int) -> Code:
    """Decide an exchange. Raises CodeReplayed when what the first use got must die (RFC 6749 §4.1.2)."""
    if GRANT_TYPE not in client.grant_types:
        raise UnauthorizedClient("client may not use the authorization code flow")
    if code is None:
        raise InvalidGrant("unknown code")
    if code.client_id != client.client_id:
        # It has leaked: whoever it was made for must not use it either.
        raise CodeReplayed("code belongs to another client")
    if code.spent_at is not None:
        raise CodeReplayed("code was already used")
    if now >= code.expires_at:
        raise InvalidGrant("code has expired")
    if code.redirect_uri != offer.redirect_uri:
        raise InvalidGrant("redirect_uri differs from the authorization request")
    if code.code_challenge is None:
        if offer.code_verifier is not None:  # a stripped challenge (RFC 9700 §4.8.2)
            raise InvalidGrant("code_verifier without a code_challenge")
    elif offer.code_verifier is None or not answers(offer.code_verifier, code.code_challenge):
        raise InvalidGrant("code_verifier does not answer the challenge")
    if code.jkt is not None and code.jkt != offer.jkt:
        raise InvalidGrant("code is bound to another key (RFC 9449 §10)")
    return code
