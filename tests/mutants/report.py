"""The score, and the page that says why each mutant that lives may live."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Final

from tests.mutants.breed import Mutant
from tests.mutants.verdicts import Name, Verdict

EXPLAINED: Final = Path(__file__).with_name("explained.toml")


@dataclass(frozen=True)
class Reason:
    """Why some mutants may live."""

    title: str
    why: str
    mutants: Mapping[Name, str]
    """With a word on each, mostly none."""


@dataclass(frozen=True)
class Count:
    """One row of the score."""

    mutants: int
    killed: int
    timeouts: int
    explained: int
    alive: int
    """Survivors that nobody has explained."""

    @property
    def score(self) -> float:
        """Per cent of all mutants that a test noticed."""
        return 100 * (self.killed + self.timeouts) / self.mutants if self.mutants else 100.0


@dataclass(frozen=True)
class Outcome:
    """A run against what is explained."""

    rows: Mapping[str, Count]
    alive: Sequence[Mutant]
    """Survivors that nobody has explained."""
    needless: Sequence[Name]
    """Explained, but killed, or not there any more."""


def introduction(file: Path = EXPLAINED) -> str:
    """What the page says first."""
    return str(tomllib.loads(file.read_text("utf-8"))["introduction"]).strip()


def reasons(file: Path = EXPLAINED) -> list[Reason]:
    """What the file says. Raises KeyError for a mutant without all of its words."""
    groups = tomllib.loads(file.read_text("utf-8"))["reason"]
    return [Reason(one["title"], one["why"].strip(), dict(map(_explained, one["mutant"]))) for one in groups]


def _explained(said: Mapping[str, Any]) -> tuple[Name, str]:
    name = (said["module"], said.get("where", ""), said["before"], said["after"], said.get("turn", 1))
    return name, said.get("note", "")


def outcome(
    modules: Collection[str], mutants: Sequence[Mutant], verdicts: Mapping[Name, Verdict], known: Sequence[Reason]
) -> Outcome:
    """Count. A mutant without a verdict is alive."""
    names = {name for reason in known for name in reason.mutants}
    fates = {mutant.name: _fate(mutant.name, verdicts, names) for mutant in mutants}
    rows = {module: _count([fate for name, fate in fates.items() if name[0] == module]) for module in modules}
    needless = [name for name in names if name[0] in modules and fates.get(name) != "explained"]
    return Outcome(rows, [mutant for mutant in mutants if fates[mutant.name] == "alive"], sorted(needless))


def _fate(name: Name, verdicts: Mapping[Name, Verdict], explained: Collection[Name]) -> str:
    kind = verdicts[name].kind if name in verdicts else "survived"
    if kind != "survived":
        return kind
    return "explained" if name in explained else "alive"


def _count(fates: Sequence[str]) -> Count:
    kinds = Counter(fates)
    named = (kinds[kind] for kind in ("killed", "timeout", "explained", "alive"))
    return Count(len(fates) - kinds["none"], *named)


def summary(outcome: Outcome) -> str:
    """For the terminal: what lives without a reason, what is explained in vain, the score."""
    lines = [f"alive, not explained: {m.module}:{m.lines[0]} {m.where}\n{_entry(m)}" for m in outcome.alive]
    lines += [f"explained, but dead or gone: {name}" for name in outcome.needless]
    return "\n".join([*lines, *_table(outcome.rows)])


def page(outcome: Outcome, mutants: Sequence[Mutant]) -> str:
    """docs/mutants.md."""
    lines = {mutant.name: mutant.lines[0] for mutant in mutants}
    parts = [introduction(), "\n".join(_table(outcome.rows))]
    for reason in reasons():
        found = [_line(name, lines[name], note) for name, note in reason.mutants.items() if name in lines]
        parts += [f"## {reason.title}", reason.why, "\n".join(found)]
    return "\n\n".join(parts) + "\n"


def _entry(mutant: Mutant) -> str:
    """As explained.toml would hold it."""
    said: dict[str, object] = dict(zip(("module", "where", "before", "after"), mutant.name[:4], strict=True))
    if mutant.turn > 1:
        said["turn"] = mutant.turn
    words = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in said.items() if value]
    return "\n".join(["[[reason.mutant]]", *words])


def _line(name: Name, line: int, note: str) -> str:
    module, where, before, after, _ = name
    place = f"{module}:{line}" + (f" {where}" if where else "")
    return f"- {place}: ``{before}`` → ``{after}``" + (f" ({note})" if note else "")


def _table(rows: Mapping[str, Count]) -> list[str]:
    total = Count(*map(sum, zip(*map(astuple, rows.values()), strict=True)))
    lines = ["| module | mutants | killed | timeouts | explained | alive | score |", "|---|--:|--:|--:|--:|--:|--:|"]
    for name, row in {**rows, "**all**": total}.items():
        lines.append(f"| {name} | {' | '.join(map(str, astuple(row)))} | {row.score:.1f} % |")
    return lines
