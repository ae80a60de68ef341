"""Who is signed in at a browser. It has one secret, which we keep by SHA-256, and may have several accounts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec

from watchword.jose.b64 import b64url
from watchword_server.changes import Add, Advance, Change, MoveBrowser, Reauthenticate, Unrevoked
from watchword_server.flows.issuer import Caller, Issuer, audit
from watchword_server.flows.sign_in import proven
from watchword_server.people.values import Session, User
from watchword_server.ports import Conflict, Head
from watchword_server.protocol.errors import InvalidGrant
from watchword_server.protocol.values import Interaction

BY_PASSWORD: Final = ("pwd",)
"""RFC 8176 §2."""


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Who stands before a page: a browser, by its secret's hash, and the account that was used last."""

    caller: Caller
    browser: bytes | None = None
    """None: it was never here, or has forgotten."""
    preferred: str | None = None
    """The session of the account that it used last; not to be trusted before it was found at this browser."""


class Account(msgspec.Struct, frozen=True):
    """Somebody who is signed in at a browser."""

    session: Session
    user: User


class Entered(msgspec.Struct, frozen=True):
    """Who has just signed in, and the secret that the browser has from now on."""

    account: Account
    secret: str


def kept(secret: str) -> bytes:
    """What is kept of a browser's secret, or of a request's handle."""
    return hashlib.sha256(secret.encode()).digest()


def spelled(issuer: Issuer) -> str:
    """A new secret: 256 random bits."""
    return b64url(issuer.random(32))


async def accounts(issuer: Issuer, visitor: Visitor, now: int) -> Sequence[Account]:
    """Everybody who is signed in at this browser, the one who was here last first."""
    if visitor.browser is None:
        return ()
    found = []
    for session in await issuer.stores.sessions.at(visitor.browser):
        user = await issuer.stores.users.find(session.sub)
        if now < session.expires_at and user is not None and user.disabled_at is None:
            found.append(Account(session, user))
    found.sort(key=lambda one: (one.session.sid == visitor.preferred, one.session.auth_time), reverse=True)
    return found


async def sign_in(
    issuer: Issuer, visitor: Visitor, waiting: Interaction | None, email: str, password: str, now: float
) -> Entered:
    """Let somebody in who knows the password. Raises InvalidGrant, TooManyAttempts, TemporarilyUnavailable.

    The browser gets another secret (ASVS 7.2.4). Who is signed in here already keeps their session, with a new time.
    """
    head = await issuer.stores.log.head()
    client_id = waiting.client_id if waiting is not None else ""
    user = await proven(issuer, email, password, client_id, visitor.caller, now)
    return await enter(issuer, head, visitor, waiting, user, now)


async def enter(
    issuer: Issuer,
    head: Head,
    visitor: Visitor,
    waiting: Interaction | None,
    user: User,
    now: float,
) -> Entered:
    """Open a session at this browser for somebody who has shown who they are since `head` was read."""
    at = int(now)
    known = next((one for one in await accounts(issuer, visitor, at) if one.user.sub == user.sub), None)
    secret = spelled(issuer)
    client_id = waiting.client_id if waiting is not None else ""
    session, opening = _opened(issuer, known, user, client_id, kept(secret), visitor.caller, at)
    changes: list[Change] = [Unrevoked(head.rev, sub=user.sub, client_id=client_id)]
    if visitor.browser is not None:
        changes.append(MoveBrowser(visitor.browser, kept(secret)))
    changes.append(opening)
    if waiting is not None:
        changes.append(Advance(waiting.hash, session.sid, None))
    row = audit(
        visitor.caller, now, f"user:{user.sub}", "session.create", target=f"session:{session.sid}", client_id=client_id
    )
    try:
        await issuer.stores.journal.save(*changes, row)
    except Conflict as error:
        raise InvalidGrant("revoked, or answered, while the password was checked") from error
    return Entered(Account(session, user), secret)


def _opened(
    issuer: Issuer, known: Account | None, user: User, client_id: str, browser: bytes, caller: Caller, now: int
) -> tuple[Session, Change]:
    if known is not None:
        again = Reauthenticate(known.session.sid, now, BY_PASSWORD)
        return msgspec.structs.replace(known.session, authenticated_at=now, amr=BY_PASSWORD, browser=browser), again
    session = Session(
        issuer.identifier(),
        user.sub,
        client_id,
        BY_PASSWORD,
        now,
        now + issuer.terms.session_lifetime,
        caller.address,
        caller.agent,
        browser=browser,
    )
    return session, Add(session)
