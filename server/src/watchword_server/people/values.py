"""People and their sessions as frozen values. Times are whole seconds since 1970."""

from __future__ import annotations

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
