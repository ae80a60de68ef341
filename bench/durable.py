"""Durable inserts a second, with and without group commit, on both databases; and what PostgreSQL's own can do."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final

import asyncpg

from bench import database
from bench.effort import Effort
from bench.progress import counter
from bench.result import Figure, Section, median, spread
from watchword_server.adapters.sql.postgres import connections as pg
from watchword_server.adapters.sql.postgres import store as postgres
from watchword_server.adapters.sql.postgres import upgrade
from watchword_server.adapters.sql.records import audit_row
from watchword_server.adapters.sql.sqlite import connections as lite
from watchword_server.adapters.sql.sqlite import store as sqlite
from watchword_server.adapters.sql.statements import load
from watchword_server.changes import Audit
from watchword_server.ports import Journal

SECONDS: Final = 1.5
"""Of each way in each round."""
ROUNDS: Final = 5
CALLERS: Final = 64
DELAY: Final = 500
"""Microseconds of `commit_delay`; less and more were no better."""
ROW: Final = Audit(
    1_800_000_000_000, "client:bench", "token.issue", "ok", "https://api.example.com", "192.0.2.1", "bench"
)

LITE_ALONE, LITE_GROUP = "SQLite, a commit for each", "SQLite, group commit"
ALONE, MANY = "PostgreSQL, a commit for each", f"PostgreSQL, a commit for each on {CALLERS} connections"
DELAYED, GROUP = f"{MANY}, commit_delay", "PostgreSQL, group commit"

Way = Callable[[], float]


def measure(effort: Effort) -> Section:
    """The ways take turns."""
    total = effort.rounds(ROUNDS)
    tell = counter("durable inserts", total)
    with tempfile.TemporaryDirectory(prefix="watchword-bench-") as name, database.running() as server:
        path, url = Path(name) / "watchword.db", server.database()
        sqlite.migrate(path)
        asyncio.run(upgrade.migrate(url))
        ways: Mapping[str, Way] = {
            LITE_ALONE: partial(_sqlite_alone, path),
            LITE_GROUP: partial(_run, _sqlite_group, path),
            ALONE: partial(_run, _postgres_alone, url, 1, 0),
            MANY: partial(_run, _postgres_alone, url, CALLERS, 0),
            DELAYED: partial(_run, _postgres_alone, url, CALLERS, DELAY),
            GROUP: partial(_run, _postgres_group, url),
        }
        rounds: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(total):
            for way, rate in ways.items():
                rounds[way].append(rate())
            tell(number + 1)
    return _section(rounds)


def _run(work: Callable[..., Coroutine[Any, Any, float]], *arguments: object) -> float:
    return asyncio.run(work(*arguments))


def _sqlite_alone(path: Path) -> float:
    insert = load("sqlite").commands.audit[1].text
    with closing(lite.writer(path)) as connection:
        return _rate(lambda: _insert_alone(connection, insert))


def _insert_alone(connection: sqlite3.Connection, insert: str) -> None:
    lite.begin(connection)
    connection.execute(insert, audit_row(ROW))
    connection.execute("COMMIT")


def _rate(act: Callable[[], None]) -> float:
    count, began = 0, time.perf_counter()
    while (past := time.perf_counter() - began) < SECONDS:
        act()
        count += 1
    return count / past


async def _sqlite_group(path: Path) -> float:
    store = sqlite.open_store(path)
    try:
        return await _saved(store.stores.journal)
    finally:
        store.close()


async def _postgres_group(url: str) -> float:
    store = await postgres.open_store(url)
    try:
        return await _saved(store.stores.journal)
    finally:
        await store.close()


async def _saved(journal: Journal) -> float:
    return await _callers([partial(journal.save, ROW)] * CALLERS)


async def _postgres_alone(url: str, connections: int, delay: int) -> float:
    insert, row = load("postgres").commands.audit[1].text, audit_row(ROW)
    opened = [await asyncpg.connect(url, server_settings=pg.WRITER.settings()) for _ in range(connections)]
    for connection in opened:
        await connection.execute(f"SET commit_delay = {delay}")
    try:
        return await _callers([partial(connection.execute, insert, *row) for connection in opened])
    finally:
        for connection in opened:
            await connection.close()


async def _callers(acts: Sequence[Callable[[], Coroutine[Any, Any, object]]]) -> float:
    began = time.perf_counter()

    async def call(act: Callable[[], Coroutine[Any, Any, object]]) -> int:
        count = 0
        while time.perf_counter() - began < SECONDS:
            await act()
            count += 1
        return count

    counts = await asyncio.gather(*map(call, acts))
    return sum(counts) / (time.perf_counter() - began)


def _section(rounds: Mapping[str, Sequence[float]]) -> Section:
    def times(way: str, other: str) -> list[float]:
        return [one / two for one, two in zip(rounds[way], rounds[other], strict=True)]

    compared = ((LITE_GROUP, LITE_ALONE), (GROUP, ALONE), (GROUP, MANY), (GROUP, DELAYED), (DELAYED, MANY))
    return Section(
        "Durable inserts",
        [
            Figure(f"{way} to {other}", median(times(way, other)), "×", bound, "at least")
            for (way, other), bound in zip(compared, (1.0, 1.0, 1.0, 1.0, None), strict=True)
        ],
        [
            ("way", "rows per second"),
            *((way, spread(rates, 0)) for way, rates in rounds.items()),
            *((f"{way} to {other}", spread(times(way, other), 2)) for way, other in compared),
        ],
        [
            "A row is one of the audit trail, durable when its caller is answered (`synchronous` FULL, `fsync` on).",
            f"Group commit: {CALLERS} callers at once, each with a `Journal.save` of its own.",
            f"`commit_delay`: {DELAY} µs, PostgreSQL's own way of letting one flush serve several commits.",
            f"Median (lowest to highest) of {len(rounds[GROUP])} alternating rounds of {SECONDS} s.",
            "Client and PostgreSQL share the machine's cores.",
        ],
        {way: list(rates) for way, rates in rounds.items()},
    )
