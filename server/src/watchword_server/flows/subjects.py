"""Who a person is to a client, in everything that the client gets to see (OpenID Connect Core §8)."""

from __future__ import annotations

from collections.abc import Sequence

from watchword_server.changes import Revoke
from watchword_server.flows.issuer import Issuer, revoke
from watchword_server.protocol.errors import UnauthorizedClient
from watchword_server.protocol.subjects import pairwise, sector
from watchword_server.protocol.values import Client
from watchword_server.revocation import deaths

PAIRWISE = "pairwise"


async def subject_for(issuer: Issuer, client: Client, sub: str) -> str:
    """The `sub` that this client sees, in ID tokens, userinfo, logout tokens and access tokens alike.

    A client that acts for itself has its own name. Raises UnauthorizedClient for a pairwise client that belongs to no
    sector: no other `sub` may stand in.
    """
    if client.metadata.subject_type != PAIRWISE or sub == client.client_id:
        return sub
    of = _sector(client)
    if not of:
        raise UnauthorizedClient("a pairwise client without a sector")
    return pairwise(sub, of, await issuer.salt.read(issuer.stores, issuer.random))


async def deaths_of(issuer: Issuer, sub: str, now: int, lifetime: int) -> Sequence[Revoke]:
    """Entries that kill every token of a person that was made before now, by every `sub` that one may carry.

    `lifetime` is the longest of an access token, in seconds. To be saved with what ends the grants, if that does.
    """
    names = [sub, *await _pairwise_names(issuer, sub, now)]
    return [revoke(deaths.subject(name, now, lifetime)) for name in names]


async def deaths_by_renaming(issuer: Issuer, before: Client, after: Client, now: int) -> Sequence[Revoke]:
    """Entries that kill a client's tokens when it is about to know people by other names: `deaths_of` has only the new.

    To be saved with the change.
    """
    if _naming(before) == _naming(after):
        return ()
    return (revoke(deaths.client(after.client_id, now, (await issuer.stores.log.head()).lifetime)),)


async def _pairwise_names(issuer: Issuer, sub: str, now: int) -> Sequence[str]:
    """As what else living grants name the person."""
    client_ids = sorted({grant.client_id for grant in await issuer.stores.grants.of(sub, now)})
    clients = [client for name in client_ids if (client := await issuer.stores.clients.find(name))]
    sectors = {of for client in clients if client.metadata.subject_type == PAIRWISE and (of := _sector(client))}
    if not sectors:
        return ()
    salt = await issuer.salt.read(issuer.stores, issuer.random)
    return [pairwise(sub, of, salt) for of in sorted(sectors)]


def _naming(client: Client) -> tuple[str, str | None]:
    is_pairwise = client.metadata.subject_type == PAIRWISE
    return client.metadata.subject_type, _sector(client) if is_pairwise else None


def _sector(client: Client) -> str | None:
    return client.metadata.sector or sector(client.redirect_uris)
