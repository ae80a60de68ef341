"""The SQLite file: private, durable, migrated, and refused when it is not ours."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import create_engine
from sqlalchemy.dialects.sqlite import pysqlite

from tests.stores.people_and_programs import AUDIT, EVERYTHING, NOW, USER
from watchword_server.adapters.sql.commands import TABLES
from watchword_server.adapters.sql.journal import SqlJournal
from watchword_server.adapters.sql.migrations import run
from watchword_server.adapters.sql.queries import AUDIT as AUDIT_COLUMNS
from watchword_server.adapters.sql.schema import metadata
from watchword_server.adapters.sql.sqlite import connections
from watchword_server.adapters.sql.sqlite.store import open_store
from watchword_server.adapters.sql.sqlite.writer import Writer
from watchword_server.adapters.sql.statements import load
from watchword_server.adapters.sql.upgrade import REVISION, SchemaError
from watchword_server.changes import Add, Audit, Revoke
from watchword_server.ports import Unavailable


@pytest.fixture
def path(tmp_path):
    """Where a database will be."""
    return tmp_path / "data" / "watchword.db"


def schema(connection: sqlite3.Connection) -> dict[str, str]:
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: re.sub(r"\s+", " ", sql) for name, sql in rows if name != "alembic_version"}


def test_the_migrations_make_exactly_the_schema(path):
    """The revisions one after the other end where the code says; names, types, order and constraints."""
    open_store(path).close()
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.connect() as direct:
        assert schema(sqlite3.connect(path)) == schema(direct.connection.driver_connection)


def test_the_code_was_written_for_the_newest_revision():
    """Else every start would migrate."""
    from alembic.script import ScriptDirectory

    assert ScriptDirectory.from_config(run.settings()).get_current_head() == REVISION


def test_columns_are_text_bytes_and_integers_named_after_the_fields():
    """In their order: rows are turned into values by position."""
    kinds = {str(column.type.compile(pysqlite.dialect())) for table in metadata.tables.values() for column in table.c}
    assert kinds == {"TEXT", "BLOB", "INTEGER"}
    for kind, table in TABLES.items():
        assert [column.name for column in table.c] == list(kind.__struct_fields__)
    assert [column.name for column in AUDIT_COLUMNS] == list(Audit.__struct_fields__)


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_only_the_owner_can_read_the_files(path, umask):
    """Whatever the umask, also the write-ahead log and its index."""
    before = os.umask(umask)
    try:
        store = open_store(path)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert modes == {"watchword.db": 0o600, "watchword.db-wal": 0o600, "watchword.db-shm": 0o600}
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        store.close()
    finally:
        os.umask(before)


def test_a_file_that_others_could_read_is_closed_to_them(path):
    """A copy that was put there by hand."""
    open_store(path).close()
    path.chmod(0o644)
    open_store(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_every_commit_of_a_writer_reaches_the_disk(path):
    """A write-ahead log, synced at each commit; NORMAL would lose the last ones with the power."""
    open_store(path).close()
    connection = connections.writer(path)
    settings = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    connection.close()
    assert settings == ["wal", 2]


def test_a_reader_cannot_write(path):
    """Whatever is asked of it."""
    open_store(path).close()
    connection = connections.reader(path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM users")
    connection.close()


def test_a_database_that_only_a_newer_version_can_serve_is_refused(path):
    """In one sentence that says what to do; the file stays as it is."""
    open_store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("UPDATE compatibility SET oldest = '9998'")
    with pytest.raises(SchemaError, match=r"newer version of Watchword \(revision 9999") as refusal:
        open_store(path)
    assert str(path) in str(refusal.value)
    assert sqlite3.connect(path).execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)


def test_a_database_of_another_program_is_refused(path):
    """Nothing is added to it."""
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(SchemaError, match="another program"):
        open_store(path)
    assert [row[0] for row in sqlite3.connect(path).execute("SELECT name FROM sqlite_master")] == ["theirs"]


def test_a_file_that_is_no_database_is_refused(path):
    """It may be anything, so it is not touched."""
    path.parent.mkdir()
    path.write_bytes(b"not a database, but long enough to look like one" * 100)
    with pytest.raises(SchemaError, match="not a SQLite database"):
        open_store(path)
    assert path.read_bytes().startswith(b"not a database")


def test_a_database_that_another_process_keeps_to_itself_is_unavailable(path):
    """After a bounded time, and it opens when it is free."""
    open_store(path).close()
    owner = sqlite3.connect(path, isolation_level=None)
    owner.execute("PRAGMA locking_mode = EXCLUSIVE")
    owner.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked"):
        open_store(path)
    owner.close()
    open_store(path).close()


async def test_a_reader_that_the_database_refuses_is_unavailable(path):
    """Point look-ups and lists alike; never a driver's own error."""
    store = open_store(path)
    await store.stores.users.find("x")
    with sqlite3.connect(path) as connection:
        for table in ("refresh_tokens", "sessions", "grants", "clients", "users", "head"):
            connection.execute(f"ALTER TABLE {table} RENAME TO {table}_gone")
    questions = (
        store.stores.users.find("x"),
        store.stores.clients.find("x"),
        store.stores.log.head(),
        store.stores.log.alive(0),
        store.stores.sessions.of("x"),
        store.stores.journal.save(Add(USER)),
    )
    for question in questions:
        with pytest.raises(Unavailable):
            await question
    store.close()


def test_processes_that_open_a_new_database_at_once_make_it_once(path):
    """One migrates, the others wait for it."""
    program = (
        "import asyncio, sys; from pathlib import Path;"
        "from watchword_server.adapters.sql.sqlite.store import open_store;"
        "print('ready', flush=True); sys.stdin.read();"
        "print(asyncio.run(open_store(Path(sys.argv[1])).stores.log.head()).log)"
    )
    command = [sys.executable, "-c", program, str(path)]
    openers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for opener in openers:
        assert opener.stdout.readline() == "ready\n"
    for opener in openers:
        opener.stdin.close()
    logs = [opener.stdout.read() for opener in openers]
    assert [opener.wait() for opener in openers] == [0, 0, 0]
    assert len(set(logs)) == 1


async def test_a_full_disk_is_unavailable_and_loses_nothing(path):
    """What was answered is there, what was refused is not, and with space it goes on by itself."""
    store = open_store(path)
    await store.stores.journal.save(*EVERYTHING)
    small: list[sqlite3.Connection] = []

    def connect(path: Path) -> sqlite3.Connection:
        connection = connections.writer(path)
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 8}")
        small.append(connection)
        return connection

    commands = load("sqlite").commands
    writer = Writer(partial(connect, path), commands, lambda: None)
    journal = SqlJournal(writer, commands)
    saved, refused = 0, 0
    for n in range(100):
        try:
            await journal.save(
                Revoke("token", str(n), NOW), msgspec.structs.replace(AUDIT, agent="x" * 2000, request_id=str(n))
            )
            saved += 1
        except Unavailable:
            refused += 1
    assert saved > 0
    assert refused > 50
    assert (await store.stores.log.head()).rev == saved
    assert len(await store.stores.audit.latest(999)) == saved
    small[-1].execute("PRAGMA max_page_count = 1000000")
    assert [entry.seq for entry in await journal.save(Revoke("token", "space", NOW), AUDIT)] == [saved + 1]
    assert len(small) == 1
    writer.close()
    store.close()
