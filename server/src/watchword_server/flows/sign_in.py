"""Signing in by password: `POST /session`."""

from __future__ import annotations

from dataclasses import dataclass

from watchword_server.changes import Add, Unrevoked
from watchword_server.flows import minting
from watchword_server.flows.issuer import Caller, Issuer, audit
from watchword_server.flows.minting import Tokens
from watchword_server.flows.refresh import new_token
from watchword_server.people.addresses import BadAddress, canonical
from watchword_server.people.passwords import normalized
from watchword_server.people.values import Session, User
from watchword_server.ports import Busy, Conflict, Head
from watchword_server.protocol.client_authentication import Credentials, authenticated
from watchword_server.protocol.dpop import must_prove
from watchword_server.protocol.errors import (
    AccessDenied,
    InvalidGrant,
    TemporarilyUnavailable,
    TooManyAttempts,
    UnauthorizedClient,
)
from watchword_server.protocol.refresh_token import spelled
from watchword_server.protocol.targets import target
from watchword_server.protocol.values import Authentication, Client, Grant


@dataclass(frozen=True, slots=True)
class SignIn:
    """What was sent. `origin` is the Origin header, None where a program sent none."""

    credentials: Credentials
    email: str
    password: str
    scope: str | None
    resource: str | None
    origin: str | None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new session and its first tokens."""

    session: Session
    user: User
    tokens: Tokens


async def sign_in(issuer: Issuer, ask: SignIn, caller: Caller, now: float) -> SignedIn:
    """Make a session for a person who knows the password.

    Wrong password, unknown user and disabled user are one refusal, in text and in time: the hash always runs.
    """
    # `rev` is read before anything else: whatever is revoked from here on, while the hash takes long, is a Conflict.
    head = await issuer.stores.log.head()
    client = await first_party(issuer, ask.credentials, ask.origin, int(now))
    audience, scope = target(client, ask.scope, ask.resource)
    user = await proven(issuer, ask.email, ask.password, client.client_id, caller, now)
    try:
        return await _open_session(issuer, head, user, client, audience, scope, caller, int(now))
    except Conflict as error:
        raise InvalidGrant("user or client was revoked while the password was checked") from error


async def first_party(issuer: Issuer, given: Credentials, origin: str | None, now: int) -> Client:
    """The client, if it is the operator's own and the browser speaks from where it may."""
    client = authenticated(await issuer.stores.clients.find(given.client_id), given, now)
    if not client.first_party:
        raise UnauthorizedClient("client is not first-party")
    must_prove(client, None)  # no proof is taken where passwords are: what is handed out there is bound to nothing
    if origin is not None:
        must_be_allowed(issuer, client, origin)
    return client


def must_be_allowed(issuer: Issuer, client: Client, origin: str) -> None:
    """Raises AccessDenied unless pages of this origin may speak for the client: our own, and those registered."""
    if origin not in (*client.origins, origin_of(issuer.terms.issuer)):
        raise AccessDenied("Origin is not registered for this client")


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL (RFC 6454 §6.2)."""
    return "/".join(url.split("/", 3)[:3])


async def proven(issuer: Issuer, email: str, password: str, client_id: str, caller: Caller, now: float) -> User:
    """The person who has this e-mail address, if this is their password.

    Raises InvalidGrant, TooManyAttempts, TemporarilyUnavailable; no difference tells whether there is an account.
    """
    try:
        email = canonical(email)
    except BadAddress as error:
        raise InvalidGrant("not an e-mail address") from error
    budget = (f"account:{email}", f"address:{caller.address}")
    pause = await issuer.attempts.begin(budget, now)
    if pause:
        await _refused(issuer, client_id, caller, now, "too many attempts", email)
        raise TooManyAttempts("too many failed sign-ins", pause)
    user = await issuer.stores.users.named(email)
    try:
        matches = await issuer.hasher.matches(user.password_hash if user else None, normalized(password))
    except Busy as error:
        await issuer.attempts.take_back(budget)
        raise TemporarilyUnavailable("too many sign-ins at once") from error
    if user is None or not matches or user.disabled_at is not None:
        await _refused(issuer, client_id, caller, now, "wrong credentials", user.sub if user else "")
        raise InvalidGrant("wrong credentials")
    await issuer.attempts.succeed(budget)
    return user


async def _refused(issuer: Issuer, client_id: str, caller: Caller, now: float, why: str, who: str) -> None:
    await issuer.stores.journal.save(
        audit(caller, now, "anonymous", "session.create", why, f"user:{who}", client_id=client_id)
    )


async def _open_session(
    issuer: Issuer,
    head: Head,
    user: User,
    client: Client,
    audience: str,
    scope: tuple[str, ...],
    caller: Caller,
    now: int,
) -> SignedIn:
    expires_at = now + issuer.terms.session_lifetime
    session = Session(
        issuer.identifier(), user.sub, client.client_id, ("pwd",), now, expires_at, caller.address, caller.agent
    )
    grant = Grant(
        issuer.identifier(),
        client.client_id,
        user.sub,
        audience,
        scope,
        now,
        expires_at,
        sid=session.sid,
        authentication=Authentication(sid=session.sid, auth_time=now, amr=session.amr),
    )
    raw = spelled(issuer.random(32))
    minted = await minting.for_grant(issuer, head, client, grant, scope, user.roles, now, raw)
    await issuer.stores.journal.save(
        Unrevoked(head.rev, sub=user.sub, client_id=client.client_id),
        Add(session),
        Add(grant),
        Add(new_token(issuer, raw, grant.gid, now)),
        *minted.changes,
        audit(
            caller,
            now,
            f"user:{user.sub}",
            "session.create",
            target=f"session:{session.sid}",
            client_id=client.client_id,
        ),
    )
    return SignedIn(session, user, minted.tokens)
