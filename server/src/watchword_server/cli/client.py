"""`watchword client`: programs that get tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer

from watchword_server.cli.answers import Answer
from watchword_server.cli.choosing import Alg, NoAlg, begins, sentences
from watchword_server.cli.desk import Desk, at_desk, enlist, group
from watchword_server.cli.failures import Usage
from watchword_server.flows import choices, clients, lists
from watchword_server.protocol.grants.client_credentials import GRANT_TYPE as CLIENT_CREDENTIALS
from watchword_server.protocol.grants.refresh_token import GRANT_TYPE as REFRESH_TOKEN
from watchword_server.protocol.values import CONFIDENTIAL, PUBLIC, Client

Which = Annotated[str, typer.Argument(metavar="CLIENT_ID")]
Access = Annotated[
    list[str] | None,
    typer.Option("--access", metavar="AUDIENCE=SCOPE,SCOPE", help="What it may have at an API. May be repeated."),
]
Grants = Annotated[
    list[str] | None,
    typer.Option(
        "--grant",
        metavar="GRANT_TYPE",
        help="May be repeated. Without it: refresh_token for public and first-party clients, client_credentials else.",
    ),
]

COLUMNS = ("client_id", "name", "kind", "first_party", "grant_types", "access", "created_at", "disabled_at")
SHOWN_ONCE = "The secret is shown this once."


def commands() -> typer.Typer:
    """The group of commands."""
    app = group("Programs that get tokens.")
    for name, act in (
        ("add", add),
        ("set", set_),
        ("list", list_),
        ("show", show),
        ("disable", disable),
        ("enable", enable),
        ("secret", secret),
    ):
        enlist(app, name, at_desk(act))
    return app


async def add(
    desk: Desk,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What people know it by.")],
    access: Access = None,
    public: Annotated[bool, typer.Option("--public", help="It runs where no secret can be kept.")] = False,
    first_party: Annotated[bool, typer.Option("--first-party", help="Our own: it may ask for passwords.")] = False,
    grant: Grants = None,
    redirect_uri: Annotated[list[str] | None, typer.Option(metavar="URI", help="May be repeated.")] = None,
    origin: Annotated[list[str] | None, typer.Option(metavar="ORIGIN", help="Of its web pages. Repeatable.")] = None,
    rotate: Annotated[bool, typer.Option(help="Replace its refresh token at every use (public: always).")] = True,
    alg: Alg = None,
) -> Answer:
    """Register a client, and make its secret unless it is public."""
    new = clients.NewClient(
        name=name,
        kind=PUBLIC if public else CONFIDENTIAL,
        grant_types=frozenset(grant or [REFRESH_TOKEN if public or first_party else CLIENT_CREDENTIALS]),
        access=accesses(access or ()),
        first_party=first_party,
        redirect_uris=tuple(redirect_uri or ()),
        origins=tuple(origin or ()),
        rotates=rotate,
        access_token_alg=alg,
    )
    client, made = await clients.add(desk.issuer, desk.by, new, desk.now)
    since, when = await begins(desk, alg)
    answer = with_secret(client, made)
    return replace(answer, document={**answer.document, **since}, note=sentences(answer.note, when))


async def set_(desk: Desk, client_id: Which, alg: Alg = None, no_alg: NoAlg = False) -> Answer:
    """Choose what the client's new tokens are signed with, at APIs that have not chosen themselves."""
    if (alg is None) == (not no_alg):
        raise Usage("say --alg or --no-alg")
    client = await choices.set_client_alg(desk.issuer, desk.by, client_id, alg, desk.now)
    since, when = await begins(desk, alg)
    return Answer({**record(client), **since}, note=when)


async def list_(
    desk: Desk,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most that many.")] = 100,
    after: Annotated[str, typer.Option(help="Only those beyond this client_id.")] = "",
) -> Answer:
    """List clients in the order of their ids."""
    page = await lists.clients(desk.issuer, after, limit)
    rows = [record(client) for client in page]
    following = page[-1].client_id if len(page) == limit else None
    note = f"There may be more: --after {following}" if following else f"{len(rows)} in all." if not after else ""
    return Answer({"clients": rows, "next": following}, rows, COLUMNS, note)


async def show(desk: Desk, client_id: Which) -> Answer:
    """Show a client."""
    return Answer(record(await clients.find(desk.issuer, client_id)))


async def disable(desk: Desk, client_id: Which) -> Answer:
    """Stop a client now and everywhere: no new tokens, and those it has die."""
    return Answer(record(await clients.disable(desk.issuer, desk.by, client_id, desk.now)))


async def enable(desk: Desk, client_id: Which) -> Answer:
    """Let a disabled client work again. The tokens that died stay dead."""
    return Answer(record(await clients.enable(desk.issuer, desk.by, client_id, desk.now)))


async def secret(desk: Desk, client_id: Which) -> Answer:
    """Replace a client's secret. The old one stops at once."""
    client, made = await clients.new_secret(desk.issuer, desk.by, client_id, desk.now)
    return with_secret(client, made)


def accesses(given: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """What `--access` says, by audience. Raises Usage."""
    found: dict[str, tuple[str, ...]] = {}
    for text in given:
        audience, equals, scopes = text.rpartition("=")  # an audience may have a query; a scope list ends the text
        if not equals or not audience:
            raise Usage(f"--access {text}: say AUDIENCE=SCOPE,SCOPE")
        found[audience] = (*found.get(audience, ()), *filter(None, scopes.split(",")))
    return found


def record(client: Client) -> dict[str, Any]:
    """A client as programs read it."""
    return {
        "client_id": client.client_id,
        "name": client.name,
        "kind": client.kind,
        "first_party": client.first_party,
        "grant_types": sorted(client.grant_types),
        "access": {audience: list(scopes) for audience, scopes in client.access.items()},
        "redirect_uris": list(client.redirect_uris),
        "origins": list(client.origins),
        "rotates": client.rotates,
        "created_at": client.created_at,
        "disabled_at": client.disabled_at,
        "access_token_alg": client.access_token_alg,
    }


def with_secret(client: Client, made: str | None) -> Answer:
    """A client, with its secret when it has a new one."""
    if made is None:
        return Answer(record(client))
    return Answer({**record(client), "client_secret": made}, note=SHOWN_ONCE)
