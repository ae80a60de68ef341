"""Token exchange (RFC 8693): what the subject token is worth, and a child of its grant for who comes with it.

The child is saved only while its parent lives and nothing that could hit it was revoked since it was decided on; and
its token names its lineage. So what is made in the very moment of a cut is either not handed out, or dead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from watchword.policy import Principal
from watchword_server.changes import Add, Alive, Change, Unrevoked
from watchword_server.flows import minting
from watchword_server.flows.issuer import Caller, Issuer, audit
from watchword_server.flows.minting import Came, Tokens
from watchword_server.flows.presented import presented
from watchword_server.ports import Conflict, Head
from watchword_server.protocol import foreign_token
from watchword_server.protocol.errors import InvalidSession, UnacceptableToken
from watchword_server.protocol.grants import token_exchange
from watchword_server.protocol.grants.token_exchange import ACCESS_TOKEN, Subject, Wanted
from watchword_server.protocol.values import Client, Grant

TRIES = 3
"""How often an exchange is decided anew: who exchanges the same token at the same moment makes the same root."""
_DOTS_OF_JWE = 4


class Found(NamedTuple):
    """A subject token that is good, and its root where that is new."""

    subject: Subject
    roles: Sequence[str] = ()
    new: tuple[Change, ...] = ()


async def exchange(
    issuer: Issuer, head: Head, client: Client, form: Mapping[str, str], jkt: str | None, caller: Caller, now: int
) -> Tokens:
    """Trade a token for one of the client's own. `head` was read before `client`, and so before all that is read here.

    `jkt` is the thumbprint of the key that the request has proven. Every refusal is an OAuthError (§2.2.2).
    """
    ask = token_exchange.wanted(client, form)
    for _ in range(TRIES):
        try:
            return await _once(issuer, head, client, ask, jkt, caller, now)
        except Conflict:
            continue  # on the same head: a later one would vouch for what was read before it
    raise UnacceptableToken("the subject token's grant ended while it was exchanged")


async def _once(
    issuer: Issuer, head: Head, client: Client, ask: Wanted, jkt: str | None, caller: Caller, now: int
) -> Tokens:
    found = await _subject(issuer, client, ask, jkt, now)
    if ask.actor_token is not None:
        actor = await _own(issuer, ask.actor_token, jkt, now)
        token_exchange.must_be_the_clients_own(client, actor.client_id, actor.subject)
    subject, bounds = found.subject, issuer.terms.exchange
    grant = token_exchange.decide(client, subject, ask, bounds, issuer.identifier(), now)
    token_exchange.must_have_room(await issuer.stores.grants.children(subject.grant.gid), bounds)
    came = Came(subject.name, token_exchange.descends(grant, subject), token_exchange.came_by(client, subject))
    minted = await minting.for_grant(issuer, head, client, grant, grant.scope, found.roles, now, None, jkt, came)
    guard = Unrevoked(head.rev, sub=grant.sub, client_id=subject.grant.client_id, sid=grant.sid or "")
    of = f"client:{subject.grant.client_id}"
    row = audit(
        caller, now, f"client:{client.client_id}", "grant.exchange", target=f"grant:{grant.gid}", of=of, sub=grant.sub
    )
    await issuer.stores.journal.save(*found.new, Alive(subject.grant.gid), guard, Add(grant), *minted.changes, row)
    return msgspec.structs.replace(minted.tokens, issued_token_type=ask.issued_token_type)


async def _subject(issuer: Issuer, client: Client, ask: Wanted, jkt: str | None, now: int) -> Found:
    text = ask.subject_token
    if ask.subject_token_type == ACCESS_TOKEN or text.count(".") == _DOTS_OF_JWE:
        return await _of_ours(issuer, text, jkt, now)
    said = foreign_token.hint(text)
    if said.iss == issuer.terms.issuer:
        return await _of_ours(issuer, text, jkt, now)
    return await _of_another(issuer, client, text, said, jkt, now)


async def _of_ours(issuer: Issuer, text: str, jkt: str | None, now: int) -> Found:
    principal = await _own(issuer, text, jkt, now)
    grant, new = await _grant(issuer, principal, now)
    if grant.client_id != principal.client_id:
        raise UnacceptableToken("subject token and its grant are of two clients")
    claims = principal.claims
    subject = Subject(
        name=principal.subject,
        grant=grant,
        scope=tuple(sorted(principal.scopes)),
        expires_at=int(principal.expires_at),
        act=claims.get("act"),
        may_act=claims.get("may_act"),
        via=principal.via,
        token_id=principal.token_id,
        lineage=principal.lineage,
    )
    return Found(subject, await _roles(issuer, grant.sub, principal), new)


async def _own(issuer: Issuer, text: str, jkt: str | None, now: int) -> Principal:
    """One of our own tokens. One that is bound to a key needs this request to prove that very key."""
    try:
        principal = await presented(issuer, text, now, bound=True)
    except InvalidSession as error:
        raise UnacceptableToken(str(error)) from error
    if principal.confirmation is not None and principal.confirmation != jkt:
        raise UnacceptableToken("token is bound to a key that was not proven")
    return principal


async def _grant(issuer: Issuer, principal: Principal, now: int) -> tuple[Grant, tuple[Change, ...]]:
    """What a token stands on. One that a program got for itself has no grant: it gets one, the root of what comes."""
    gid = principal.token_id if principal.gid is None else principal.gid
    grant = await issuer.stores.grants.find(gid)
    if grant is not None:
        return grant, ()
    if principal.gid is not None:
        raise UnacceptableToken("the subject token's grant is gone")
    root = Grant(
        gid=gid,
        client_id=principal.client_id,
        sub=principal.subject,
        audience=principal.audience,
        scope=tuple(sorted(principal.scopes)),
        created_at=now,
        expires_at=int(principal.expires_at),
    )
    return root, (Add(root),)


async def _of_another(
    issuer: Issuer, client: Client, text: str, said: foreign_token.Hint, jkt: str | None, now: int
) -> Found:
    """A token of an issuer that the operator trusts; its root is the client's who brought it."""
    trust = issuer.trusted.find(said.iss)
    if trust is None or client.client_id not in trust.clients:
        raise UnacceptableToken("an issuer whose tokens this client may not bring")
    keys = await issuer.trusted.keys(trust, said.alg, said.kid, now)
    foreign = foreign_token.opened(text, keys, trust, now)
    if foreign.jkt is not None and foreign.jkt != jkt:
        raise UnacceptableToken("token is bound to a key that was not proven")
    made = Grant(
        gid=foreign_token.mark(foreign, client.client_id),
        client_id=client.client_id,
        sub=foreign.name,
        audience=issuer.terms.issuer,
        scope=trust.scopes,
        created_at=now,
        expires_at=foreign.expires_at,
        act=foreign.act,
    )
    known = await issuer.stores.grants.find(made.gid)
    subject = Subject(
        name=foreign.name,
        grant=known or made,
        scope=trust.scopes,
        expires_at=foreign.expires_at,
        act=foreign.act,
        may_act=foreign.may_act,
    )
    return Found(subject, (), () if known is not None else (Add(made),))


async def _roles(issuer: Issuer, sub: str, principal: Principal) -> Sequence[str]:
    """Those of a person that the subject token has, if they still are. Who is no person has none.

    Raises UnacceptableToken for who is nobody any more.
    """
    user = await issuer.stores.users.find(sub)
    if user is not None and user.disabled_at is None:
        return [role for role in user.roles if role in principal.roles]
    if user is not None:
        raise UnacceptableToken("user is disabled")
    if foreign_token.is_foreign(sub):
        return ()
    client = await issuer.stores.clients.find(sub)
    if client is None or client.disabled_at is not None:
        raise UnacceptableToken("subject is gone or disabled")
    return ()
