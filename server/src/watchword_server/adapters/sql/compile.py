"""Turns what is written in SQLAlchemy into the SQL that is checked in: `make sql`."""

from __future__ import annotations

import json
import re
import textwrap
from typing import Final

import msgspec
from msgspec.structs import replace
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.dialects.sqlite import pysqlite
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql import ClauseElement, Executable

from watchword_server.adapters.sql.commands import commands
from watchword_server.adapters.sql.queries import IDENTITY, queries
from watchword_server.adapters.sql.statements import Sql, Statements, path

DIALECTS: Final[dict[str, Dialect]] = {
    "sqlite": pysqlite.dialect(paramstyle="qmark"),
    "postgres": asyncpg.dialect(),  # type: ignore[no-untyped-call]  # SQLAlchemy has not got to it
}

_NAMES: Final = re.compile(r'^( *"order": )\[\s+([^]]+?)\s+\]', re.MULTILINE)
"""The names of parameters, which `json` puts on a line each."""


def main() -> None:
    """Write the file of every dialect."""
    for name, dialect in DIALECTS.items():
        path(name).write_text(document(dialect), "utf-8")


def document(dialect: Dialect) -> str:
    """The file of a dialect: sorted, a block for each statement."""
    written: Statements[ClauseElement] = Statements(queries(), commands())
    plain = msgspec.to_builtins(written, str_keys=True, enc_hook=lambda statement: sql(statement, dialect))
    return _NAMES.sub(_on_few_lines, json.dumps(plain, indent=2, sort_keys=True)) + "\n"


def sql(statement: ClauseElement, dialect: Dialect) -> Sql:
    """Compile for a dialect with positional parameters."""
    result = statement.compile(dialect=dialect)
    # The line breaks are all SQLAlchemy's: a value is a parameter, so no quoted text stands in it.
    text = re.sub(r"\s*\n\s*", " ", str(result))
    order = tuple(map(str, getattr(result, "positiontup", None) or ()))
    fixed = {name: value for name, value in result.params.items() if value is not None}
    if dialect.name == "postgresql":
        # How a column is ordered is the column's to say, and it does.
        plain = text.replace("::VARCHAR", "::TEXT").replace(' COLLATE "C"', "")
        return _grouped(statement, Sql(plain, order, fixed))
    return Sql(text, order, fixed)


def _grouped(statement: ClauseElement, one: Sql) -> Sql:
    """A look-up by identity takes a list of them: a round trip that many share costs little more than one."""
    by = statement.get_execution_options().get(IDENTITY) if isinstance(statement, Executable) else None
    if by is None:
        return one
    text, found = re.subn(r" = \$1::([A-Z]+)$", r" = ANY($1::\1[])", one.text)
    if not found:
        raise ValueError(f"no look-up by one identity: {one.text}")
    return replace(one, text=text, by=by)


def _on_few_lines(found: re.Match[str]) -> str:
    names = " ".join(found[2].split())
    return textwrap.fill(f"{found[1]}[{names}]", 120, subsequent_indent=" " * (len(found[1]) + 1))


if __name__ == "__main__":
    main()
