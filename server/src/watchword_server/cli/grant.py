"""`watchword grant`: who may do what, and who acts for whom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from watchword_server.cli.answers import Answer
from watchword_server.cli.desk import Desk, at_desk, enlist, group
from watchword_server.flows import grant_tree
from watchword_server.flows.grant_tree import Node
from watchword_server.protocol.values import Grant

Of = Annotated[str, typer.Argument(metavar="USER|GID", help="A person's e-mail address or sub, a grant, or a client.")]
Gid = Annotated[str, typer.Argument(metavar="GID", help="The grant's id, the `gid` of its tokens.")]

COLUMNS = ("who", "grant", "audience", "scope", "expires_at", "ended_at")


def commands() -> typer.Typer:
    """The group of commands."""
    app = group("What clients may do for people, and who acts for whom.")
    enlist(app, "tree", at_desk(tree), dashes=True)
    enlist(app, "show", at_desk(show), dashes=True)
    return app


async def tree(desk: Desk, of: Of) -> Answer:
    """Show who acts for whom: grants, and below each what came of it by token exchange.

    `watchword revoke grant GID` cuts one with all that is below it.
    """
    found = await grant_tree.trees(desk.issuer, of, desk.now)
    rows = list(_rows(found))
    return Answer({"trees": [_branch(one) for one in found]}, rows, COLUMNS, f"{len(rows)} in all.")


async def show(desk: Desk, gid: Gid) -> Answer:
    """Show a grant: whose it is, what it allows, and where it came from."""
    grant = await grant_tree.find(desk.issuer, gid)
    children = await desk.issuer.stores.grants.children(gid)
    return Answer({**record(grant), "parent": grant.parent, "lineage": list(grant.lineage), "children": children})


def record(grant: Grant) -> dict[str, Any]:
    """A grant as programs read it."""
    return {
        "gid": grant.gid,
        "client_id": grant.client_id,
        "sub": grant.sub,
        "audience": grant.audience,
        "scope": list(grant.scope),
        "act": grant.act,
        "sid": grant.sid,
        "created_at": grant.created_at,
        "expires_at": grant.expires_at,
        "ended_at": grant.ended_at,
    }


def _branch(node: Node) -> dict[str, Any]:
    name = node.client.name if node.client is not None else None
    return {**record(node.grant), "client": name, "children": [_branch(one) for one in node.below]}


def _rows(nodes: Sequence[Node], before: str = "", is_root: bool = True) -> Iterator[dict[str, Any]]:
    """One a grant, those below it indented under lines that lead to them."""
    for node in nodes:
        is_last = node is nodes[-1]
        line, below = ("", "") if is_root else ("└─ ", "   ") if is_last else ("├─ ", "│  ")
        grant, name = node.grant, node.client.name if node.client is not None else node.grant.client_id
        yield {
            "who": f"{before}{line}{name}{' (impersonates)' if _hides(grant) else ''}",
            "grant": grant.gid,
            "audience": grant.audience,
            "scope": grant.scope,
            "expires_at": grant.expires_at,
            "ended_at": grant.ended_at,
        }
        yield from _rows(node.below, before + below, is_root=False)


def _hides(grant: Grant) -> bool:
    """Whether its token does not say that this client acts."""
    return grant.parent is not None and (grant.act is None or grant.act.get("sub") != grant.client_id)
