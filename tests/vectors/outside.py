"""The vectors of others, read as data and never copied here; docs/vectors.md says which and where to get them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]
Report = Callable[[str, object], None]
"""pytest's `record_property`."""

PAGE = Path(__file__).parents[2] / "docs" / "vectors.md"


@dataclass(frozen=True, slots=True)
class Case:
    """One case of Wycheproof and the group, with its keys, that it stands in."""

    group: Json
    test: Json

    @property
    def number(self) -> int:
        return int(self.test["tcId"])

    @property
    def valid(self) -> bool:
        return bool(self.test["result"] == "valid")

    @property
    def token(self) -> str:
        """As it would arrive: a JSON serialization as its text, and no token at all as the empty one."""
        token = self.test["jws"] if "jws" in self.test else self.test["jwe"]
        return token if isinstance(token, str) else json.dumps(token) if token else ""


def wycheproof(folder: Path, name: str) -> list[Case]:
    """Every case of a file, and as many as the file says that it has."""
    document = json.loads((folder / "wycheproof" / f"{name}.json").read_text())
    cases = [Case(group, test) for group in document["testGroups"] for test in group["tests"]]
    assert len(cases) == len({case.number for case in cases}) == document["numberOfTests"]
    return cases


def cookbook(folder: Path) -> dict[str, Json]:
    """The files of the cookbook of RFC 7520 by their paths up to the first dot: `jws/4_1`, `jwe/5_13`, `6`."""
    root = folder / "cookbook"
    paths = [path for path in sorted(root.rglob("*.json")) if path.name != "package.json"]
    found = {str(path.relative_to(root)).partition(".")[0]: json.loads(path.read_text()) for path in paths}
    assert len(found) == len(paths)
    return found


def rfc_examples(folder: Path) -> list[Json]:
    cases: list[Json] = json.loads((folder / "rfc_examples.json").read_text())["cases"]
    return cases


def count(what: str, total: int, differing: Iterable[Case], note: str = "") -> str:
    """The line that is printed: how many cases there are, how many agree, and which do not."""
    odd = list(differing)
    refused = runs(case.number for case in odd if case.valid)
    accepted = runs(case.number for case in odd if not case.valid)
    parts = [f"{what}: {total} cases, {total - len(odd)} agree, {len(odd)} differ"]
    parts += [f"called valid and refused: {refused}"] if refused else []
    parts += [f"called invalid and accepted: {accepted}"] if accepted else []
    return "; ".join(parts + ([note] if note else []))


def runs(numbers: Iterable[int]) -> str:
    """Numbers in rising order, neighbours as `from-to`."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    return " ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in found)


def surprises(differing: Iterable[Case], table: Mapping[int, str]) -> dict[int, str]:
    """Cases that differ without a row in the table, and rows of the table that no longer differ. Should be none."""
    odd = {case.number: f"{case.test['result']}, but not with us: {case.test['comment']}" for case in differing}
    unexplained = {number: said for number, said in odd.items() if number not in table}
    return unexplained | {number: f"agrees, but has a row: {why}" for number, why in table.items() if number not in odd}


def say(report: Report, line: str) -> None:
    """Have a count printed after the tests (tests/conftest.py does); the page on vectors must say the same."""
    report("vectors", line)
    assert line in PAGE.read_text().splitlines(), f"docs/vectors.md says otherwise than: {line}"
