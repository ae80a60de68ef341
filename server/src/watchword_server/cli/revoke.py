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
from watchword_server.cli.waiting import Wait, Waiting, waited
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
        enlist(app, name, at_desk(act), dashes=True, kind=Waiting)
    enlist(app, "key", at_desk(key), dashes=True, kind=Waiting)
    return app


async def token(desk: Desk, token: TokenArgument, wait: Wait = None) -> Answer:
    """Take back one access token, given by its text or its `jti`."""
    return await revoked(desk, await revoking.token(desk.issuer, desk.by, token_text(token), desk.now), wait)


async def session(desk: Desk, sid: Sid, wait: Wait = None) -> Answer:
    """End one sign-in, with all that came of it."""
    return await revoked(desk, await revoking.session(desk.issuer, desk.by, sid, desk.now), wait)


async def grant(desk: Desk, gid: Gid, wait: Wait = None) -> Answer:
    """End what one client may do for one person."""
    return await revoked(desk, await revoking.grant(desk.issuer, desk.by, gid, desk.now), wait)


async def user(desk: Desk, user: Who, wait: Wait = None) -> Answer:
    """Sign a person out everywhere. Signing in again is possible; see also `watchword user disable`."""
    return await revoked(desk, await revoking.user(desk.issuer, desk.by, user, desk.now), wait)


async def client(desk: Desk, client_id: ClientId, wait: Wait = None) -> Answer:
    """Take back everything that a client has. It may ask again; see also `watchword client disable`."""
    return await revoked(desk, await revoking.client(desk.issuer, desk.by, client_id, desk.now), wait)


async def everything(desk: Desk, yes: Yes = False, wait: Wait = None) -> Answer:
    """Kill every access token made before now. Sessions stay and refresh."""
    confirmed("Every access token of this issuer dies at once. Go on?", yes)
    return await revoked(desk, await revoking.everything(desk.issuer, desk.by, desk.now), wait)


async def revoked(desk: Desk, entries: Sequence[Entry], wait: float | None) -> Answer:
    """What stands in the revocation log now, and at how many verifiers."""
    rows = [{"seq": entry.seq, "kind": entry.kind, "id": entry.id, "until": entry.until} for entry in entries]
    answer = Answer({"entries": rows}, rows, COLUMNS, DONE if wait is None else "")
    return await waited(desk, answer, entries[-1].seq, wait)
