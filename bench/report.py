"""The outcome for people (Markdown, a table on the terminal) and for programs (JSON)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from bench import machine
from bench.machine import Machine, Moment
from bench.progress import say
from bench.result import Figure, Section, Unmeasured

QUIET: Final = 0.5
"""Load average up to which the machine counts as ours alone."""
PASS, MISS, INFORMS, FAILED = "pass", "**MISS**", "", "**not measured**"


class Report(msgspec.Struct, frozen=True):
    """One run, and the page that shows it."""

    page: str
    machine: Machine
    began: Moment
    ended: Moment
    sections: Sequence[Section]

    @property
    def missed(self) -> bool:
        """Whether any subject missed its bound or could not be measured."""
        return any(section.missed for section in self.sections)


def run(page: str, subjects: Sequence[tuple[str, Callable[[], Section]]]) -> Report:
    """Measure one subject after the other. One that cannot be measured does not keep the others from it."""
    began = machine.now()
    if began.load > QUIET:
        say(f"the machine is busy (load {began.load:.1f}): absolute figures will be worse than on a quiet one")
    sections = []
    for title, measure in subjects:
        say(f"{title} ...")
        sections.append(_attempt(title, measure))
    return Report(page, machine.describe(), began, machine.now(), sections)


def write(outcome: Report, folder: Path) -> None:
    """The page, its data and its plots as files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{outcome.page}.md").write_text(markdown(outcome), "utf-8")
    (folder / f"{outcome.page}.json").write_text(as_text(outcome), "utf-8")
    for section in outcome.sections:
        if section.plot:
            (folder / _plot_name(outcome, section)).write_text(section.plot, "utf-8")


def as_text(outcome: Report) -> str:
    """The run as indented JSON, without the plots, which show nothing more."""
    bare = replace(outcome, sections=[replace(section, plot="") for section in outcome.sections])
    return msgspec.json.format(msgspec.json.encode(bare)).decode()


def markdown(outcome: Report) -> str:
    """The run as a page."""
    parts = [*_header(outcome), *_overview(outcome)]
    for section in outcome.sections:
        parts += _section(outcome, section)
    return "\n".join(parts).rstrip() + "\n"


def _attempt(title: str, measure: Callable[[], Section]) -> Section:
    try:
        return measure()
    except Unmeasured as error:
        say(f"{title}: NOT MEASURED: {error}")
        return Section(title, [], failure=str(error))


def _header(outcome: Report) -> list[str]:
    here = outcome.machine
    libraries = ", ".join(f"{name} {version}" for name, version in here.libraries.items())
    stolen = machine.stolen_share(outcome.began, outcome.ended)
    return [
        f"# Benchmarks: {outcome.page}",
        "",
        "Written by `make bench`; the same run as data stands beside it as JSON. Ratios within one run carry over to",
        "other machines; absolute figures do not.",
        "",
        "| | |",
        "|---|---|",
        f"| run | {outcome.began.at} to {outcome.ended.at} |",
        f"| machine | {here.cpu}, {here.cores} cores, {here.memory_gib} GiB, {here.kernel} |",
        f"| load | {outcome.began.load:.1f} before, {outcome.ended.load:.1f} after; its host took {stolen:.0%} |",
        f"| yardstick | `sum(range(100_000))`: {outcome.began.yardstick:.1f} and {outcome.ended.yardstick:.1f} ms |",
        f"| Python | {here.python}, {here.openssl} |",
        f"| libraries | {libraries} |",
        "",
    ]


def _overview(outcome: Report) -> list[str]:
    lines = ["| what | measured | bound | verdict |", "|---|---:|---:|---|"]
    for section in outcome.sections:
        lines += [_row(figure) for figure in section.figures]
        if section.failure:
            lines.append(f"| {section.title} | | | {FAILED} |")
    return [*lines, ""]


def _row(figure: Figure) -> str:
    bound = "" if figure.bound is None else f"{figure.limit} {_number(figure.bound)} {figure.unit}"
    return f"| {figure.name} | {_number(figure.value)} {figure.unit} | {bound} | {_verdict(figure)} |"


def _verdict(figure: Figure) -> str:
    if figure.bound is None:
        return INFORMS
    return MISS if figure.missed else PASS


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 or float(value).is_integer() else f"{value:.2f}"


def _section(outcome: Report, section: Section) -> list[str]:
    lines = [f"## {section.title}", ""]
    if section.failure:
        return [*lines, f"Not measured: {section.failure}", ""]
    if section.plot:
        lines += [f"![{section.title}: the table below as a plot]({_plot_name(outcome, section)})", ""]
    if section.table:
        head, *rows = section.table
        lines += [_cells(head), "|---|" + "---:|" * (len(head) - 1), *map(_cells, rows), ""]
    return [*lines, *(f"- {note}" for note in section.notes), ""]


def _plot_name(outcome: Report, section: Section) -> str:
    return f"{outcome.page}-{section.title.split(',')[0].lower()}.svg"


def _cells(row: Sequence[str]) -> str:
    return f"| {' | '.join(row)} |"


WIDTH: Final = 78
"""Columns of a figure's name on the terminal."""


def summary(outcome: Report) -> str:
    """What a terminal shows at the end: one line a figure."""
    lines = []
    for section in outcome.sections:
        lines += [_line(figure) for figure in section.figures]
        if section.failure:
            lines.append(f"{section.title:{WIDTH}} NOT MEASURED: {section.failure}")
    return "\n".join(lines)


def _line(figure: Figure) -> str:
    verdict = _verdict(figure).strip("*").upper()
    bound = "" if figure.bound is None else f"{figure.limit} {_number(figure.bound)}"
    return f"{figure.name:{WIDTH}} {_number(figure.value):>9} {figure.unit:4} {bound:14} {verdict}".rstrip()
