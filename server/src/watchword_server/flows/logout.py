"""Signing out at a browser, by oneself or on behalf of a client (OpenID Connect RP-Initiated Logout 1.0)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from watchword_server.changes import Change
from watchword_server.flows import endings
from watchword_server.flows.at_browser import Account, Visitor, accounts
from watchword_server.flows.hints import hinted
from watchword_server.flows.issuer import Issuer, audit
from watchword_server.flows.subjects import subject_for
from watchword_server.protocol.logout import Ending, Hint, LogoutRequest, ending, meant
from watchword_server.protocol.values import Client


class Case(msgspec.Struct, frozen=True):
    """What a logout comes down to, at this browser and now."""

    ending: Ending
    account: Account | None
    """Whose session is to end; None where nobody is signed in."""
    accounts: Sequence[Account]
    """Everybody who is signed in here."""
    client: Client | None
    """Who asks, where it has shown that."""


class _Someone(msgspec.Struct, frozen=True):
    """An account as the client knows it that the hint was made for."""

    account: Account
    sid: str
    sub: str


async def consider(issuer: Issuer, asked: Mapping[str, str], visitor: Visitor, now: int) -> Case:
    """Decide upon the parameters of a request (§2). A hint that is not good counts as none."""
    hint, client = await _speaker(issuer, asked.get("id_token_hint"), now)
    people = [await _someone(issuer, client, one) for one in await accounts(issuer, visitor, now)]
    whose = meant(hint, people)
    ask = LogoutRequest(
        hint=hint,
        client_id=asked.get("client_id"),
        post_logout_redirect_uri=asked.get("post_logout_redirect_uri"),
    )
    registered = client.metadata.post_logout_redirect_uris if client is not None else ()
    return Case(
        ending(ask, registered, whose),
        whose.account if whose is not None else None,
        [one.account for one in people],
        client,
    )


async def end(issuer: Issuer, case: Case, leaving: Sequence[Account], visitor: Visitor, now: int) -> Sequence[Client]:
    """End these sessions, all in one transaction; the clients that people were let in to by them."""
    lifetime = (await issuer.stores.log.head()).lifetime
    parted = {app.client_id: app for one in leaving for app in await apps(issuer, one)}
    asker = {"client_id": case.client.client_id} if case.client is not None else {}
    changes: list[Change] = []
    for one in leaving:
        sid, actor = one.session.sid, f"user:{one.user.sub}"
        changes += await endings.of_session(issuer, sid, now, lifetime)
        changes.append(audit(visitor.caller, now, actor, "session.end", target=f"session:{sid}", **asker))
    if changes:
        await issuer.stores.journal.save(*changes)
    return list(parted.values())


async def apps(issuer: Issuer, account: Account) -> Sequence[Client]:
    """The clients that somebody was let in to by this session."""
    found = [
        await issuer.stores.clients.find(party.client_id)
        for party in await issuer.stores.grants.parties(account.session.sid)
    ]
    return [client for client in found if client is not None]


async def _speaker(issuer: Issuer, token: str | None, now: int) -> tuple[Hint | None, Client | None]:
    """What the hint says, and for whom it was made: both, or neither."""
    hint = await hinted(issuer, token, now) if token is not None else None
    client = await issuer.stores.clients.find(hint.client_id) if hint is not None else None
    if client is None or client.disabled_at is not None:
        return None, None
    return hint, client


async def _someone(issuer: Issuer, client: Client | None, account: Account) -> _Someone:
    sub = account.user.sub if client is None else await subject_for(issuer, client, account.user.sub)
    return _Someone(account, account.session.sid, sub)
