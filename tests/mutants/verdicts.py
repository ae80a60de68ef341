"""What became of the mutants."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Name = tuple[str, str, str, str, int]
"""Module, place, statement before and after, and its turn: see `breed.Mutant`."""


@dataclass(frozen=True)
class Verdict:
    """`none` is a change that made no program, or the same one; such a mutant counts nowhere."""

    kind: Literal["killed", "timeout", "survived", "none"]
    by: str
    """The test that noticed."""


def load(file: Path) -> dict[Name, Verdict]:
    """What `save` wrote; nothing when there is no such file."""
    if not file.exists():
        return {}
    return {(*name,): Verdict(kind, by) for name, kind, by in json.loads(file.read_text("utf-8"))}


def save(file: Path, verdicts: Mapping[Name, Verdict]) -> None:
    """One line each."""
    lines = (json.dumps([name, found.kind, found.by], ensure_ascii=False) for name, found in verdicts.items())
    file.write_text("[\n" + ",\n".join(lines) + "\n]\n", "utf-8")
