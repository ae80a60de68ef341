"""`watchword revoke`: taking back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from watchword.log import Entry
from watchword_server.cli.answers import Answer
from watchword_server.cli.asking import TokenArgument, confirmed
from watchword_server.cli.asking import token as token_text
from watchword_server.cli.client import Which as ClientId
from watchword_server.cli.desk import Desk, at_desk, enlist, group
from watchword_server.cli.key import Yes
from watchword_server.cli.key import revoke as key
from watchword_server.cli.user import Who
from watchword_server.flows import revoking

Sid = Annotated[str, typer.Argument(metavar="SID", help="The session's id; `watchword user show` lists them.")]
Gid = Annotated[str, typer.Argument(metavar="GID", help="The grant's id, the `gid` of its tokens.")]

COLUMNS = ("seq", "kind", "id", "until")
DONE = "Revoked. APIs that follow the feed refuse within a second."


def commands() -> typer.Typer:
    """The group of commands."""
    app = group("Take back tokens, and what they stand on. Every API knows within a second.")
    for name, act in (
        ("token", token),
        ("session", session),
        ("grant", grant),
        ("user", user),
        ("client", client),
        ("everything", everything),
    ):
        enlist(app, name, at_desk(act), dashes=True)
    enlist(app, "key", at_desk(key), dashes=True)
    return app


async def token(desk: Desk, token: TokenArgument) -> Answer:
    """Take back one access token, given by its text or its `jti`."""
    return revoked(await revoking.token(desk.issuer, desk.by, token_text(token), desk.now))


async def session(desk: Desk, sid: Sid) -> Answer:
    """End one sign-in, with all that came of it."""
    return revoked(await revoking.session(desk.issuer, desk.by, sid, desk.now))


async def grant(desk: Desk, gid: Gid) -> Answer:
    """End what one client may do for one person."""
    return revoked(await revoking.grant(desk.issuer, desk.by, gid, desk.now))


async def user(desk: Desk, user: Who) -> Answer:
    """Sign a person out everywhere. Signing in again is possible; see also `watchword user disable`."""
    return revoked(await revoking.user(desk.issuer, desk.by, user, desk.now))


async def client(desk: Desk, client_id: ClientId) -> Answer:
    """Take back everything that a client has. It may ask again; see also `watchword client disable`."""
    return revoked(await revoking.client(desk.issuer, desk.by, client_id, desk.now))


async def everything(desk: Desk, yes: Yes = False) -> Answer:
    """Kill every access token made before now. Sessions stay and refresh."""
    confirmed("Every access token of this issuer dies at once. Go on?", yes)
    return revoked(await revoking.everything(desk.issuer, desk.by, desk.now))


def revoked(entries: Sequence[Entry]) -> Answer:
    """What stands in the revocation log now."""
    rows = [{"seq": entry.seq, "kind": entry.kind, "id": entry.id, "until": entry.until} for entry in entries]
    return Answer({"entries": rows}, rows, COLUMNS, DONE)
