"""People and their sessions as frozen values. Times are whole seconds since 1970."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class User(msgspec.Struct, frozen=True):
    """A person. `email` is canonical (`people.addresses.canonical`); `sub` is random and never reused."""

    sub: str
    email: str
    name: str
    password_hash: str | None
    roles: tuple[str, ...]
    created_at: int
    disabled_at: int | None = None
    profile: Mapping[str, object] = {}  # msgspec gives each its own
    """Further claims by their names (OpenID Connect Core §5.1), such as `given_name` and `email_verified`."""


class Session(msgspec.Struct, frozen=True):
    """A user's sign-in on one device. `amr` names how (RFC 8176)."""

    sid: str
    sub: str
    client_id: str
    amr: tuple[str, ...]
    created_at: int
    expires_at: int
    address: str
    agent: str
    ended_at: int | None = None
    browser: bytes | None = None
    """The SHA-256 of the secret of the browser that it was opened in at our own pages."""
    authenticated_at: int | None = None
    """When the person signed in again in it; None: never since it was opened."""

    @property
    def auth_time(self) -> int:
        """When the person last showed who they are."""
        return self.authenticated_at or self.created_at
