"""What the certification plans assert, read from facts that lie beside the repository: nothing of them is kept here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.attacks.catalogue import folder

HEADING: Final = re.compile(r"^## (?P<title>.+)$", re.MULTILINE)
CONDITION: Final = re.compile(r"\b(?P<name>[A-Z]\w+) ?\[(?P<severity>[A-Z/]+)\]")
COMMON: Final = "Common to "
BINDING: Final = frozenset({"FAILURE", "STOP"})


@dataclass(frozen=True)
class Facts:
    """One module: every condition that it or the whole plan asserts, and the severities that it has there."""

    name: str
    severities: dict[str, frozenset[str]]

    @property
    def binding(self) -> frozenset[str]:
        """The conditions that decide whether it passes; the others warn or inform."""
        return frozenset(name for name, found in self.severities.items() if found & BINDING)


def path(plan: str) -> Path:
    """The file of a plan."""
    return folder() / "oidf" / f"{plan}.md"


def modules(text: str) -> dict[str, Facts]:
    """The modules of a plan, in its order. ValueError for a text of another shape: nothing is skipped in silence."""
    parts = HEADING.split(text)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    common = [body for title, body in sections.items() if title.startswith(COMMON)]
    own = {title: body for title, body in sections.items() if not title.startswith(COMMON)}
    stated = re.search(r"; modules: (\d+)\.", parts[0])
    if len(common) != 1 or stated is None or int(stated[1]) != len(own) or not own:
        raise ValueError("not a plan: its modules are not as many as it says, or what they have in common is missing")
    return {name: _module(name, body, common[0]) for name, body in own.items()}


def _module(name: str, body: str, common: str) -> Facts:
    found: dict[str, frozenset[str]] = {}
    for match in CONDITION.finditer(body + common):
        severities = frozenset(match["severity"].split("/"))
        found[match["name"]] = found.get(match["name"], frozenset()) | severities
    return Facts(name, found)
