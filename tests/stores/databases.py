"""The databases that the suite runs on: an adapter is one row, and passes everything here."""

from __future__ import annotations

import asyncio
import inspect
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from tests.servers.postgres import Postgres
from watchword.jose.b64 import b64url
from watchword.log import genesis
from watchword_server.adapters.sql.postgres import store, upgrade
from watchword_server.adapters.sql.schema import metadata
from watchword_server.adapters.sql.sqlite.store import open_store
from watchword_server.adapters.sql.statements import load
from watchword_server.ports import Stores

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Adapter:
    """How an empty database of this kind is made once, how a test gets one that is empty, and how that is opened."""

    make: Callable[[Path, Callable[[], Postgres]], str]
    fresh: Callable[[str, Path], str]
    open: Callable[[str], Any]


def made_file(folder: Path, _: Callable[[], Postgres]) -> str:
    path = folder / "watchword.db"
    open_store(path).close()
    return str(path)


def copied_file(empty: str, folder: Path) -> str:
    return str(shutil.copy(empty, folder / "watchword.db"))


def made_database(_: Path, server: Callable[[], Postgres]) -> str:
    url = server().database()
    asyncio.run(upgrade.migrate(url))
    return url


def emptied_database(url: str, _: Path) -> str:
    """Durably copied files would take half a second for each test."""
    asyncio.run(_empty(url))
    return url


async def _empty(url: str) -> None:
    connection = await asyncpg.connect(url)
    orders = [*(f"DELETE FROM {name}" for name in reversed(TABLES)), "ALTER SEQUENCE outbox_number_seq RESTART"]
    await connection.execute("; ".join(orders))
    begin, log = load("postgres").commands.begin_log, b64url(secrets.token_bytes(16))
    await connection.execute(begin.text, *begin.bind(log=log, chain=genesis(log)))
    await connection.close()


TABLES = [table.name for table in metadata.sorted_tables if table.name != "compatibility"]

ADAPTERS = {
    "sqlite": Adapter(made_file, copied_file, lambda where: open_store(Path(where))),
    "postgres": Adapter(made_database, emptied_database, store.Store),
}


class Opened:
    """A store, and closing it, which only some can do at once."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.stores: Stores = store.stores
        self.on_commit = store.on_commit

    async def close(self) -> None:
        closing = self._store.close()
        if inspect.isawaitable(closing):
            await closing


@dataclass(frozen=True, slots=True)
class Database:
    """One database; every call of `open` is what another process would do."""

    adapter: str
    where: str

    def open(self) -> Opened:
        return Opened(ADAPTERS[self.adapter].open(self.where))

    def start(self, program: str, *arguments: str) -> subprocess.Popen[str]:
        """Run a program of this folder on this database, as a process of its own."""
        command = [sys.executable, "-m", f"tests.stores.programs.{program}", self.adapter, self.where, *arguments]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
