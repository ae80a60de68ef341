"""Refreshing: a refresh token for the next one and a new access token, once, with one retry."""

from __future__ import annotations

import msgspec

from watchword_server.changes import Add, BindGrant, Change, EndGrant, Send, Spend
from watchword_server.flows import endings, minting
from watchword_server.flows.id_tokens import id_token
from watchword_server.flows.issuer import Caller, Issuer, audit, revoke
from watchword_server.flows.minting import Tokens
from watchword_server.people.values import User
from watchword_server.ports import Conflict, Head
from watchword_server.protocol.errors import InvalidGrant, RefreshReused
from watchword_server.protocol.grants.refresh_token import Found, Step, redeem
from watchword_server.protocol.refresh_token import NONCE, kept, sealed, spelled, unsealed
from watchword_server.protocol.targets import OPENID, narrowed
from watchword_server.protocol.values import PUBLIC, Client, Grant, RefreshToken
from watchword_server.revocation import deaths


class _Next(msgspec.Struct, frozen=True):
    """The refresh token to answer with, and what makes it true."""

    token: str
    changes: tuple[Change, ...]


class Shown(msgspec.Struct, frozen=True):
    """What a client presents; `jkt` is the thumbprint of the key that it has proven to have."""

    token: str
    scope: str | None = None
    resource: str | None = None
    jkt: str | None = None


async def refresh(issuer: Issuer, head: Head, client: Client, shown: Shown, caller: Caller, now: int) -> Tokens:
    """Answer a refresh (RFC 6749 §6). A spent token that comes back kills its family (RFC 9700 §4.14.2).

    `head` was read before `client`, and so before all that is read here (docs/decisions/0003). Exactly one of many
    racing callers spends the token; the others then see a spent token and get the same successor, as any retry does.
    """
    try:
        return await _once(issuer, head, client, shown, caller, now)
    except Conflict:
        pass
    try:
        return await _once(issuer, head, client, shown, caller, now)
    except Conflict as error:
        raise InvalidGrant("grant ended while it was refreshed") from error


async def _once(issuer: Issuer, head: Head, client: Client, shown: Shown, caller: Caller, now: int) -> Tokens:
    raw = shown.token
    found = await issuer.stores.refresh_tokens.family(kept(raw))
    try:
        step = redeem(found, client, now, shown.jkt)
    except RefreshReused:
        await _kill_family(issuer, head, found.grant, client, caller, now)
        raise
    grant, user, token = _whole(found)
    granted = narrowed(grant, shown.scope, shown.resource)
    following = _following(issuer, step, raw, token, now)
    minted = await minting.for_grant(issuer, head, client, grant, granted, user.roles, now, following.token, shown.jkt)
    tokens = minted.tokens
    if grant.authentication is not None and OPENID in granted:
        told = await id_token(issuer, head, client, grant, user, access_token=tokens.access_token, nonce=None, now=now)
        tokens = msgspec.structs.replace(tokens, id_token=told)
    actor, jti = f"client:{client.client_id}", tokens.jti
    row = audit(caller, now, actor, "token.refresh", target=f"grant:{grant.gid}", jti=jti)
    binds = bound(client, grant, shown.jkt) if step is Step.ROTATE else ()
    await issuer.stores.journal.save(*following.changes, *binds, *minted.changes, row)
    return tokens


def _whole(found: Found) -> tuple[Grant, User, RefreshToken]:
    """The parts that `redeem` has shown to be there."""
    if found.grant is None or found.user is None or found.token is None:
        raise InvalidGrant("unknown refresh token")
    return found.grant, found.user, found.token


def _following(issuer: Issuer, step: Step, raw: str, token: RefreshToken, now: int) -> _Next:
    match step:
        case Step.KEEP:
            return _Next(raw, ())
        case Step.REPEAT:
            if token.sealed_successor is None:
                raise InvalidGrant("spent token without a successor")
            return _Next(unsealed(token.sealed_successor, raw), ())
        case Step.ROTATE:
            successor = spelled(issuer.random(32))
            spend = Spend(token.hash, now, kept(successor), sealed(successor, raw, issuer.random(NONCE)))
            return _Next(successor, (spend, Add(new_token(issuer, successor, token.gid, now))))


def new_token(issuer: Issuer, raw: str, gid: str, now: int) -> RefreshToken:
    """The record of a refresh token that was just made."""
    return RefreshToken(kept(raw), gid, now, now + issuer.terms.refresh_lifetime)


def bound(client: Client, grant: Grant, jkt: str | None) -> tuple[Change, ...]:
    """The refresh tokens of a public client are bound to the first key that it proves (RFC 9449 §5).

    Whoever has credentials proves by them who it is.
    """
    if jkt is None or grant.jkt is not None or client.kind != PUBLIC:
        return ()
    return (BindGrant(grant.gid, jkt),)


async def _kill_family(
    issuer: Issuer, head: Head, grant: Grant | None, client: Client, caller: Caller, now: int
) -> None:
    """End the grant; and for a first-party client the session too, since the grant was all it had."""
    if grant is None:
        return
    # Of many who come at once, one: a person is told once, and the log has one entry. The others find a dead grant.
    changes: list[Change] = [EndGrant(grant.gid, now, first=True), revoke(deaths.grant(grant.gid, now, head.lifetime))]
    if client.first_party and grant.sid is not None:
        changes += await endings.of_session(issuer, grant.sid, now, head.lifetime)
    await issuer.stores.journal.save(
        *changes,
        audit(caller, now, f"client:{client.client_id}", "token.reuse", "family ended", f"grant:{grant.gid}"),
        Send("notice.refresh_reused", {"sub": grant.sub, "client": client.name, "address": caller.address}, now),
    )
