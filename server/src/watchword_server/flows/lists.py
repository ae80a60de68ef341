"""What an operator may look through. Reading leaves no audit row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from watchword_server.flows.issuer import Issuer
from watchword_server.people.values import Session, User
from watchword_server.protocol.values import Api, Client

ADMIN: Final = "admin"
"""The role of those who administer the deployment."""
PAGE: Final = 500
"""People that are read at once."""


async def users(issuer: Issuer, after: str, limit: int) -> Sequence[User]:
    """A page in the order of e-mail addresses, those beyond `after`."""
    return await issuer.stores.users.all(after, limit)


async def sessions(issuer: Issuer, sub: str) -> Sequence[Session]:
    """A user's open sessions, newest first."""
    return await issuer.stores.sessions.of(sub)


async def clients(issuer: Issuer, after: str, limit: int) -> Sequence[Client]:
    """A page in the order of ids, those beyond `after`."""
    return await issuer.stores.clients.all(after, limit)


async def apis(issuer: Issuer) -> Sequence[Api]:
    """Every API."""
    return await issuer.stores.apis.all()


async def administrator(issuer: Issuer) -> User | None:
    """Somebody who has the role `admin`, disabled or not; None while nobody has."""
    after = ""
    while page := await users(issuer, after, PAGE):
        found = next((user for user in page if ADMIN in user.roles), None)
        if found is not None:
            return found
        after = page[-1].email
    return None
