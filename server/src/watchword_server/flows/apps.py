"""The apps that may act for a person: which, since when, and taking it back."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from watchword_server.changes import EndGrantsBetween, Forget
from watchword_server.flows.at_browser import Account, Visitor
from watchword_server.flows.issuer import Issuer, audit, revoke
from watchword_server.protocol.values import Client
from watchword_server.revocation import deaths


class App(msgspec.Struct, frozen=True):
    """A client with access. `scope` is what it may do with any of its grants; `since` is seconds since 1970."""

    client: Client
    scope: tuple[str, ...]
    since: int


async def with_access(issuer: Issuer, sub: str, now: int) -> Sequence[App]:
    """By name: those that have a grant that lives, or that may come again and need not ask."""
    scopes: dict[str, dict[str, int]] = {}
    for grant in await issuer.stores.grants.of(sub, now):
        if grant.lineage:  # nobody gave it that: it came of what another has, and ends with it
            continue
        for one in grant.scope:
            known = scopes.setdefault(grant.client_id, {})
            known[one] = min(known.get(one, grant.created_at), grant.created_at)
    with_grants = frozenset(scopes)
    for consent in await issuer.stores.consents.of(sub):
        for one in consent.scope:
            scopes.setdefault(consent.client_id, {}).setdefault(one, consent.granted_at)
    found = []
    for client_id, since in scopes.items():
        client = await issuer.stores.clients.find(client_id)
        if client is not None and (client.disabled_at is None or client_id in with_grants):
            found.append(App(client, tuple(since), min(since.values())))
    return sorted(found, key=lambda app: (app.client.name.casefold(), app.client.client_id))


async def take_back(issuer: Issuer, by: Account, client_id: str, visitor: Visitor, now: int) -> Client | None:
    """End all that a client may do for a person; its tokens die everywhere. None where it has nothing."""
    sub = by.user.sub
    client = await issuer.stores.clients.find(client_id)
    if client is None or client_id not in {app.client.client_id for app in await with_access(issuer, sub, now)}:
        return None
    lifetime = (await issuer.stores.log.head()).lifetime
    grants = [one for one in await issuer.stores.grants.of(sub, now) if one.client_id == client_id]
    gids = {one.gid for one in grants}
    heads = [one for one in grants if gids.isdisjoint(one.lineage)]  # what came of these names them
    await issuer.stores.journal.save(
        EndGrantsBetween(sub, client_id, now),
        Forget(sub, client_id),
        *(revoke(deaths.grant(one.gid, now, lifetime)) for one in heads),
        audit(visitor.caller, now, f"user:{sub}", "consent.revoke", target=f"client:{client_id}", grants=len(grants)),
    )
    return client
