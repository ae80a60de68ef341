"""Every table of the schema, as both databases hold it. Nothing is named here: a table added later moves too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text

from watchword_server.adapters.sql.schema import metadata

_KINDS: Final = (
    (Text, "TEXT", "text"),
    (LargeBinary, "BLOB", "bytea"),
    (BigInteger, "INTEGER", "bigint"),
)
"""Type in the schema, in SQLite, in PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Part:
    """A column, its name quoted, with its type in either database."""

    name: str
    in_sqlite: str
    in_postgres: str


@dataclass(frozen=True, slots=True)
class Shape:
    """A table. `growing`: its key is one number, and a new row's is above all others."""

    name: str
    parts: tuple[Part, ...]
    key: tuple[Part, ...]
    growing: bool

    @property
    def columns(self) -> str:
        """All columns, in the order of every row here."""
        return listed(self.parts)

    def key_of(self, row: Sequence[object]) -> tuple[object, ...]:
        """The part of a row that names it."""
        return tuple(row[self.parts.index(part)] for part in self.key)


def listed(parts: Sequence[Part], prefix: str = "") -> str:
    """Columns as a statement names them."""
    return ", ".join(f"{prefix}{part.name}" for part in parts)


def _part(column: Column[object]) -> Part:
    for kind, in_sqlite, in_postgres in _KINDS:
        if isinstance(column.type, kind):
            return Part(f'"{column.name}"', in_sqlite, in_postgres)
    raise TypeError(f"no way is known to move {column.table.name}.{column.name}")


def _shape(table: Table) -> Shape:
    key = tuple(_part(column) for column in table.primary_key.columns)
    return Shape(
        name=table.name,
        parts=tuple(_part(column) for column in table.columns),
        key=key,
        growing=len(key) == 1 and key[0].in_sqlite == "INTEGER",
    )


SHAPES: Final = tuple(_shape(table) for table in metadata.sorted_tables)
"""Parents before their children."""
