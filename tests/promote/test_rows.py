"""What arrives: every row of every table, also those that change while others are copied, and the schema as it was."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from tests.promote.promoting import task
from tests.promote.tables import add, asked, connected, differences, in_postgres, in_sqlite, made, names, schema
from tests.servers.postgres import Postgres
from watchword_server.adapters.sql.postgres import upgrade
from watchword_server.adapters.sql.promote import origin
from watchword_server.adapters.sql.promote.promotion import promote
from watchword_server.adapters.sql.schema import metadata
from watchword_server.promotion import NotPromoted, PromotionStep

STEPS = ("prepare", "copy", "index", "compare", "follow", "cut")
CRUCIAL = ("copy", "cut")


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several pieces of every table."""
    monkeypatch.setattr(origin, "PAGE", 3)


def test_every_table_moves(postgres: Postgres, tmp_path: Path) -> None:
    """A table that is added to the schema moves too, without anybody naming it: a lease, a spent value, anything."""
    path, url = made(tmp_path), postgres.database()
    tables = set(in_sqlite(path))
    assert tables == {table.name for table in metadata.sorted_tables}
    assert all(in_sqlite(path).values()), "a table has no row that could be lost"
    done = asyncio.run(promote(task(path, url)))
    assert set(in_postgres(url)) == tables
    assert not differences(in_sqlite(path), in_postgres(url))
    assert done.rows == sum(map(len, in_sqlite(path).values()))
    assert 0 < done.pause < done.seconds


def test_what_is_migrated_but_unused_takes_a_deployment(postgres: Postgres, tmp_path: Path) -> None:
    """An operator who ran `watchword migrate` first has done nothing wrong."""
    path, url = made(tmp_path), postgres.database()
    asyncio.run(upgrade.migrate(url))
    asyncio.run(promote(task(path, url)))
    assert not differences(in_sqlite(path), in_postgres(url))


def test_the_schema_is_the_one_of_the_migrations(postgres: Postgres, tmp_path: Path) -> None:
    """Constraints and indexes that were left out meanwhile are back, and foreign keys are checked at once."""
    url, other = postgres.database(), postgres.database()
    asyncio.run(promote(task(made(tmp_path), url)))
    asyncio.run(upgrade.migrate(other))
    assert schema(url) == schema(other)


def test_what_is_counted_goes_on_beyond_what_was_given_out(postgres: Postgres, tmp_path: Path) -> None:
    """A message's number is never given out twice, also where its row has gone; an audit row stands behind the last."""
    path, url = made(tmp_path), postgres.database()
    with closing(connected(path)) as database:
        database.execute("UPDATE sqlite_sequence SET seq = 4711 WHERE name = 'outbox'")
        (last,) = database.execute("SELECT max(id) FROM audit").fetchone()
    asyncio.run(promote(task(path, url)))
    statement = "INSERT INTO outbox (topic, body, attempts, reason) VALUES ('', '', 0, '') RETURNING number"
    assert asked(url, lambda connection: connection.fetchval(statement)) == 4712
    own = "SELECT id FROM audit WHERE action = 'issuer.promote'"
    assert asked(url, lambda connection: connection.fetchval(own)) == last + 1


@pytest.mark.parametrize(
    "step", [pytest.param(step, marks=() if step in CRUCIAL else pytest.mark.fault) for step in STEPS]
)
def test_what_changes_meanwhile_arrives(postgres: Postgres, tmp_path: Path, step: str) -> None:
    """In every table and at every step: rows that come, change, go, come back under their key, or take another's."""
    path, url = made(tmp_path), postgres.database()
    with closing(connected(path)) as database:
        seen: list[str] = []

        def at(now: PromotionStep) -> None:
            seen.append(now.stage)
            if now.stage == step and seen.count(step) in (1, 20):
                _stir(database, 100 * seen.count(step))

        asyncio.run(promote(task(path, url, at)))
    assert set(seen) == set(STEPS)
    assert any("stirred" in str(row) for row in in_sqlite(path)["users"])
    assert not differences(in_sqlite(path), in_postgres(url))


def _stir(database, number):
    """Everything that can become of a row, in every table."""
    for table in metadata.sorted_tables:
        if table.name in ("head", "compatibility"):
            database.execute(f"UPDATE {table.name} SET {table.columns.keys()[1]} = 'stirred'")
            continue
        add(database, table, number)
        add(database, table, number + 1)
    database.execute("UPDATE users SET name = 'stirred' WHERE sub = 'sub-1'")
    database.execute("UPDATE sessions SET ended_at = 1")
    database.execute("UPDATE refresh_tokens SET spent_at = 1 WHERE hash = ?", (bytes([4]) * 32,))
    for table in ("refresh_tokens", "spent", "encrypted_tokens", "audit", "revocations", "outbox", "leases"):
        database.execute(f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} LIMIT 2)")
    # Below all others, where nobody looks for what is new.
    for table in ("audit", "revocations", "outbox"):
        add(database, metadata.tables[table], -number)
    # Back again, behind all others; and under another's key.
    for number in (0, 1):
        add(database, metadata.tables["refresh_tokens"], number)
    database.execute("UPDATE spent SET hash = ? WHERE hash = ?", (bytes([200]) * 32, bytes([5]) * 32))
    # One key gives way to the next: both would be appointed, if one were written without the other.
    appointed = "SELECT kid, use, alg FROM keys WHERE retired_at IS NULL AND active_at IS NOT NULL"
    for kid, use, alg in database.execute(appointed).fetchall():
        database.execute("BEGIN")
        database.execute("UPDATE keys SET retired_at = 1 WHERE kid = ?", (kid,))
        row = dict(zip(metadata.tables["keys"].columns.keys(), (None,) * 9, strict=True)) | {
            "kid": f"{kid}+",
            "use": use,
            "alg": alg,
            "public": "",
            "sealed": b"",
            "created_at": 1,
            "active_at": 1,
        }
        database.execute(f"INSERT INTO keys ({', '.join(row)}) VALUES ({', '.join('?' * 9)})", tuple(row.values()))
        database.execute("COMMIT")


# fmt: off
ALTERED = (
    ("compare", "UPDATE users SET name = name || ' ' WHERE sub = 'sub-3'", "users differ"),
    ("cut",     "DELETE FROM encrypted_tokens",                            "encrypted_tokens has 7 rows, and 0"),
)
# fmt: on


@pytest.mark.parametrize(("step", "statement", "sentence"), ALTERED)
def test_a_copy_that_is_not_the_same_is_noticed(
    postgres: Postgres, tmp_path: Path, step: str, statement: str, sentence: str
) -> None:
    """Whatever became of a row on its way: before the cut every one is compared, after it all are counted."""
    path, url = made(tmp_path), postgres.database()

    def at(now: PromotionStep) -> None:
        if now.stage == step:
            postgres.execute(statement, url)

    with pytest.raises(NotPromoted, match=sentence):
        asyncio.run(promote(task(path, url, at)))
    assert "promotion" not in names(path)


def test_nothing_is_left_in_the_file_but_the_tables_and_a_mark(postgres: Postgres, tmp_path: Path) -> None:
    """Triggers and what they wrote are gone; every table has another name, and every index is there."""
    path = made(tmp_path)
    before = names(path)
    asyncio.run(promote(task(path, postgres.database())))
    tables = {table.name for table in metadata.sorted_tables}
    after = {name.removeprefix("promoted_") for name in names(path)}
    # SQLite names the indexes of keys after their table.
    assert {name for name in after if "autoindex" not in name} - {"promotion"} == {
        name for name in before if "autoindex" not in name
    }
    assert {name for name in names(path) if name in tables} == set()
