"""Runs the revisions on a driver's own connection, all in one transaction, or writes their SQL down."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from io import StringIO
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from watchword_server.adapters.sql.sqlite import connections


def settings() -> Config:
    """Alembic's settings, without a file: the folder is all that it needs."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def script(dialect: str, revision: str | None) -> str:
    """The SQL that brings a schema of this revision, or none, to the newest; every statement of a revision is in it.

    So a revision says only what can be written down: it asks the database nothing.
    """
    written = StringIO()
    config = settings()
    config.output_buffer = written
    config.attributes["dialect"] = dialect
    command.upgrade(config, f"{revision or 'base'}:head", sql=True)
    return written.getvalue()


def upgrade(connection: sqlite3.Connection, due: Callable[[], bool]) -> None:
    """Bring the schema to the newest revision if, when nobody else can write, that is due. Raises sqlite3.Error."""
    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    event.listen(engine, "begin", lambda _: connections.begin(connection, connections.UPGRADE_PATIENCE))
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
