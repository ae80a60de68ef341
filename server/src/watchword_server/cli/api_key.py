"""`watchword api-key`: keys for the customers of an API."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from watchword_server.cli.answers import Answer
from watchword_server.cli.asking import token as secret_text
from watchword_server.cli.client import Which as ClientId
from watchword_server.cli.desk import Desk, at_desk, enlist, group
from watchword_server.cli.revoke import revoked
from watchword_server.cli.waiting import Wait, Waiting
from watchword_server.flows import customer_keys
from watchword_server.flows.customer_keys import Listed, NewKey
from watchword_server.protocol.grants.api_key import LONGEST

Api = Annotated[str, typer.Option("--api", metavar="AUDIENCE", help="The one API that it is for.")]
Scopes = Annotated[
    list[str] | None,
    typer.Option("--scope", metavar="SCOPE", help="May be repeated; all that the client has there else."),
]
User = Annotated[
    str | None, typer.Option("--user", metavar="EMAIL", help="The person that it acts for; the client itself else.")
]
Which = Annotated[
    str, typer.Argument(metavar="ID", help="Of the key, or the key itself; `-` reads it from standard input.")
]

COLUMNS = ("id", "name", "client_id", "sub", "audience", "scope", "expires_at", "last_used_at", "ended_at")
SHOWN_ONCE = "The key is shown this once. Its owner sends it to the API, or trades it at /token."


def commands() -> typer.Typer:
    """The group of commands."""
    app = group("Keys for the customers of an API.")
    enlist(app, "add", at_desk(add))
    enlist(app, "list", at_desk(list_))
    enlist(app, "revoke", at_desk(revoke), kind=Waiting)
    return app


async def add(
    desk: Desk,
    client_id: ClientId,
    api: Api,
    name: Annotated[str, typer.Option(help="What its owner knows it by.")],
    scope: Scopes = None,
    days: Annotated[int, typer.Option(min=1, max=LONGEST, help="For how long it is good.")] = 365,
    user: User = None,
) -> Answer:
    """Make a key for a client, or for a person who uses that client."""
    new = NewKey(client_id, api, name, tuple(scope or ()), days, user)
    made, text = await customer_keys.add(desk.issuer, desk.by, new, desk.now)
    return Answer({**record(made), "api_key": text}, note=SHOWN_ONCE)


async def list_(
    desk: Desk,
    client: Annotated[str | None, typer.Option("--client", metavar="CLIENT_ID", help="Only this one's.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most that many, of all clients.")] = 100,
    after: Annotated[str, typer.Option(help="Only those beyond this id, of all clients.")] = "",
) -> Answer:
    """List keys: of all clients in the order of their ids, of one the newest first. None shows the key itself."""
    page = await customer_keys.listed(desk.issuer, client, after, limit)
    rows = [record(one) for one in page]
    following = page[-1].key.id if client is None and len(page) == limit else None
    note = f"There may be more: --after {following}" if following else f"{len(rows)} in all." if not after else ""
    return Answer({"api_keys": rows, "next": following}, rows, COLUMNS, note)


async def revoke(desk: Desk, key: Which, wait: Wait = None) -> Answer:
    """End a key, and every token that was made of it."""
    return await revoked(desk, await customer_keys.revoke_key(desk.issuer, desk.by, secret_text(key), desk.now), wait)


def record(one: Listed) -> dict[str, Any]:
    """A key as programs read it."""
    key, grant = one.key, one.grant
    return {
        "id": key.id,
        "name": key.name,
        "client_id": None if grant is None else grant.client_id,
        "sub": None if grant is None else grant.sub,
        "audience": None if grant is None else grant.audience,
        "scope": [] if grant is None else list(grant.scope),
        "gid": key.gid,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "ended_at": None if grant is None else grant.ended_at,
    }
