"""`watchword migrate`: the database gets the schema of this version."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from watchword_server.cli.answers import Answer
from watchword_server.cli.desk import Call
from watchword_server.cli.failures import Code
from watchword_server.cli.world import Migration

Check = Annotated[bool, typer.Option("--check", help="Only say whether there is anything to do: then exit code 1.")]


def migrate(call: Call, check: Check = False) -> Answer:
    """Make the schema, or bring it up to date, all of it or nothing. The version before can go on serving."""
    done = asyncio.run(_migrated(call, check))
    due = done.found != done.wanted
    document = {"place": done.place, "found": done.found, "wanted": done.wanted, "due": due and check}
    if not due:
        return Answer(document, note="There is nothing to do.")
    if check:
        return Answer(document, note="Run `watchword migrate`.", code=Code.FAILED)
    return Answer(document, note="Done.")


async def _migrated(call: Call, check: bool) -> Migration:
    return await call.world.migrate(call.settings(), check)
