"""The statements: written in SQLAlchemy, checked in as SQL, and run without SQLAlchemy."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.stories.processes import environ, free_ports
from watchword_server.adapters.sql.compile import DIALECTS, document
from watchword_server.adapters.sql.records import RECORDS
from watchword_server.adapters.sql.sqlite.store import open_store
from watchword_server.adapters.sql.statements import Sql, Statements, load, path

URL = "http://localhost:8000"
STRANGERS = ("sqlalchemy", "alembic")
DRIVER = "asyncpg"


@pytest.mark.parametrize("name", DIALECTS)
def test_what_is_checked_in_is_what_sqlalchemy_writes(name: str):
    """A change of a table or a statement, and another version of SQLAlchemy, show in the review as SQL."""
    assert path(name).read_text("utf-8") == document(DIALECTS[name]), f"run `make sql`: {path(name).name} is stale"


def test_the_database_understands_every_statement(tmp_path: Path):
    """On the schema as it is, with as many parameters as are named."""
    open_store(tmp_path / "watchword.db").close()
    with closing(sqlite3.connect(tmp_path / "watchword.db")) as connection:
        for sql in every(load("sqlite")):
            connection.execute(f"EXPLAIN {sql.text}", [None] * len(sql.order))


@pytest.mark.parametrize("name", DIALECTS)
def test_an_insert_takes_a_record_as_it_is(name: str):
    """Its parameters are the fields, in their order: rows are made by position."""
    commands = load(name).commands
    inserts = {**commands.add, "Consent": commands.remember}  # the latest consent takes the place of those before
    assert {kind.__name__ for kind in RECORDS} == set(inserts)
    for kind in RECORDS:
        assert inserts[kind.__name__].order == kind.__struct_fields__


@pytest.mark.parametrize(
    "text", ["{}", '{"queries": {}, "commands": {}}', '{"queries": {"head": {"text": "SELECT 1", "lunch": 1}}}']
)
def test_a_file_that_lacks_a_statement_does_not_load(text: str):
    """Nothing starts on statements that are half there."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=Statements[Sql])


@pytest.mark.parametrize(
    "command", [("key", "list", "--json"), ("user", "list", "--json"), ("revoke", "everything", "--yes", "--json")]
)
def test_a_command_runs_without_sqlalchemy(site: dict[str, str], command: tuple[str, ...]):
    """Reading or writing, on a database that is up to date."""
    ran = watchword(site, *command)
    _, imports = ran.communicate(timeout=30)
    assert ran.returncode == 0, imports
    assert strangers(imports) == set()


def test_serving_runs_without_sqlalchemy(site: dict[str, str]):
    """From its start to its end."""
    (port,) = free_ports()
    ran = watchword(site, "serve", "--json", "--listen", f"127.0.0.1:{port}")
    said = ""
    try:
        for line in ran.stderr:
            said += line
            if '"ready"' in line:
                ran.send_signal(signal.SIGTERM)
        assert ran.wait(15) == 0, said
    finally:
        ran.kill()
    assert "watchword_server.web.application" in said
    assert strangers(said) == set()


def test_a_new_database_is_seen_to_need_them(tmp_path: Path):
    """Else the tests above could not fail."""
    ran = watchword({**environ(), "WATCHWORD_ISSUER": URL, "WATCHWORD_DATA": str(tmp_path / "new")}, "key", "list")
    _, imports = ran.communicate(timeout=30)
    assert strangers(imports) == set(STRANGERS)


def test_postgresql_is_seen_to_need_its_driver(tmp_path: Path):
    """Else nothing would have shown that SQLite does without."""
    url = "postgresql://nobody:nothing@127.0.0.1:1/none"
    ran = watchword({**environ(), "WATCHWORD_ISSUER": URL, "WATCHWORD_DATABASE": url}, "key", "list")
    _, imports = ran.communicate(timeout=30)
    assert ran.returncode == 5
    assert strangers(imports) == {DRIVER}
    assert "nothing" not in imports


@pytest.fixture
def site(tmp_path: Path) -> dict[str, str]:
    """The environment of a deployment whose database is up to date."""
    variables = {**environ(), "WATCHWORD_ISSUER": URL, "WATCHWORD_DATA": str(tmp_path)}
    open_store(tmp_path / "watchword.db").close()
    return variables


def watchword(variables: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    """A command as a process of its own, which says what it imports."""
    command = [sys.executable, "-X", "importtime", "-m", "watchword_server", *arguments]
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def strangers(said: str) -> set[str]:
    """Which of the two packages were imported."""
    lines = [line.rpartition("|")[2].strip() for line in said.splitlines() if line.startswith("import time:")]
    assert "watchword_server.main" in lines
    return {name for name in (*STRANGERS, DRIVER) if name in lines}


def every(part: object) -> Iterator[Sql]:
    """All statements, however deep they stand."""
    match part:
        case Sql():
            yield part
        case msgspec.Struct():
            for name in part.__struct_fields__:
                yield from every(getattr(part, name))
        case dict():
            for value in part.values():
                yield from every(value)
        case tuple():
            for value in part:
                yield from every(value)
        case _:
            raise AssertionError(f"no statement: {part}")
