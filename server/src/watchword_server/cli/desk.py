"""The frame around every command: global options, the deployment, the answer, and failures as exit codes."""

from __future__ import annotations

import asyncio
import inspect
import os
import pwd
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec

import typer

from watchword_server.cli.answers import Answer, tell
from watchword_server.cli.failures import EXIT_CODES, EXPECTED, judged, sentence
from watchword_server.cli.world import World
from watchword_server.flows.administration import Operator
from watchword_server.flows.issuer import Caller, Issuer

if TYPE_CHECKING:
    from typer.core import TyperCommand

    from watchword_server.settings import Settings

P = ParamSpec("P")

Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings file, else ./watchword.toml.")]
Data = Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Data folder, else what the settings say.")]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the command line, before any settings are read."""

    world: World
    config: Path | None = None
    data: Path | None = None
    json: bool = False

    def settings(self, **flags: object) -> Settings:
        """The settings under the flags that were given. Raises SettingsError."""
        given = {name: value for name, value in {"data": self.data, **flags}.items() if value is not None}
        return self.world.load_settings(self.config, given)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where an operator acts: the deployment, who it is, and when (seconds)."""

    issuer: Issuer
    by: Operator
    now: int


Command = Callable[Concatenate[Call, P], Answer]
Act = Callable[Concatenate[Desk, P], Awaitable[Answer]]


def at_desk(act: Act[P]) -> Command[P]:
    """Make a command of an act upon an open deployment."""

    def command(call: Call, /, *args: P.args, **kwargs: P.kwargs) -> Answer:
        return asyncio.run(_at_desk(call, act, *args, **kwargs))

    command.__doc__ = act.__doc__
    _sign(command, list(inspect.signature(act, eval_str=True).parameters.values()))
    return command


def enlist(
    app: typer.Typer, name: str, command: Command[...], *, dashes: bool = False, kind: type[TyperCommand] | None = None
) -> None:
    """Add a command with the global options, which may stand before and after its name.

    `dashes` says that its argument may begin with one, as one thumbprint of a key in 64 does: then what is no
    option that it knows is its argument. `kind` reads what Typer cannot read by itself.
    """

    def run(
        context: typer.Context, *, config: Path | None = None, data: Path | None = None, json: bool = False, **own: Any
    ) -> None:
        before: Call = context.obj
        call = replace(before, config=config or before.config, data=data or before.data, json=json or before.json)
        raise typer.Exit(_run(call, partial(command, call, **own)))

    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    frame = inspect.signature(run, eval_str=True).parameters
    options = [
        frame[name].replace(annotation=annotation)
        for name, annotation in (("config", Config), ("data", Data), ("json", Json))
    ]
    keyword_only = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    _sign(run, [frame["context"], *keyword_only, *options])
    settings = {"ignore_unknown_options": dashes}
    app.command(name, cls=kind, help=inspect.getdoc(command), epilog=EXIT_CODES, context_settings=settings)(run)


def group(summary: str) -> typer.Typer:
    """A command with commands of its own. Tracebacks with local variables would show secrets, so there are none."""
    return typer.Typer(
        help=summary,
        epilog=EXIT_CODES,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


def operator() -> Operator:
    """The account of the machine that this runs under, as the kernel knows it and no variable says."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid-{uid}"
    return Operator(name, Caller(agent="watchword command line"))


async def _at_desk(call: Call, act: Act[P], *args: P.args, **kwargs: P.kwargs) -> Answer:
    async with call.world.open(call.settings()) as issuer:
        return await act(Desk(issuer, operator(), int(time.time())), *args, **kwargs)


def _run(call: Call, command: Callable[[], Answer]) -> int:
    try:
        answer = command()
    except EXPECTED as error:
        code, name = judged(error)
        typer.echo(f"watchword: {sentence(error)}", err=True)
        if call.json:
            tell(Answer({"error": name, "message": sentence(error)}), as_json=True)
        return code
    tell(answer, call.json)
    return answer.code


def _sign(function: Callable[..., object], parameters: list[inspect.Parameter]) -> None:
    """Say what typer shall read as the function's parameters."""
    signature = inspect.Signature(parameters)
    function.__signature__ = signature  # type: ignore[attr-defined]  # inspect looks for it, and functions take it
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
