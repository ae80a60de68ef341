"""`--wait`: at how many verifiers a revocation is known, and when the others refuse."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from math import isnan
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand

from watchword_server.cli.answers import Answer, printable
from watchword_server.cli.desk import Desk
from watchword_server.cli.failures import Code
from watchword_server.flows.who_knows import LONGEST, Awaited, Reach, Silent

NAMED: Final = 20
"""Verifiers that are named in the sentence; programs get all of them."""
MOST: Final = 3600.0
"""Seconds."""
NOBODY = (
    "No verifier is known, so none has acknowledged it. Verifiers that follow the feed without credentials are never "
    "counted; they refuse within a second while they are connected."
)
UNREAD = "Revoked; but the database could not be read since, so who knows of it cannot be told."


def _a_number(seconds: float | None) -> float | None:
    if seconds is not None and isnan(seconds):  # neither below nor above any bound
        raise typer.BadParameter("this is no number")
    return seconds


Wait = Annotated[
    float | None,
    typer.Option(
        metavar="[=SECONDS]",
        min=0,
        max=MOST,
        callback=_a_number,
        help=f"Wait until every known verifier has acknowledged it, for {LONGEST:.0f} s if not said otherwise, and say "
        f"which have not. Exit code {Code.SILENT.value} when one has not.",
    ),
]


class Waiting(TyperCommand):
    """A command with `--wait`. Typer takes a class, and knows no option whose value may be left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give `--wait` its value, up to where options end."""
        end = args.index("--") if "--" in args else len(args)
        spelled = [f"--wait={LONGEST}" if arg == "--wait" else arg for arg in args[:end]]
        return super().parse_args(ctx, spelled + args[end:])


async def waited(desk: Desk, answer: Answer, seq: int, seconds: float | None) -> Answer:
    """The answer to what was just committed as `seq`, and where it is known, if that was asked for."""
    if seconds is None:
        return answer
    reach = await Awaited(desk.issuer.stores, seq, time.time).everywhere(seconds)
    document = {**answer.document, "revocation": record(reach)}
    everywhere = reach.known is not None and not reach.silent
    note = " ".join(part for part in (answer.note, sentence(reach)) if part)
    return replace(answer, document=document, note=note, code=Code.OK if everywhere else Code.SILENT)


def record(reach: Reach) -> dict[str, Any]:
    """As programs read it. `verifiers` is null where the database could not be read."""
    silent = [
        {"name": one.name, "audience": one.audience, "heard_at": one.heard_at, "dead_by": one.dead_by}
        for one in reach.silent
    ]
    known = reach.known
    verifiers = None if known is None else {"known": known, "acknowledged": known - len(silent), "silent": silent}
    return {"seq": reach.seq, "verifiers": verifiers, "after_ms": round(reach.after * 1000)}


def sentence(reach: Reach) -> str:
    """As people read it."""
    if reach.known is None:
        return UNREAD
    if reach.known == 0:
        return NOBODY
    dead = f"Dead at {reach.known - len(reach.silent)} of {reach.known} known verifiers after {_span(reach.after)}"
    if not reach.silent:
        return f"{dead}."
    more = len(reach.silent) - NAMED
    named = [*map(_said, reach.silent[:NAMED]), *([f"and {more} more"] if more > 0 else [])]
    return f"{dead}; {'; '.join(named)}."


def clock(seconds: int) -> str:
    """A time of day, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%SZ")


def _said(silent: Silent) -> str:
    since, by = clock(silent.heard_at), clock(silent.dead_by)
    return f"{printable(silent.name)} ({printable(silent.audience)}) silent since {since}, dead by {by} at the latest"


def _span(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.3g} s"
