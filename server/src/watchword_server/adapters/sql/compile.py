"""Turns what is written in SQLAlchemy into the SQL that is checked in: `make sql`."""

from __future__ import annotations

import json
import re
import textwrap
from typing import Final

import msgspec
from sqlalchemy.dialects.sqlite import pysqlite
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql import ClauseElement

from watchword_server.adapters.sql.commands import commands
from watchword_server.adapters.sql.queries import queries
from watchword_server.adapters.sql.statements import Sql, Statements, path

DIALECTS: Final[dict[str, Dialect]] = {"sqlite": pysqlite.dialect(paramstyle="qmark")}

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
    order = tuple(getattr(result, "positiontup", None) or ())
    fixed = {name: value for name, value in result.params.items() if value is not None}
    return Sql(text, order, fixed)


def _on_few_lines(found: re.Match[str]) -> str:
    names = " ".join(found[2].split())
    return textwrap.fill(f"{found[1]}[{names}]", 120, subsequent_indent=" " * (len(found[1]) + 1))


if __name__ == "__main__":
    main()
