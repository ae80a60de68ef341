"""An operator takes something back: a token, session, grant, person, client, or everything of the issuer."""

from __future__ import annotations

from collections.abc import Sequence

from watchword.errors import WatchwordError
from watchword.jose import jwt
from watchword.jose.b64 import unb64url
from watchword.log import Entry
from watchword_server.changes import Change, EndGrant, EndGrantsOf
from watchword_server.flows import clients, endings, users
from watchword_server.flows.administration import Operator, Refused, Unknown
from watchword_server.flows.encryption import unsealed
from watchword_server.flows.issuer import Issuer, audit, revoke
from watchword_server.protocol.errors import InvalidSession
from watchword_server.revocation import deaths


async def token(issuer: Issuer, by: Operator, text: str, now: int) -> Sequence[Entry]:
    """One access token with all that came of it, by its text or its `jti`.

    The text may come from anywhere: only its `jti` is used.
    """
    lifetime = (await issuer.stores.log.head()).lifetime
    jti = _jti(await _signed(issuer, text)) if "." in text else text
    return await _save(issuer, by, now, f"token:{jti}", *endings.of_token(jti, now + lifetime, now))


async def session(issuer: Issuer, by: Operator, sid: str, now: int) -> Sequence[Entry]:
    """One sign-in, with all that came of it."""
    if await issuer.stores.sessions.find(sid) is None:
        raise Unknown(f"no session {sid}; list a user's with `watchword user show EMAIL`")
    lifetime = (await issuer.stores.log.head()).lifetime
    return await _save(issuer, by, now, f"session:{sid}", *await endings.of_session(issuer, sid, now, lifetime))


async def grant(issuer: Issuer, by: Operator, gid: str, now: int) -> Sequence[Entry]:
    """What one client may do for one subject, and by one entry all that came of it by exchange, which names it."""
    if await issuer.stores.grants.find(gid) is None:
        raise Unknown(f"no grant {gid}")
    lifetime = (await issuer.stores.log.head()).lifetime
    return await _save(issuer, by, now, f"grant:{gid}", EndGrant(gid, now), revoke(deaths.grant(gid, now, lifetime)))


async def user(issuer: Issuer, by: Operator, name: str, now: int) -> Sequence[Entry]:
    """Everything that a person has: signs out everywhere, and may sign in again."""
    found = await users.find(issuer, name)
    lifetime = (await issuer.stores.log.head()).lifetime
    ends = await endings.of_person(issuer, found.sub, now, lifetime)
    return await _save(issuer, by, now, f"user:{found.sub}", *ends)


async def client(issuer: Issuer, by: Operator, client_id: str, now: int) -> Sequence[Entry]:
    """Everything that a client has, its grants too; it may ask again."""
    await clients.find(issuer, client_id)
    lifetime = (await issuer.stores.log.head()).lifetime
    death = revoke(deaths.client(client_id, now, lifetime))
    return await _save(issuer, by, now, f"client:{client_id}", EndGrantsOf(client_id, now), death)


async def everything(issuer: Issuer, by: Operator, now: int) -> Sequence[Entry]:
    """Every access token made before now; sessions stay and refresh."""
    lifetime = (await issuer.stores.log.head()).lifetime
    return await _save(issuer, by, now, "issuer", revoke(deaths.issuer(now, lifetime)))


async def _save(issuer: Issuer, by: Operator, now: int, target: str, *changes: Change) -> Sequence[Entry]:
    row = audit(by.caller, now, by.actor, "revoke", target=target)
    return await issuer.stores.journal.save(*changes, row)


async def _signed(issuer: Issuer, text: str) -> str:
    try:
        return await unsealed(issuer, text)
    except InvalidSession as error:
        raise Refused("this encrypted token is not known here, or has expired; revoke it by its jti") from error


def _jti(text: str) -> str:
    try:
        jti = jwt.claims(unb64url(text.split(".")[1])).get("jti")
    except WatchwordError as error:
        raise Refused(f"not a JWT: {error}") from error
    if not isinstance(jti, str) or not jti:
        raise Refused("the token has no jti; revoke its session, grant, user or client instead")
    return jti
