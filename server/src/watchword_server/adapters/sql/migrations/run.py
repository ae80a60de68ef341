"""Runs the revisions on a driver's own connection, all in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from watchword_server.adapters.sql import sqlite


def settings() -> Config:
    """Alembic's settings, without a file: the folder is all that it needs."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def knows(revision: str) -> bool:
    """Whether a revision is one of ours."""
    try:
        return ScriptDirectory.from_config(settings()).get_revision(revision) is not None
    except CommandError:
        return False


def upgrade(connection: sqlite3.Connection, due: Callable[[], bool]) -> None:
    """Bring the schema to the newest revision if, when nobody else can write, that is due. Raises sqlite3.Error."""
    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    event.listen(engine, "begin", lambda _: sqlite.begin(connection, sqlite.UPGRADE_PATIENCE))
    config = settings()
    try:
        with engine.begin() as borrowed:
            if due():
                config.attributes["connection"] = borrowed
                command.upgrade(config, "head")
    except DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error):
            raise error.orig from error
        raise
