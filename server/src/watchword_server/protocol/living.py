"""Whether what a person allowed still stands."""

from __future__ import annotations

from typing import Protocol

from watchword_server.people.values import Session, User
from watchword_server.protocol.errors import InvalidGrant
from watchword_server.protocol.values import Grant


class Given(Protocol):
    """What a code, of whatever kind, leads to, as read from the store in one look."""

    @property
    def grant(self) -> Grant | None: ...
    @property
    def session(self) -> Session | None: ...
    @property
    def user(self) -> User | None: ...


def must_live(found: Given | None, now: int) -> tuple[Grant, User]:
    """The grant, and who gave it. Raises InvalidGrant where one of them, or the session, has ended."""
    grant, user = (found.grant, found.user) if found is not None else (None, None)
    if grant is None or grant.ended_at is not None or now >= grant.expires_at:
        raise InvalidGrant("grant has ended")
    if user is None or user.disabled_at is not None:
        raise InvalidGrant("user is gone or disabled")
    session = found.session if found is not None else None
    if grant.sid is not None and (session is None or session.ended_at is not None or now >= session.expires_at):
        raise InvalidGrant("session has ended")
    return grant, user
