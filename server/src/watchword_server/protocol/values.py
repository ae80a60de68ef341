"""The nouns of OAuth as frozen values. Times are whole seconds since 1970, lifetimes are seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

CONFIDENTIAL: Literal["confidential"] = "confidential"
PUBLIC: Literal["public"] = "public"


class Encryption(msgspec.Struct, frozen=True):
    """How an API's tokens are encrypted (RFC 7516): to one key, or to one of the set at a URL; never both."""

    enc: str
    jwk: Mapping[str, object] | None = None
    jwks_uri: str | None = None


class Api(msgspec.Struct, frozen=True):
    """A resource server. Its own credentials read the feed and introspect tokens for its audience."""

    audience: str
    name: str
    scopes: tuple[str, ...]
    client_id: str
    secret_hash: bytes
    created_at: int
    access_token_alg: str | None = None
    """What its tokens are signed with; None: what the client chose, or the deployment."""
    encryption: Encryption | None = None
    """How its tokens are encrypted; None: they are signed only."""


class Client(msgspec.Struct, frozen=True):
    """A registered program (RFC 6749 §2). `access` says, for each audience, the scopes it may have."""

    client_id: str
    name: str
    kind: Literal["confidential", "public"]
    secret_hash: bytes | None
    grant_types: frozenset[str]
    access: Mapping[str, tuple[str, ...]]
    created_at: int
    first_party: bool = False
    """Whether it may use `POST /session`: only programs of the operator's own."""
    redirect_uris: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    """Web origins from which a browser may call on this client's behalf."""
    rotates: bool = True
    """Whether each use of a refresh token replaces it; always so for public clients."""
    disabled_at: int | None = None
    access_token_alg: str | None = None
    """What its tokens are signed with where the API does not mind; None: what the deployment chose."""


class Grant(msgspec.Struct, frozen=True):
    """What a client may do for a subject at one API. A refresh token family belongs to one grant."""

    gid: str
    client_id: str
    sub: str
    audience: str
    scope: tuple[str, ...]
    created_at: int
    expires_at: int
    sid: str | None = None
    parent: str | None = None
    ended_at: int | None = None


class EncryptedToken(msgspec.Struct, frozen=True):
    """An encrypted access token, kept by SHA-256; what is signed inside is sealed under the token's own text."""

    hash: bytes
    sealed: bytes
    expires_at: int


class RefreshToken(msgspec.Struct, frozen=True):
    """One token of a family. Only hashes are kept; the successor is sealed under the spent token."""

    hash: bytes
    gid: str
    created_at: int
    expires_at: int
    spent_at: int | None = None
    successor_hash: bytes | None = None
    sealed_successor: bytes | None = None
