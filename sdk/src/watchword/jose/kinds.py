"""Every kind of JWT that Watchword makes or takes, by its `typ` (RFC 8725 §3.11): none is taken for another."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """The `typ` in the protected header, without `application/`, in lower case but for the ID token's."""

    ACCESS_TOKEN = "at+jwt"
    """RFC 9068 §2.1."""
    ID_TOKEN = "JWT"
    """OpenID Connect Core §2: clients expect this one; `aud` and required claims tell it apart."""
    LOGOUT_TOKEN = "logout+jwt"
    """OpenID Connect Back-Channel Logout §2.4."""
    DPOP_PROOF = "dpop+jwt"
    """RFC 9449 §4.2."""
    CLIENT_ASSERTION = "client-authentication+jwt"
    """RFC 7523, as its revision of 2025 names it."""
    REQUEST_OBJECT = "oauth-authz-req+jwt"
    """RFC 9101 §10.8."""
    CLIENT_TOKEN = "watchword-client+jwt"
    """A token that a client signs for an API with its own key."""
    FEED_SNAPSHOT = "watchword-snapshot+jwt"
    FEED_DELTA = "watchword-delta+jwt"
    FEED_HEARTBEAT = "watchword-heartbeat+jwt"
    """The three messages of the revocation feed: docs/feed.md."""


CLIENT_TOKEN_LIFETIME: Final = 300
"""Seconds that a CLIENT_TOKEN lives at most."""
