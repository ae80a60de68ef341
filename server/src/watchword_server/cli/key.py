"""`watchword key`: signing keys."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from watchword_server.changes import StoredKey
from watchword_server.cli import master_key
from watchword_server.cli.answers import Answer, shown
from watchword_server.cli.asking import confirmed
from watchword_server.cli.desk import Desk, at_desk, enlist, group
from watchword_server.cli.waiting import Wait, Waiting, waited
from watchword_server.flows import keys
from watchword_server.flows.key_life import ACCESS, state

Which = Annotated[str, typer.Argument(metavar="KID")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Use = Annotated[str, typer.Option(help="`access` for tokens, `feed` for the revocation feed.")]
Alg = Annotated[str | None, typer.Option(help="Which of several algorithms; without it, the deployment's own.")]

COLUMNS = ("kid", "use", "alg", "state", "age", "active_at", "until")
LISTED = "Published are all of them: next before it signs, retired until the last of its tokens has expired."
UNUSED = "It was not in use: what signs goes on signing."
REPLACED = "{} signs in its place. APIs that follow the feed refuse within a second."
UNITS: Final = ((24 * 3600, "d"), (3600, "h"), (60, "min"), (1, "s"))


def commands() -> typer.Typer:
    """The group of commands."""
    app = group("Signing keys.")
    master = (("rotate-master", master_key.rotate), ("revoke-lost", master_key.revoke_lost))
    for name, act in (("list", list_), ("rotate", rotate), ("revoke", revoke), *master):
        enlist(app, name, at_desk(act), dashes=act is revoke, kind=Waiting if act is revoke else None)
    return app


async def list_(desk: Desk) -> Answer:
    """List the keys that are not revoked, oldest first, and where each stands."""
    found = [record(life.key, desk.now, life.published_until) for life in await keys.lives(desk.issuer, desk.now)]
    rows = [{**one, "age": span(one["age"]), "until": one["published_until"]} for one in found]
    return Answer({"keys": found}, rows, COLUMNS, LISTED)


async def rotate(desk: Desk, use: Use = ACCESS, alg: Alg = None) -> Answer:
    """Sign with the next key: at once where it was published for long enough, else as soon as it is.

    Tokens of the old one stay good until they expire.
    """
    done = await keys.rotate(desk.issuer, desk.by, use, desk.now, alg)
    new, old = done.successor, done.predecessor
    document = {**record(new, desk.now), "predecessor": old.kid}
    at = new.active_at or desk.now
    if at <= desk.now:
        return Answer(document, note=f"It signs from now on, and {old.kid} no more.")
    moment = f"{shown('active_at', at)}, in {span(at - desk.now)}"
    return Answer(document, note=f"It signs from {moment}, when every verifier knows it; until then {old.kid} does.")


async def revoke(desk: Desk, kid: Which, yes: Yes = False, wait: Wait = None) -> Answer:
    """Throw a stolen key away: every token it ever signed dies everywhere. Shows the key that follows."""
    confirmed(f"Every token signed by {kid} dies at once. Go on?", yes)
    heir = await keys.revoke_key(desk.issuer, desk.by, kid, desk.now)
    document = {"revoked": kid, "successor": None if heir is None else record(heir, desk.now)}
    seq = (await desk.issuer.stores.log.head()).rev
    return await waited(desk, Answer(document, note=UNUSED if heir is None else REPLACED.format(heir.kid)), seq, wait)


def record(key: StoredKey, now: int, published_until: int | None = None) -> dict[str, Any]:
    """A key as programs read it: never its private half. `age` is in seconds."""
    return {
        "kid": key.kid,
        "use": key.use,
        "alg": key.alg,
        "state": state(key, now),
        "age": max(0, now - key.created_at),
        "created_at": key.created_at,
        "active_at": key.active_at,
        "retired_at": key.retired_at,
        "published_until": published_until,
    }


def span(seconds: int) -> str:
    """So long, in the largest unit that is not less than one."""
    size, unit = next((size, unit) for size, unit in UNITS if seconds >= size or size == 1)
    return f"{seconds // size} {unit}"
