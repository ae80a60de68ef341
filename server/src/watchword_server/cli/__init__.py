"""The command line. It reaches data only through flows; `main.py` gives it the World."""

from __future__ import annotations

from typing import Annotated

import typer

from watchword_server.cli import (
    api,
    api_key,
    client,
    dev,
    doctor,
    grant,
    init,
    key,
    migrate,
    promote,
    revoke,
    serve,
    token,
    user,
    verifiers,
)
from watchword_server.cli.desk import Call, Config, Data, Json, at_desk, enlist, group
from watchword_server.cli.world import World

__all__ = ["World", "application"]

SUMMARY = "Watchword signs people and programs in, and takes tokens back everywhere within a second."


def _version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata  # not above: it is slow to load, and asked for once

        typer.echo(f"watchword {metadata.version('watchword-server')}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")]


def application(world: World) -> typer.Typer:
    """The command `watchword`. Calling it parses `sys.argv` and ends the process with an exit code."""
    app = group(SUMMARY)

    def remember(
        context: typer.Context, config: Config = None, data: Data = None, json: Json = False, version: Version = False
    ) -> None:
        context.obj = Call(world, config, data, json)

    app.callback()(remember)
    enlist(app, "serve", serve.serve)
    enlist(app, "dev", dev.dev)
    enlist(app, "init", at_desk(init.init))
    enlist(app, "doctor", doctor.doctor)
    enlist(app, "migrate", migrate.migrate)
    enlist(app, "promote", promote.promote)
    enlist(app, "verifiers", at_desk(verifiers.verifiers))
    for name, part in (
        ("user", user),
        ("client", client),
        ("api", api),
        ("api-key", api_key),
        ("grant", grant),
        ("key", key),
        ("revoke", revoke),
        ("token", token),
    ):
        app.add_typer(part.commands(), name=name)
    return app
