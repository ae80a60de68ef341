"""`watchword api`: APIs that accept tokens."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from msgspec import UNSET

from watchword_server.cli.answers import Answer
from watchword_server.cli.choosing import (
    Alg,
    Enc,
    JwksUri,
    KeyFile,
    NoAlg,
    NoEncryption,
    as_text,
    begins,
    described,
    encryption,
    sentences,
    warning,
)
from watchword_server.cli.desk import Desk, at_desk, enlist, group
from watchword_server.cli.failures import Usage
from watchword_server.flows import choices, clients, lists
from watchword_server.flows.choices import ApiChoice
from watchword_server.protocol.values import Api

Which = Annotated[str, typer.Argument(metavar="AUDIENCE", help="The API's audience, or its `client_id`.")]
NewAudience = Annotated[str, typer.Argument(metavar="AUDIENCE", help="A URI that names it; best its URL.")]
Scopes = Annotated[list[str] | None, typer.Option("--scope", metavar="SCOPE", help="May be repeated.")]

SelfService = Annotated[
    bool,
    typer.Option(
        "--self-service", help="Agents and apps that nobody registered by hand may ask people for its scopes too."
    ),
]

COLUMNS = ("audience", "name", "scopes", "client_id", "created_at")
SHOWN_ONCE = "The secret is shown this once. The API reads the revocation feed and introspects tokens with it."
KEY_SHOWN_ONCE = "The private key is shown this once and kept nowhere: give it to the API's Verifier (decryption_jwks)."
NOT_YET = "Nothing is registered yet: do that with `watchword api set` once every process of the API has the key."


def commands() -> typer.Typer:
    """The group of commands."""
    app = group("APIs that accept tokens.")
    for name, act in (
        ("add", add),
        ("set", set_),
        ("list", list_),
        ("show", show),
        ("secret", secret),
        ("new-encryption-key", new_encryption_key),
    ):
        enlist(app, name, at_desk(act))
    return app


async def add(
    desk: Desk,
    audience: NewAudience,
    name: Annotated[str, typer.Option(help="For people; the audience where none is given.")] = "",
    scope: Scopes = None,
    alg: Alg = None,
    encryption_key: KeyFile = None,
    jwks_uri: JwksUri = None,
    enc: Enc = None,
    self_service: SelfService = False,
) -> Answer:
    """Register an API with its scopes, and make its credentials."""
    wanted = encryption(encryption_key, jwks_uri, enc, None)
    api, made = await clients.add_api(
        desk.issuer, desk.by, audience, name or audience, tuple(scope or ()), desk.now, alg, wanted, self_service
    )
    return await told(desk, api, alg, {"client_secret": made}, SHOWN_ONCE)


async def set_(
    desk: Desk,
    audience: Which,
    alg: Alg = None,
    no_alg: NoAlg = False,
    encryption_key: KeyFile = None,
    jwks_uri: JwksUri = None,
    no_encryption: NoEncryption = False,
    enc: Enc = None,
    self_service: Annotated[
        bool | None, typer.Option("--self-service/--no-self-service", help="As with `watchword api add`, or no longer.")
    ] = None,
) -> Answer:
    """Choose how the API's new tokens are signed and encrypted, and who may ask. Older ones stay as they are."""
    before = await clients.find_api(desk.issuer, audience)
    wanted = encryption(encryption_key, jwks_uri, enc, before.encryption)
    if (alg is not None and no_alg) or (wanted is not None and no_encryption):
        raise Usage("say what to choose, or to choose it no longer, not both")
    if alg is None and wanted is None and self_service is None and not (no_alg or no_encryption):
        raise Usage(
            "say what to change: --alg, --no-alg, --encryption-key, --jwks-uri, --no-encryption, --enc,"
            " --self-service or --no-self-service"
        )
    choice = ApiChoice(
        access_token_alg=UNSET if alg is None and not no_alg else alg,
        encryption=UNSET if wanted is None and not no_encryption else wanted,
        self_service=UNSET if self_service is None else self_service,
    )
    return await told(desk, await choices.set_api(desk.issuer, desk.by, audience, choice, desk.now), alg, {})


async def list_(desk: Desk) -> Answer:
    """List the APIs."""
    rows = [record(api) for api in await lists.apis(desk.issuer)]
    return Answer({"apis": rows}, rows, COLUMNS, f"{len(rows)} in all.")


async def show(desk: Desk, audience: Which) -> Answer:
    """Show an API."""
    return Answer(record(await clients.find_api(desk.issuer, audience)))


async def new_encryption_key(
    desk: Desk,
    audience: Which,
    alg: Annotated[str, typer.Option(metavar="ALG", help="ECDH-ES (and +A128KW, ...) or RSA-OAEP-256.")] = "ECDH-ES",
    crv: Annotated[str, typer.Option(metavar="CURVE", help="P-256, P-384, P-521 or X25519, for ECDH-ES.")] = "P-256",
    only_make: Annotated[
        bool, typer.Option("--only-make", help="Register nothing: the API gets the key first.")
    ] = False,
) -> Answer:
    """Make a key pair, encrypt the API's tokens to it, and show the private half this once."""
    api, made = await choices.new_encryption_key(desk.issuer, desk.by, audience, alg, crv, desk.now, not only_make)
    note = sentences(KEY_SHOWN_ONCE, NOT_YET if only_make else "", as_text(made))
    return Answer({**record(api), "private_jwk": made}, [record(api)], COLUMNS, note)


async def secret(desk: Desk, audience: Which) -> Answer:
    """Replace an API's secret. The old one stops at once."""
    api, made = await clients.new_api_secret(desk.issuer, desk.by, audience, desk.now)
    return Answer({**record(api), "client_secret": made}, note=SHOWN_ONCE)


async def told(desk: Desk, api: Api, alg: str | None, more: dict[str, Any], note: str = "") -> Answer:
    """An API as it was changed, with what follows of what was chosen."""
    since, when = await begins(desk, alg)
    trouble, why = await warning(desk, api)
    return Answer({**record(api), **more, **since, **trouble}, note=sentences(note, when, why))


def record(api: Api) -> dict[str, Any]:
    """An API as programs read it."""
    return {
        "audience": api.audience,
        "name": api.name,
        "scopes": list(api.scopes),
        "client_id": api.client_id,
        "created_at": api.created_at,
        "access_token_alg": api.access_token_alg,
        "encryption": described(api.encryption),
        "self_service": api.self_service,
    }
