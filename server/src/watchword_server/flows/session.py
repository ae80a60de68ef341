"""An open session: who it is, and signing out. Both are asked with one of its access tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from watchword.log import Entry
from watchword.policy import Principal
from watchword_server.flows import endings
from watchword_server.flows.issuer import Caller, Issuer, audit
from watchword_server.flows.presented import presented
from watchword_server.people.values import Session, User
from watchword_server.protocol.errors import InvalidSession
from watchword_server.protocol.values import Client


@dataclass(frozen=True, slots=True)
class Open:
    """A session that is open, with its person and the client that opened it."""

    session: Session
    user: User
    client: Client
    principal: Principal


async def current(issuer: Issuer, token: str, now: int) -> Open:
    """The session behind an access token that a first-party client got by `POST /session`."""
    principal = await presented(issuer, token, now)
    if principal.lineage:  # one who acts for a person ends nothing of theirs
        raise InvalidSession("token came by exchange")
    client = await issuer.stores.clients.find(principal.client_id)
    if client is None or client.disabled_at is not None or not client.first_party or principal.sid is None:
        raise InvalidSession("token is not of a first-party session")
    session = await issuer.stores.sessions.find(principal.sid)
    if session is None or session.ended_at is not None or now >= session.expires_at:
        raise InvalidSession("session has ended")
    user = await issuer.stores.users.find(session.sub)
    if user is None or user.disabled_at is not None:
        raise InvalidSession("user is gone or disabled")
    return Open(session, user, client, principal)


async def sign_out(issuer: Issuer, token: str, caller: Caller, now: int) -> Sequence[Entry]:
    """End the session with all that follows (`flows/endings.py`): everywhere by the feed, with these entries."""
    found = await current(issuer, token, now)
    head = await issuer.stores.log.head()
    sid = found.session.sid
    return await issuer.stores.journal.save(
        *await endings.of_session(issuer, sid, now, head.lifetime),
        audit(caller, now, f"user:{found.user.sub}", "session.end", target=f"session:{sid}"),
    )
