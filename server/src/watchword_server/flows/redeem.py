"""A code for tokens (RFC 6749 §4.1.3): once. Who comes a second time ends what the first one got."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from watchword_server.changes import Add, Change, EndGrant, SpendCode
from watchword_server.flows import minting
from watchword_server.flows.id_tokens import id_token
from watchword_server.flows.issuer import Caller, Issuer, audit, revoke
from watchword_server.flows.minting import Tokens
from watchword_server.flows.refresh import bound, new_token
from watchword_server.people.values import User
from watchword_server.ports import Conflict, Head
from watchword_server.protocol.errors import CodeReplayed, InvalidGrant, InvalidRequest, InvalidTarget
from watchword_server.protocol.grants import refresh_token
from watchword_server.protocol.grants.authorization_code import Code, Offer, Redeemable, redeem
from watchword_server.protocol.living import must_live
from watchword_server.protocol.refresh_token import kept, spelled
from watchword_server.protocol.targets import OPENID, is_for
from watchword_server.protocol.values import Client, Grant
from watchword_server.revocation import deaths


async def redeem_code(
    issuer: Issuer, head: Head, client: Client, form: Mapping[str, str], jkt: str | None, caller: Caller, now: int
) -> Tokens:
    """The tokens for a code, bound to the key that was proven, if one was (`jkt`).

    `head` was read before `client`, and so before all that is read here.

    Exactly one of many racing callers gets them; and since others have come too, they die at once (§4.1.2).
    """
    if "code" not in form:
        raise InvalidRequest("code is missing")
    found = await issuer.stores.codes.redeemable(kept(form["code"]))
    offer = Offer(form.get("redirect_uri"), form.get("code_verifier"), jkt)
    try:
        code = redeem(found.code if found is not None else None, offer, client, now)
        grant, user = must_live(found, now)
        if not is_for(form.get("resource"), grant.audience):
            raise InvalidTarget("code is for another API")
        return await _tokens(issuer, head, client, grant, user, code, jkt, caller, now)
    except CodeReplayed:
        await _end(issuer, head, found, client, caller, now)
        raise


async def _tokens(
    issuer: Issuer,
    head: Head,
    client: Client,
    grant: Grant,
    user: User,
    code: Code,
    jkt: str | None,
    caller: Caller,
    now: int,
) -> Tokens:
    try:
        spend = SpendCode(code.hash, now)
        return await first_tokens(issuer, head, client, grant, user, spend, code.nonce, jkt, caller, now)
    except Conflict as error:
        raise CodeReplayed("code was used, or its grant ended, meanwhile") from error


async def first_tokens(
    issuer: Issuer,
    head: Head,
    client: Client,
    grant: Grant,
    user: User,
    spend: Change,
    nonce: str | None,
    jkt: str | None,
    caller: Caller,
    now: int,
) -> Tokens:
    """All that a person allowed, for what is spent with it. Raises Conflict where that was spent already."""
    refreshes = refresh_token.GRANT_TYPE in client.grant_types
    raw = spelled(issuer.random(32)) if refreshes else None
    minted = await minting.for_grant(issuer, head, client, grant, grant.scope, user.roles, now, raw, jkt)
    tokens = minted.tokens
    if OPENID in grant.scope:
        access = tokens.access_token
        told = await id_token(issuer, head, client, grant, user, access_token=access, nonce=nonce, now=now)
        tokens = msgspec.structs.replace(tokens, id_token=told)
    actor, jti = f"client:{client.client_id}", tokens.jti
    await issuer.stores.journal.save(
        spend,
        *bound(client, grant, jkt),
        *([Add(new_token(issuer, raw, grant.gid, now))] if raw is not None else ()),
        *minted.changes,
        audit(caller, now, actor, "token.exchange", target=f"grant:{grant.gid}", jti=jti),
    )
    return tokens


async def _end(issuer: Issuer, head: Head, found: Redeemable | None, client: Client, caller: Caller, now: int) -> None:
    """End the grant; one of many who come at once does, the others find it ended."""
    grant = found.grant if found is not None else None
    if grant is None:
        return
    row = audit(caller, now, f"client:{client.client_id}", "code.reuse", "grant ended", f"grant:{grant.gid}")
    try:
        await issuer.stores.journal.save(
            EndGrant(grant.gid, now, first=True), revoke(deaths.grant(grant.gid, now, head.lifetime)), row
        )
    except Conflict as error:
        raise InvalidGrant("grant has ended") from error
