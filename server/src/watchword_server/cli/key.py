"""`watchword key`: signing keys."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from watchword_server.changes import StoredKey
from watchword_server.cli.answers import Answer
from watchword_server.cli.asking import confirmed
from watchword_server.cli.desk import Desk, at_desk, enlist, group
from watchword_server.flows import keys
from watchword_server.flows.keyring import ACCESS

Which = Annotated[str, typer.Argument(metavar="KID")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

COLUMNS = ("kid", "use", "alg", "created_at", "retired_at")


def commands() -> typer.Typer:
    """The group of commands."""
    app = group("Signing keys.")
    for name, act in (("list", list_), ("rotate", rotate), ("revoke", revoke)):
        enlist(app, name, at_desk(act), dashes=act is revoke)
    return app


async def list_(desk: Desk) -> Answer:
    """List the keys that are not revoked, oldest first."""
    rows = [record(key) for key in await keys.current(desk.issuer)]
    return Answer({"keys": rows}, rows, COLUMNS, "A key signs until it is retired, and stays published a while longer.")


async def rotate(
    desk: Desk, use: Annotated[str, typer.Option(help="`access` for tokens, `feed` for the revocation feed.")] = ACCESS
) -> Answer:
    """Sign with a new key from now on. Tokens of the old one stay good until they expire."""
    return Answer(record(await keys.rotate(desk.issuer, desk.by, use, desk.now)))


async def revoke(desk: Desk, kid: Which, yes: Yes = False) -> Answer:
    """Throw a stolen key away: every token it ever signed dies everywhere. Shows the key that follows."""
    confirmed(f"Every token signed by {kid} dies at once. Go on?", yes)
    new = await keys.revoke_key(desk.issuer, desk.by, kid, desk.now)
    return Answer({"revoked": kid, "successor": record(new)})


def record(key: StoredKey) -> dict[str, Any]:
    """A key as programs read it: never its private half."""
    return {
        "kid": key.kid,
        "use": key.use,
        "alg": key.alg,
        "created_at": key.created_at,
        "retired_at": key.retired_at,
    }
