"""What a command answers: one document for programs, a table for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import typer

if TYPE_CHECKING:
    from rich.table import Table

WIDE: Final = 10_000
"""Columns of a table that goes to a file or a pipe: identifiers are never cut."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`document` is for programs, and its keys are stable. People see its `rows`, or else the document itself.

    `note` is a sentence below the table. `code` is the exit code. `silent` is who has said everything already.
    """

    document: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]] | None = None
    columns: tuple[str, ...] = ()
    note: str = ""
    code: int = 0
    silent: bool = False


def tell(answer: Answer, as_json: bool) -> None:
    """Print an answer to standard output."""
    if answer.silent:
        return
    if as_json:
        typer.echo(json.dumps(answer.document, ensure_ascii=False))
        return
    if answer.rows is None:
        _print(_sheet(answer.document))
    elif answer.rows:
        _print(_list(answer.rows, answer.columns))
    if answer.note:
        typer.echo(answer.note)


def printable(text: str) -> str:
    """Without anything that a terminal would obey: names and user agents are written by strangers."""
    return "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)


def shown(name: str, value: object) -> str:
    """A value as people read it. Members that end in `_at` are seconds since 1970."""
    if value is None or value in ("", [], {}):
        return "-"
    if name.endswith("_at") or name == "until":
        return _time(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return "\n".join(f"{printable(str(key))}: {shown('', item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return " ".join(printable(str(item)) for item in value)
    return printable(str(value))


def _time(value: object) -> str:
    if not isinstance(value, (int, float)):
        return printable(str(value))
    return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _sheet(document: Mapping[str, Any]) -> Table:
    table = _table(show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in document.items():
        table.add_row(_words(name), shown(name, value))
    return table


def _list(rows: Sequence[Mapping[str, Any]], columns: tuple[str, ...]) -> Table:
    table = _table(show_header=True)
    for name in columns:
        table.add_column(_words(name), overflow="fold")
    for row in rows:
        table.add_row(*(shown(name, row.get(name)) for name in columns))
    return table


def _table(show_header: bool) -> Table:
    from rich.table import Table  # not above: `watchword serve` draws no tables

    return Table(box=None, show_header=show_header, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))


def _print(table: Table) -> None:
    from rich.console import Console

    width = None if sys.stdout.isatty() else WIDE
    Console(file=sys.stdout, width=width, markup=False, emoji=False, highlight=False).print(table)


def _words(name: str) -> str:
    return name.replace("_", " ")
