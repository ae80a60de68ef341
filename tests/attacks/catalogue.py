"""The catalogue of attacks: a table of what bad input gets, kept beside the repository."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    attack: str
    expected: str


def folder() -> Path:
    """Where the facts lie."""
    return Path(os.environ.get("WATCHWORD_FACTS") or ROOT.parent / "shared" / "facts")


def rows(text: str, group: str) -> list[Row]:
    """The lines of one group. ValueError when it has none, or one of another shape: nothing is skipped in silence."""
    section = text.partition(f"\n## {group}. ")[2].partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")][2:]
    if not table:
        raise ValueError(f"the catalogue has no group {group}")
    return [_row(line) for line in table]


def _row(line: str) -> Row:
    cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
    if len(cells) != 3 or not all(cells[:2]):
        raise ValueError(f"not an attack, an expectation and a source: {line}")
    return Row(*cells[:2])
