"""The databases that the suite runs on: an adapter is one row, and passes everything here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from watchword_server.adapters.sql.store import Store, open_store

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Adapter:
    """How a store of this kind is opened, and how an empty database is copied for one test."""

    open: Callable[[str], Store]
    copy: Callable[[str, Path], str]


def copied_file(empty: str, folder: Path) -> str:
    return str(shutil.copy(empty, folder / "watchword.db"))


ADAPTERS = {
    "sqlite": Adapter(lambda where: open_store(Path(where)), copied_file),
}


@dataclass(frozen=True, slots=True)
class Database:
    """One database; every call of `open` is what another process would do."""

    adapter: str
    where: str

    def open(self) -> Store:
        return ADAPTERS[self.adapter].open(self.where)

    def copy(self, folder: Path) -> Database:
        return Database(self.adapter, ADAPTERS[self.adapter].copy(self.where, folder))

    def start(self, program: str, *arguments: str) -> subprocess.Popen[str]:
        """Run a program of this folder on this database, as a process of its own."""
        command = [sys.executable, "-m", f"tests.stores.programs.{program}", self.adapter, self.where, *arguments]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
