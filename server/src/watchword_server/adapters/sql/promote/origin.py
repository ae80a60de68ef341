"""The SQLite side of a promotion.

Triggers note the key of every row that is inserted, changed or deleted from the moment they stand, so each table can be
read in pieces while others write: whatever was read too early is read again. Beyond that and a marker nothing is
written here until the cut.
"""

# ruff: noqa: S608  # names of tables and columns come from the schema; values are always parameters

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from watchword_server.adapters.sql.promote.marker import AWAY, TABLE, TAKEN, Marker, Stage, marker
from watchword_server.adapters.sql.promote.shapes import SHAPES, Part, Shape, listed
from watchword_server.adapters.sql.sqlite import connections
from watchword_server.adapters.sql.upgrade import REVISIONS
from watchword_server.promotion import NotPromoted

Row = tuple[Any, ...]
Digest = tuple[int, int]
"""How many rows, and the sum of their hashes."""

PAGE: Final = 5000
"""Rows that are read at once, and so in one moment."""
WATCHED: Final = 1_000_000
"""Changes that are noted in a table: what a promotion left behind when it was killed must not fill the disk."""
PREFIX: Final = "promotion_"
CUT_PATIENCE: Final = 10.0
"""Seconds that the cut waits for others' transactions."""


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a table: rows that were touched, by their keys, and those that are there now."""

    shape: Shape
    keys: Sequence[Row]
    rows: Sequence[Row]


@dataclass(slots=True)
class _Progress:
    """How much of a table was read: changes up to a number, and rows up to a key of one that grows."""

    noted: int = 0
    copied: int = 0


class Moment:
    """A SQLite file as it was at one moment, for as long as this is open."""

    def __init__(self, connection: sqlite3.Connection, prefix: str, progress: Mapping[str, _Progress]) -> None:
        self._connection = connection
        self._prefix = prefix
        self._progress = progress

    def changes(self) -> Sequence[Change]:
        """What has changed since the last time, parents before their children."""
        return [self._change(shape) for shape in SHAPES]

    def counts(self) -> Mapping[str, int]:
        """How many rows each table has."""
        return {shape.name: self._value(f"SELECT count(*) FROM {self._prefix}{shape.name}") for shape in SHAPES}

    def digests(self) -> Mapping[str, Digest]:
        """What stands in each table, in a few bytes."""
        return {shape.name: self._digest(shape) for shape in SHAPES}

    def highest(self) -> Mapping[str, int]:
        """The last number that was ever given out, of each table that counts for good."""
        counters = self._connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall()
        return {name.removeprefix(self._prefix): last for name, last in counters}

    def _change(self, shape: Shape) -> Change:
        progress, log = self._progress[shape.name], f"{PREFIX}{shape.name}"
        noted, last = progress.noted, self._value(f"SELECT coalesce(max(noted), 0) FROM {log}")
        if last >= WATCHED:
            raise NotPromoted("too much has changed meanwhile: run `watchword promote` at a quieter time")
        touched = f"SELECT DISTINCT {listed(shape.key)} FROM {log} WHERE noted > {noted} AND noted <= {last}"
        keys = self._connection.execute(touched).fetchall() if last > noted else []
        progress.noted = last
        return Change(shape, keys, self._rows(shape, touched if keys else ""))

    def _rows(self, shape: Shape, touched: str) -> Sequence[Row]:
        table, columns = f"{self._prefix}{shape.name}", listed(shape.parts, "one.")
        progress, rows = self._progress[shape.name], []
        if touched:
            bound = f" WHERE one.{shape.key[0].name} <= {progress.copied}" if shape.growing else ""
            joined = f"SELECT {columns} FROM ({touched}) JOIN {table} AS one USING ({listed(shape.key)}){bound}"
            rows = self._connection.execute(joined).fetchall()
        if shape.growing:
            key = shape.key[0].name
            beyond = f"SELECT {columns} FROM {table} AS one WHERE {key} > {progress.copied} ORDER BY {key}"
            new = self._connection.execute(beyond).fetchall()
            progress.copied = max([progress.copied, *(row[shape.parts.index(shape.key[0])] for row in new[-1:])])
            rows += new
        return rows

    def _digest(self, shape: Shape) -> Digest:
        whole = "||','||".join(_spelled(part) for part in shape.parts)
        count = total = 0
        for (row,) in self._connection.execute(f"SELECT {whole} FROM {self._prefix}{shape.name}"):
            total += int.from_bytes(hashlib.sha256(row.encode()).digest()[:8], "big", signed=True)
            count += 1
        return count, total

    def _value(self, statement: str) -> int:
        return _number(self._connection, statement)


def _spelled(part: Part) -> str:
    """A column as text, exactly as `destination.py` has PostgreSQL spell it."""
    match part.in_sqlite:
        case "TEXT":
            return f"coalesce(length({part.name})||':'||{part.name}, '-')"
        case "BLOB":
            return f"iif({part.name} IS NULL, '-', lower(hex({part.name})))"
        case _:
            return f"coalesce({part.name}, '-')"


def _number(connection: sqlite3.Connection, statement: str) -> int:
    ((value,),) = connection.execute(statement).fetchall()
    assert isinstance(value, int)  # noqa: S101  # every caller asks for a number
    return value


class Origin:
    """One SQLite file, as one promotion holds it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = connections.writer(path)
        self._id = ""
        self._schema = 0
        self._progress: dict[str, _Progress] = {}
        self._prefix = ""

    def close(self) -> None:
        self._connection.close()

    @property
    def marker(self) -> Marker | None:
        """How far a promotion came."""
        return marker(self._connection)

    @property
    def revision(self) -> str:
        """Of its schema."""
        ((revision,),) = self._connection.execute(REVISIONS).fetchall()
        return str(revision)

    def rows(self, name: str) -> list[Row]:
        """All rows of a short table, wherever it is now."""
        (shape,) = (shape for shape in SHAPES if shape.name == name)
        return self._connection.execute(f"SELECT {shape.columns} FROM {self._where()}{name}").fetchall()

    def watch(self, id: str, place: str, log: str) -> None:
        """Begin: note from now on what changes. What another promotion left is removed."""
        self._id, self._prefix = id, ""
        with self._writing():
            self._forget()
            self._connection.execute(f"CREATE TABLE {TABLE} (id TEXT, place TEXT, log TEXT, stage TEXT) STRICT")
            self._connection.execute(f"INSERT INTO {TABLE} VALUES (?, ?, ?, 'copying')", (id, place, log))
            for shape in SHAPES:
                self._watch(shape)
        self._progress = {shape.name: _Progress() for shape in SHAPES}
        self._schema = self._schema_version()

    def sizes(self) -> Mapping[str, int]:
        """How many rows each table has about now, wherever it is."""
        return {shape.name: self._value(f"SELECT count(*) FROM {self._where()}{shape.name}") for shape in SHAPES}

    def pages(self, shape: Shape) -> Iterator[Sequence[Row]]:
        """All rows in pieces, each as it is when it is asked for."""
        last = -(2**63)
        statement = f"SELECT rowid, {shape.columns} FROM {shape.name} WHERE rowid > ? ORDER BY rowid LIMIT {PAGE}"
        while rows := self._connection.execute(statement, (last,)).fetchall():
            last = rows[-1][0]
            if shape.growing:
                self._progress[shape.name].copied = last
            yield [row[1:] for row in rows]

    @contextmanager
    def moment(self) -> Iterator[Moment]:
        """Everything as it is at one moment. What it says to have changed has then been read."""
        self._connection.execute("BEGIN")
        try:
            self._must_be_mine()
            yield Moment(self._connection, self._prefix, self._progress)
        finally:
            self._connection.execute("ROLLBACK")

    def cut(self) -> None:
        """From here on nobody else reads or writes: no table has its name any more. Durable when this returns."""
        with self._writing():
            self._must_be_mine()
            self._drop("trigger")  # each would be written anew with each name
            for shape in SHAPES:
                self._connection.execute(f"ALTER TABLE {shape.name} RENAME TO {AWAY}{shape.name}")
            self._move("copying", "cut")
        self._prefix = AWAY
        self._schema = self._schema_version()

    def completing(self) -> None:
        """Before PostgreSQL is told to commit. Raises NotPromoted when somebody has taken the cut back."""
        with self._writing():
            self._move("cut", "completing")

    def complete(self) -> None:
        """PostgreSQL has committed: the tables stay away for good, and nothing watches them any more."""
        with self._writing():
            self._connection.execute(f"UPDATE {TABLE} SET stage = 'complete'")
            self._unwatch()

    def undo(self, id: str = "") -> None:
        """As if there had been no promotion, of this id where one is given.

        Whoever calls this knows that PostgreSQL did not commit, and never will.
        """
        with self._writing():
            found = self.marker
            if found is not None and id not in ("", found.id):
                return
            if found is not None and found.stage == "complete":
                raise NotPromoted(f"the deployment has moved to {found.place}: what was done since is there only")
            if found is not None and found.stage != "copying":
                for shape in SHAPES:
                    self._connection.execute(f"ALTER TABLE {AWAY}{shape.name} RENAME TO {shape.name}")
            self._forget()
        self._prefix = ""

    def _watch(self, shape: Shape) -> None:
        log = f"{PREFIX}{shape.name}"
        columns = ", ".join(f"{part.name} {part.in_sqlite}" for part in shape.key)
        self._connection.execute(f"CREATE TABLE {log} (noted INTEGER PRIMARY KEY, {columns}) STRICT")
        room = f"coalesce((SELECT max(noted) FROM {log}), 0) < {WATCHED}"
        new, old = listed(shape.key, "NEW."), listed(shape.key, "OLD.")
        for name, event, when, key in (
            ("new", "INSERT", f"{room}{self._known(shape)}", new),
            ("gone", "DELETE", room, old),
            ("changed", "UPDATE", room, old),
            ("renamed", "UPDATE", f"{room} AND ({old}) IS NOT ({new})", new),
        ):
            self._connection.execute(
                f"CREATE TRIGGER {log}_{name} AFTER {event} ON {shape.name} WHEN {when}"
                f" BEGIN INSERT INTO {log} ({listed(shape.key)}) VALUES ({key}); END"
            )

    def _known(self, shape: Shape) -> str:
        """What is inserted above all others is found by being there: no trigger has to note every audit row."""
        if not shape.growing:
            return ""
        key = shape.key[0].name
        return f" AND NEW.{key} <= {self._value(f'SELECT coalesce(max({key}), 0) FROM {shape.name}')}"

    def _forget(self) -> None:
        self._unwatch()
        self._connection.execute(f"DROP TABLE IF EXISTS {TABLE}")

    def _unwatch(self) -> None:
        self._drop("trigger")
        self._drop("table")

    def _drop(self, kind: str) -> None:
        ours = "SELECT name FROM sqlite_master WHERE type = ? AND name LIKE ?"
        for (name,) in self._connection.execute(ours, (kind, f"{PREFIX}%")).fetchall():
            self._connection.execute(f"DROP {kind} {name}")

    def _move(self, before: Stage, stage: Stage) -> None:
        found = self.marker
        if found is None or (found.id, found.stage) != (self._id, before):
            raise NotPromoted(TAKEN)
        self._connection.execute(f"UPDATE {TABLE} SET stage = ?", (stage,))

    def _where(self) -> str:
        found = self.marker
        return "" if found is None or found.stage == "copying" else AWAY

    def _must_be_mine(self) -> None:
        """Raises NotPromoted where somebody has begun anew, or changed a table in a way that no trigger sees."""
        found = self.marker
        if found is None or found.id != self._id:
            raise NotPromoted(TAKEN)
        if self._schema_version() != self._schema:
            raise NotPromoted("the SQLite file was upgraded or vacuumed meanwhile: run `watchword promote` again")

    def _schema_version(self) -> int:
        return self._value("PRAGMA schema_version")

    def _value(self, statement: str) -> int:
        return _number(self._connection, statement)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        connections.begin(self._connection, CUT_PATIENCE)
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
