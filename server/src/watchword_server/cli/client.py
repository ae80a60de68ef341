"""`watchword client`: programs that get tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer
from msgspec import structs

from watchword_server.cli import client_key
from watchword_server.cli.answers import Answer
from watchword_server.cli.answers import shown as shown_as_time
from watchword_server.cli.choosing import Alg, NoAlg, begins, seconds, sentences
from watchword_server.cli.describing import applied, describing, shown
from watchword_server.cli.desk import Desk, at_desk, enlist, group
from watchword_server.cli.failures import Usage
from watchword_server.flows import choices, clients, lists, registration
from watchword_server.protocol.grants.authorization_code import GRANT_TYPE as AUTHORIZATION_CODE
from watchword_server.protocol.grants.client_credentials import GRANT_TYPE as CLIENT_CREDENTIALS
from watchword_server.protocol.grants.refresh_token import GRANT_TYPE as REFRESH_TOKEN
from watchword_server.protocol.values import CONFIDENTIAL, PUBLIC, Client, ClientMetadata

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
        help="May be repeated. Without it: authorization_code and refresh_token for a client with a redirect URI,"
        " refresh_token for other public and first-party clients, client_credentials else.",
    ),
]
RedirectUris = Annotated[
    list[str] | None,
    typer.Option("--redirect-uri", metavar="URI", help="Where people return to, signed in. May be repeated."),
]
Origins = Annotated[
    list[str] | None,
    typer.Option("--origin", metavar="ORIGIN", help="Of its web pages, which may call from browsers. Repeatable."),
]

COLUMNS = ("client_id", "name", "kind", "first_party", "grant_types", "access", "created_at", "disabled_at")
SHOWN_ONCE = "The secret is shown this once."


def commands() -> typer.Typer:
    """The group of commands."""
    app = group("Programs that get tokens.")
    for name, act in (
        ("add", describing(add)),
        ("set", describing(set_)),
        ("list", list_),
        ("show", show),
        ("disable", disable),
        ("enable", enable),
        ("secret", secret),
        ("invite", invite),
    ):
        enlist(app, name, at_desk(act))
    app.add_typer(client_key.commands(), name="key")
    return app


async def add(
    desk: Desk,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What people know it by.")],
    access: Access = None,
    public: Annotated[bool, typer.Option("--public", help="It runs where no secret can be kept.")] = False,
    first_party: Annotated[bool, typer.Option("--first-party", help="Our own: it may ask for passwords.")] = False,
    grant: Grants = None,
    redirect_uri: RedirectUris = None,
    origin: Origins = None,
    rotate: Annotated[bool, typer.Option(help="Replace its refresh token at every use (public: always).")] = True,
    alg: Alg = None,
    *,
    said: Mapping[str, Any],
) -> Answer:
    """Register a client, and make its secret unless it is public."""
    new = clients.NewClient(
        name=name,
        kind=PUBLIC if public else CONFIDENTIAL,
        grant_types=frozenset(grant or usual_grants(public or first_party, bool(redirect_uri))),
        access=accesses(access or ()),
        first_party=first_party,
        redirect_uris=tuple(redirect_uri or ()),
        origins=tuple(origin or ()),
        rotates=rotate,
        access_token_alg=alg,
        metadata=applied(ClientMetadata(), said),
    )
    client, made = await clients.add(desk.issuer, desk.by, new, desk.now)
    since, when = await begins(desk, alg)
    answer = with_secret(client, made)
    return replace(answer, document={**answer.document, **since}, note=sentences(answer.note, when))


async def set_(
    desk: Desk,
    client_id: Which,
    alg: Alg = None,
    no_alg: NoAlg = False,
    name: Annotated[str | None, typer.Option(help="What people know it by.")] = None,
    grant: Grants = None,
    redirect_uri: RedirectUris = None,
    origin: Origins = None,
    rotate: Annotated[bool | None, typer.Option("--rotate/--no-rotate", help="As for `add`.")] = None,
    *,
    said: Mapping[str, Any],
) -> Answer:
    """Change what is said. A list replaces the one before, and an empty text takes away what was there.

    --alg is for new access tokens, at APIs that have not chosen themselves.
    """
    if alg is not None and no_alg:
        raise Usage("say --alg or --no-alg, not both")
    own = {"name": name, "grant_types": _set(grant), "redirect_uris": _list(redirect_uri), "origins": _list(origin)}
    fields = {field: value for field, value in {**own, "rotates": rotate}.items() if value is not None}
    if not fields and not said and alg is None and not no_alg:
        raise Usage("say --alg or --no-alg, or what else is to change; see --help")
    client = await clients.find(desk.issuer, client_id)
    if fields or said:
        wanted = structs.replace(client, **fields, metadata=applied(client.metadata, said))
        client = await clients.change(desk.issuer, desk.by, wanted, desk.now)
    if alg is not None or no_alg:
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


async def secret(
    desk: Desk,
    client_id: Which,
    overlap: Annotated[str, typer.Option(metavar="SPAN", help="The old one is good for that long: 90s, 24h, 7d.")] = "",
    signing: Annotated[bool, typer.Option("--signing", help="One that it can sign with: client_secret_jwt.")] = False,
) -> Answer:
    """Replace a client's secret. The old one stops at once, or after the overlap; one before that has ended anyway."""
    both = seconds(overlap)
    client, made = await clients.new_secret(desk.issuer, desk.by, client_id, desk.now, both, signing)
    answer = with_secret(client, made)
    if not both:
        return answer
    until = desk.now + both
    note = f"The old one is good until {shown_as_time('until', until)}."
    return replace(answer, document={**answer.document, "old_secret_until": until}, note=sentences(answer.note, note))


async def invite(
    desk: Desk,
    uses: Annotated[int, typer.Option(min=1, max=registration.MOST_USES, help="Clients that may register.")] = 1,
    days: Annotated[int, typer.Option(min=1, max=registration.MOST_DAYS, help="For how long.")] = 7,
) -> Answer:
    """Make an initial access token: whoever has it may register clients without you."""
    invitation, token = await registration.invite(desk.issuer, desk.by, uses, days, desk.now)
    document = {"initial_access_token": token, "uses": uses, "expires_at": invitation.expires_at}
    return Answer(document, note=sentences("The token is shown this once.", _closed(desk.issuer.terms.registration)))


def usual_grants(refreshes: bool, returns: bool) -> Sequence[str]:
    """What a client may do where nobody says. `returns`: people are sent here by it, and return to it."""
    if returns:
        return (AUTHORIZATION_CODE, REFRESH_TOKEN)
    return (REFRESH_TOKEN if refreshes else CLIENT_CREDENTIALS,)


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
        "metadata": shown(client.metadata),
    }


def with_secret(client: Client, made: str | None) -> Answer:
    """A client, with its secret when it has a new one."""
    if made is None:
        return Answer(record(client))
    return Answer({**record(client), "client_secret": made}, note=SHOWN_ONCE)


def _list(given: list[str] | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(filter(None, given))


def _set(given: list[str] | None) -> frozenset[str] | None:
    return None if given is None else frozenset(filter(None, given))


def _closed(mode: str) -> str:
    return "" if mode != "off" else "It opens nothing yet: set registration.mode to token or open, and restart."
