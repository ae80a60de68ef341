"""`watchword api`: APIs that accept tokens."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from watchword_server.cli.answers import Answer
from watchword_server.cli.desk import Desk, at_desk, enlist, group
from watchword_server.flows import clients, lists
from watchword_server.protocol.values import Api

Which = Annotated[str, typer.Argument(metavar="AUDIENCE", help="The API's audience, or its `client_id`.")]
NewAudience = Annotated[str, typer.Argument(metavar="AUDIENCE", help="A URI that names it; best its URL.")]
Scopes = Annotated[list[str] | None, typer.Option("--scope", metavar="SCOPE", help="May be repeated.")]

COLUMNS = ("audience", "name", "scopes", "client_id", "created_at")
SHOWN_ONCE = "The secret is shown this once. The API reads the revocation feed and introspects tokens with it."


def commands() -> typer.Typer:
    """The group of commands."""
    app = group("APIs that accept tokens.")
    for name, act in (("add", add), ("list", list_), ("show", show), ("secret", secret)):
        enlist(app, name, at_desk(act))
    return app


async def add(
    desk: Desk,
    audience: NewAudience,
    name: Annotated[str, typer.Option(help="For people; the audience where none is given.")] = "",
    scope: Scopes = None,
) -> Answer:
    """Register an API with its scopes, and make its credentials."""
    api, made = await clients.add_api(desk.issuer, desk.by, audience, name or audience, tuple(scope or ()), desk.now)
    return Answer({**record(api), "client_secret": made}, note=SHOWN_ONCE)


async def list_(desk: Desk) -> Answer:
    """List the APIs."""
    rows = [record(api) for api in await lists.apis(desk.issuer)]
    return Answer({"apis": rows}, rows, COLUMNS, f"{len(rows)} in all.")


async def show(desk: Desk, audience: Which) -> Answer:
    """Show an API."""
    return Answer(record(await clients.find_api(desk.issuer, audience)))


async def secret(desk: Desk, audience: Which) -> Answer:
    """Replace an API's secret. The old one stops at once."""
    api, made = await clients.new_api_secret(desk.issuer, desk.by, audience, desk.now)
    return Answer({**record(api), "client_secret": made}, note=SHOWN_ONCE)


def record(api: Api) -> dict[str, Any]:
    """An API as programs read it."""
    return {
        "audience": api.audience,
        "name": api.name,
        "scopes": list(api.scopes),
        "client_id": api.client_id,
        "created_at": api.created_at,
    }
