"""Who acts for whom: grants, and what came of them by token exchange. Reading leaves no audit row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from watchword_server.flows import users
from watchword_server.flows.administration import Unknown
from watchword_server.flows.issuer import Issuer
from watchword_server.protocol.values import Client, Grant

MOST: Final = 10_000
"""Grants of one tree that are looked at; the oldest first, so that none is without its parent."""


class Node(msgspec.Struct, frozen=True):
    """A grant, whose it is, and what came of it."""

    grant: Grant
    client: Client | None
    below: tuple[Node, ...] = ()


async def find(issuer: Issuer, gid: str) -> Grant:
    """One grant. Raises Unknown."""
    grant = await issuer.stores.grants.find(gid)
    if grant is None:
        raise Unknown(f"no grant {gid}; list a person's with `watchword grant tree EMAIL`")
    return grant


async def trees(issuer: Issuer, name: str, now: int) -> Sequence[Node]:
    """What came of one grant, ended or not; or of all that live of a person, or of a client that others act for.

    Raises Unknown for a name that is none of these.
    """
    grants = await issuer.stores.grants.tree(name, MOST)
    if not grants and await issuer.stores.clients.find(name) is not None:
        heads = await issuer.stores.grants.heads_of(name)
        grants = [one for gid in heads for one in await issuer.stores.grants.tree(gid, MOST)]
    elif not grants:
        grants = await issuer.stores.grants.of((await users.find(issuer, name)).sub, now)
    return forest(grants, await _clients(issuer, grants))


def forest(grants: Iterable[Grant], clients: Mapping[str, Client | None]) -> Sequence[Node]:
    """The trees that these grants make, the oldest first; one whose parent is not among them is a root."""
    known = {grant.gid: grant for grant in sorted(grants, key=lambda one: (one.created_at, one.gid))}
    below: dict[str | None, list[Grant]] = {}
    for grant in known.values():
        below.setdefault(grant.parent if grant.parent in known else None, []).append(grant)

    def node(grant: Grant) -> Node:
        return Node(grant, clients.get(grant.client_id), tuple(map(node, below.get(grant.gid, ()))))

    return [node(grant) for grant in below.get(None, ())]


async def _clients(issuer: Issuer, grants: Sequence[Grant]) -> Mapping[str, Client | None]:
    names = sorted({grant.client_id for grant in grants})
    return {name: await issuer.stores.clients.find(name) for name in names}
