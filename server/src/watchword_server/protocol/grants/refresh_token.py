"""grant_type=refresh_token (RFC 6749 §6): rotation, one retry, and reuse that kills the family."""

from __future__ import annotations

from enum import Enum, auto

import msgspec

from watchword_server.people.values import Session, User
from watchword_server.protocol.errors import InvalidGrant, RefreshReused, UnauthorizedClient
from watchword_server.protocol.values import PUBLIC, Client, Grant, RefreshToken

GRANT_TYPE = "refresh_token"
RETRY = 30
"""Seconds in which a spent token still gives its successor, while that is unused: the answer may have been lost."""


class Step(Enum):
    """What follows from a good refresh token."""

    ROTATE = auto()
    REPEAT = auto()
    KEEP = auto()


class Found(msgspec.Struct, frozen=True):
    """Everything that a presented refresh token leads to, as read from the store."""

    token: RefreshToken | None
    successor: RefreshToken | None
    grant: Grant | None
    session: Session | None
    user: User | None


def redeem(found: Found, client: Client, now: int, jkt: str | None = None) -> Step:
    """Decide a refresh (RFC 6749 §6, RFC 9700 §4.14). Raises RefreshReused when the family must die.

    `jkt` is the thumbprint of the key that the client has proven to have.
    """
    token, grant = found.token, found.grant
    if GRANT_TYPE not in client.grant_types:
        raise UnauthorizedClient("client may not use refresh tokens")
    if token is None or grant is None:
        raise InvalidGrant("unknown refresh token")
    if grant.client_id != client.client_id:
        raise InvalidGrant("refresh token belongs to another client")
    _must_live(found, grant, now)
    if token.spent_at is not None:  # before its key: who stole it may have bound what followed to a key of their own
        _must_be_a_retry(token, found.successor, now)
    if grant.jkt is not None and grant.jkt != jkt:  # RFC 9449 §5: who stole it has not got the key
        raise InvalidGrant("refresh token is bound to another key")
    if token.spent_at is not None:
        return Step.REPEAT
    if now >= token.expires_at:
        raise InvalidGrant("refresh token has expired")
    return Step.ROTATE if client.kind == PUBLIC or client.rotates else Step.KEEP


def _must_live(found: Found, grant: Grant, now: int) -> None:
    if grant.ended_at is not None or now >= grant.expires_at:
        raise InvalidGrant("grant has ended")
    if found.user is None or found.user.disabled_at is not None:
        raise InvalidGrant("user is gone or disabled")
    if grant.sid is None:
        return
    session = found.session
    if session is None or session.ended_at is not None or now >= session.expires_at:
        raise InvalidGrant("session has ended")


def _must_be_a_retry(token: RefreshToken, successor: RefreshToken | None, now: int) -> None:
    if successor is None or successor.spent_at is not None:
        raise RefreshReused("spent refresh token after its successor was used")
    if token.spent_at is None or now - token.spent_at > RETRY:
        raise RefreshReused("spent refresh token after the time for a retry")
