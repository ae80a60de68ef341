"""The PostgreSQL schema: made by `migrate` only, exactly as the code says, and refused where it will not do."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from sqlalchemy.dialects.postgresql import asyncpg as dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from tests.server.adapters.test_statements import every
from watchword_server.adapters.sql.postgres import connections, upgrade
from watchword_server.adapters.sql.postgres.store import open_store
from watchword_server.adapters.sql.schema import metadata
from watchword_server.adapters.sql.statements import load
from watchword_server.adapters.sql.upgrade import REVISION, SchemaError
from watchword_server.ports import Unavailable

COLUMNS = """
SELECT c.relname, a.attname, a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull, o.collname,
    pg_get_expr(d.adbin, d.adrelid)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
LEFT JOIN pg_collation o ON o.oid = a.attcollation
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> 'alembic_version'
ORDER BY 1, 3
"""
CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version' ORDER BY 1, 2
"""
INDEXES = """
SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1
"""


@pytest.fixture(scope="module")
def made(postgres):
    """A database with the schema, which nobody changes."""
    url = postgres.database()
    asyncio.run(upgrade.migrate(url))
    return url


@pytest.fixture
def url(postgres, made):
    """A copy of it for one test."""
    return postgres.database(like=made)


async def facts(url: str) -> list[list[tuple[object, ...]]]:
    connection = await asyncpg.connect(url)
    found = [[tuple(row) for row in await connection.fetch(sql)] for sql in (COLUMNS, CONSTRAINTS, INDEXES)]
    await connection.close()
    return found


async def run(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(sql)
    await connection.close()


async def test_the_migrations_make_exactly_the_schema(postgres, made):
    """Columns, types, how they are ordered, constraints and indexes."""
    direct = postgres.database()
    spoken = dialect.dialect()
    parts = [CreateTable(table).compile(dialect=spoken) for table in metadata.sorted_tables]
    parts += [CreateIndex(index).compile(dialect=spoken) for table in metadata.sorted_tables for index in table.indexes]
    await run(direct, ";".join(map(str, parts)))
    assert await facts(made) == await facts(direct)


async def test_the_database_understands_every_statement(made):
    """On the schema as it is, and with a type for every parameter."""
    connection = await asyncpg.connect(made)
    for sql in every(load("postgres")):
        statement = await connection.prepare(sql.text)
        assert len(statement.get_parameters()) == len(sql.order), sql.text
    await connection.close()


async def test_an_empty_database_is_migrated_by_command_only(postgres):
    """A server says so; the command makes the schema, and has nothing to do the second time."""
    url = postgres.database()
    with pytest.raises(SchemaError, match=f"no schema yet, and this version wants {REVISION}: run `watchword migrate`"):
        await open_store(url)
    assert await upgrade.due(url) == upgrade.Upgrade(connections.place(url), None, REVISION)
    assert (await upgrade.migrate(url)).found is None
    assert (await upgrade.migrate(url)).found == (await upgrade.due(url)).found == REVISION
    store = await open_store(url)
    assert (await store.stores.log.head()).rev == 0
    await store.close()


async def test_two_that_migrate_at_once_make_one_schema(postgres):
    """The second waits for the first, and finds its log."""
    url = postgres.database()
    found = await asyncio.gather(*(upgrade.migrate(url) for _ in range(4)))
    assert sorted((one.found or "none" for one in found), reverse=True) == ["none", *[REVISION] * 3]


async def test_a_migration_that_fails_leaves_nothing(postgres):
    """All of it, or nothing."""
    url = postgres.database()
    await run(url, "CREATE VIEW spent AS SELECT 1 AS hash")
    with pytest.raises(Unavailable, match="was not migrated, and is as it was"):
        await upgrade.migrate(url)
    assert await facts(url) == [[], [], []]
    assert (await upgrade.due(url)).found is None


BEHIND = "UPDATE alembic_version SET version_num = '0001'"
AHEAD = "UPDATE alembic_version SET version_num = '9999'"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (BEHIND, "has the schema of revision 0001, and this version wants"),
        (f"{AHEAD}; UPDATE compatibility SET oldest = '9998'", r"newer version of Watchword \(revision 9999"),
        (f"{AHEAD}; DROP TABLE compatibility", r"newer version of Watchword \(revision 9999"),
        ("DROP TABLE alembic_version", "the database of another program"),
    ],
)
async def test_a_schema_that_cannot_be_served_is_refused(url, change, sentence):
    """Before anything is read or written."""
    await run(url, change)
    with pytest.raises(SchemaError, match=sentence):
        await open_store(url)


async def test_a_newer_schema_that_only_grew_is_served(url):
    """Version N goes on while N+1 is already there: `oldest` says that nothing was taken away."""
    await run(url, f"{AHEAD}; ALTER TABLE users ADD COLUMN phone TEXT; CREATE TABLE later (id BIGINT)")
    store = await open_store(url)
    assert (await store.stores.log.head()).rev == 0
    await store.close()
    done = await upgrade.migrate(url)
    assert (done.found, done.wanted) == ("9999", "9999")


async def test_a_database_that_forgets_commits_is_refused(url):
    """With `synchronous_commit` off, the last ones would go with the power."""
    for value in ("off", "local"):
        await run(url, f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit = {value}")
        with pytest.raises(SchemaError, match=f"synchronous_commit = {value}"):
            await open_store(url)


async def test_text_in_another_encoding_is_refused(postgres):
    """Half of what people are called could not be kept."""
    url = postgres.database()
    name = url.rpartition("/")[2]
    postgres.execute(f"DROP DATABASE {name}")
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    with pytest.raises(SchemaError, match="ENCODING 'UTF8'"):
        await upgrade.migrate(url)


async def test_a_reader_cannot_write_and_no_session_hangs_for_ever(made):
    """The server keeps the bounds, for it outlives a client that froze."""
    reader = await connections.connect(made, connections.READER)
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await reader.execute("DELETE FROM users")
    await reader.close()
    writer = await connections.writer(made)
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "transaction_isolation")
    assert [await writer.fetchval(f"SHOW {name}") for name in names] == ["3s", "3s", "1500ms", "read committed"]
    await writer.close()


@pytest.mark.parametrize("port", [1, None])
async def test_a_server_that_is_not_there_is_unavailable(made, port):
    """And its sentence holds no password, also where that is wrong."""
    secret = made.partition("@")[0].rpartition(":")[2]
    wrong = made.replace(secret, "wrong-password") if port is None else "postgresql://u:wrong-password@127.0.0.1:1/db"
    with pytest.raises(Unavailable, match="PostgreSQL at 127.0.0.1") as refusal:
        await open_store(wrong)
    assert "wrong-password" not in str(refusal.value)
    assert refusal.value.__suppress_context__
