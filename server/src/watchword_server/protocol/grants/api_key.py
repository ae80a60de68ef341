"""grant_type=urn:watchword:api-key: the key of an API's customer for a short token. The key is the credential."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from watchword.jose.b64 import b64url
from watchword_server.people.values import User
from watchword_server.protocol.errors import InvalidGrant, InvalidScope
from watchword_server.protocol.targets import narrowed
from watchword_server.protocol.uris import BadRegistration
from watchword_server.protocol.values import Api, ApiKey, Client, Grant

GRANT_TYPE = "urn:watchword:api-key"
ID_BYTES = 6
SECRET_BYTES = 32
LONGEST = 3650
"""Days for which a key is good at most."""
USED_EVERY = 60
"""Seconds in which the use of a key is noted once."""
_KEY = re.compile(r"ww_([A-Za-z0-9_-]{8})_[A-Za-z0-9_-]{43}")


class Held(Protocol):
    """A key and what it leads to, as read from the store in one look."""

    @property
    def key(self) -> ApiKey: ...
    @property
    def grant(self) -> Grant | None: ...
    @property
    def user(self) -> User | None: ...


class Allowed(NamedTuple):
    """What a key is good for now."""

    grant: Grant
    scope: tuple[str, ...]
    roles: tuple[str, ...]


def spelled(id: str, secret: bytes) -> str:
    """A key as its owner gets it: `ww_`, the part that may be shown, and the secret."""
    return f"ww_{id}_{b64url(secret)}"


def kept(key: str) -> bytes:
    """What is kept of it, and found by it."""
    return hashlib.sha256(key.encode()).digest()


def id_in(text: str) -> str | None:
    """The part of a key that may be shown; None where it is no key at all."""
    found = _KEY.fullmatch(text)
    return found[1] if found else None


def may_have(client: Client, audience: str, scope: tuple[str, ...]) -> tuple[str, ...]:
    """The scopes of a new key: all that the client has at the API where none are named. Raises BadRegistration."""
    has = client.access.get(audience)
    if has is None:
        raise BadRegistration(f"{client.client_id} may not use {audience}: a key can do no more than its client")
    beyond = [one for one in scope if one not in has]
    if beyond:
        raise BadRegistration(f"{client.client_id} has no scope {beyond[0]} at {audience}")
    return tuple(dict.fromkeys(scope)) or has


def redeem(held: Held | None, client: Client | None, asker: Api | None, form: Mapping[str, str], now: int) -> Allowed:
    """Decide an exchange. `asker` is the API to which the key was sent, where that asks.

    Raises InvalidGrant, alike for every key that is not good here; InvalidScope or InvalidTarget for one that is good,
    and not for this.
    """
    if held is None or now >= held.key.expires_at:
        raise InvalidGrant("unknown or expired API key")
    grant = held.grant
    if grant is None or grant.ended_at is not None or now >= grant.expires_at:
        raise InvalidGrant("API key was revoked")
    if asker is not None and grant.audience != asker.audience:
        raise InvalidGrant("API key is for another API")
    if client is None or client.disabled_at is not None:
        raise InvalidGrant("the API key's client is gone or disabled")
    roles = _roles_of(held.user, grant)
    return Allowed(grant, narrowed(_as_it_is(grant, client), form.get("scope"), form.get("resource")), roles)


def is_note_due(key: ApiKey, now: int) -> bool:
    """Whether this use is to be noted."""
    return key.last_used_at is None or now - key.last_used_at >= USED_EVERY


def _roles_of(user: User | None, grant: Grant) -> tuple[str, ...]:
    if grant.sub == grant.client_id:
        return ()
    if user is None or user.disabled_at is not None:
        raise InvalidGrant("the API key's user is gone or disabled")
    return user.roles


def _as_it_is(grant: Grant, client: Client) -> Grant:
    """A key lives long: what its client may no longer do, it may not either."""
    has = client.access.get(grant.audience)
    left = tuple(one for one in grant.scope if one in (has or ()))
    if has is None or (grant.scope and not left):
        raise InvalidScope("the API key's client has none of its scopes any more")
    return replace(grant, scope=left)
