"""`watchword promote`: from SQLite to PostgreSQL while servers run."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec.structs import asdict

from watchword_server.cli.answers import Answer
from watchword_server.cli.asking import confirmed
from watchword_server.cli.desk import Call, operator
from watchword_server.cli.failures import Usage

if TYPE_CHECKING:
    from rich.progress import Progress

    from watchword_server.promotion import Promoted, PromotionStep
    from watchword_server.settings import Settings

To = Annotated[
    str | None,
    typer.Option(metavar="URL", help="postgresql://user@host/name, else the setting `database`.", show_default=False),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before the cut.")]
Undo = Annotated[bool, typer.Option("--undo", help="Take back a promotion that was cut short.")]

QUESTION = (
    "Everything is copied, compared, and kept up with. Nodes that are started on PostgreSQL now will wait for the cut."
    " Cut over?"
)
STAGES = {
    "prepare": "Preparing PostgreSQL",
    "copy": "Copying",
    "index": "Making indexes",
    "compare": "Comparing every row",
    "follow": "Keeping up with what changes",
    "cut": "Cutting over",
}


def promote(call: Call, to: To = None, yes: Yes = False, undo: Undo = False) -> Answer:
    """Move this deployment from SQLite to PostgreSQL while servers run.

    Everything is copied while others write, and compared; then nobody can write for about a second, which the answer
    states. Nobody is signed out, and verifiers go on where they are. Should it be cut short, the SQLite file is in use
    as before: run it again. A password in --to stands in the process list: better set WATCHWORD_DATABASE_FILE.
    """
    settings = call.settings(database=to)
    if settings.database is None:
        raise Usage("say where to: --to postgresql://user@host/name, or the setting `database`")
    if undo:
        return asyncio.run(_undone(call, settings))
    if not yes and not sys.stdin.isatty():
        raise Usage("no terminal to ask at before the cut: say --yes when you mean it")
    return _answer(asyncio.run(_promoted(call, settings, yes)), settings)


async def _undone(call: Call, settings: Settings) -> Answer:
    undone = await call.world.undo_promotion(settings, operator())
    note = "The SQLite file is in use as before." if undone else "There was nothing to take back."
    return Answer({"undone": undone}, note=note)


async def _promoted(call: Call, settings: Settings, yes: bool) -> Promoted:
    with _told(call.json) as (tell, hush):

        async def agreed() -> None:
            if not yes:
                hush()
                await asyncio.to_thread(confirmed, QUESTION, yes)

        return await call.world.promote(settings, operator(), tell, agreed)


@contextmanager
def _told(as_json: bool) -> Iterator[tuple[Callable[[PromotionStep], None], Callable[[], None]]]:
    """What hears of every step, and what ends the drawing before a question. All of it on standard error."""
    if as_json:
        yield _tell_programs, lambda: None
        return
    progress = _progress()
    task = progress.add_task("", total=None)

    def tell(step: PromotionStep) -> None:
        name = f"{STAGES[step.stage]} {step.table}".rstrip()
        progress.update(task, description=name, completed=step.done, total=step.total or None)

    with progress:
        yield tell, progress.stop


def _tell_programs(step: PromotionStep) -> None:
    typer.echo(json.dumps(asdict(step)), err=True)


def _progress() -> Progress:
    from rich.console import Console  # not above: no other command draws a bar
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _answer(done: Promoted, settings: Settings) -> Answer:
    steps = _steps(done, settings)
    document: dict[str, Any] = {
        "place": done.place,
        "log": done.log,
        "seq": done.seq,
        "rows": done.rows,
        "seconds": round(done.seconds, 3),
        "pause": round(done.pause, 3),
        "resumed": done.resumed,
        "steps": list(steps),
    }
    note = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
    return Answer(document, [], (), f"{_said(done)} What is left to you:\n{note}")


def _said(done: Promoted) -> str:
    if done.resumed:
        return f"This deployment had moved to {done.place} already."
    return (
        f"This deployment has moved to {done.place}: {done.rows} rows in {done.seconds:.1f} s. Nobody could write for"
        f" {done.pause:.2f} s; from now on, PostgreSQL can."
    )


def _steps(done: Promoted, settings: Settings) -> tuple[str, ...]:
    """What Watchword cannot do, in its order."""
    return (
        f"Give every node the master key: {_master_key(settings)}",
        f"Set `database` to {done.place} for every node, and start it; nodes that waited for this are ready now.",
        "Stop every `watchword serve` that is still on SQLite: it answers 503 until then.",
        f"Keep {settings.data / 'watchword.db'} apart as long as you keep backups; nothing reads it any more.",
    )


def _master_key(settings: Settings) -> str:
    if settings.master_key_command is not None:
        return "the setting `master_key_command` must work there."
    if settings.master_key is not None:
        return "the setting `master_key` must be the same there."
    return f"copy {settings.data / 'master.key'} into its data folder, with mode 0600."
