"""Dots on a logarithmic axis, a row for each algorithm, as SVG that reads on light pages and on dark ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Final
from xml.sax.saxutils import escape

Rows = Mapping[str, Mapping[str, float]]
"""Microseconds by row and contestant."""

CAPTION: Final = "µs a token, logarithmic: less is better. Rings: on Node."
WIDTH, LEFT, RIGHT = 880, 66, 30
LEGEND_LINE, LEGEND_CELL = 24, 122
ROW, FOOT = 24, 44

# fmt: off
INKS: Final = {
    #         light      dark
    "page":  ("#ffffff", "#0d1117"),
    "band":  ("#f6f8fa", "#151b23"),
    "line":  ("#d1d9e0", "#3d444d"),
    "soft":  ("#59636e", "#9198a1"),
    "ink":   ("#1f2328", "#f0f6fc"),
    "ours":  ("#0969da", "#4493f8"),
    "a":     ("#b35900", "#f0883e"),
    "b":     ("#1a7f37", "#3fb950"),
    "c":     ("#8250df", "#bc8cff"),
    "d":     ("#cf222e", "#ff7b72"),
    "e":     ("#0a7b83", "#39c5cf"),
    "f":     ("#bf3989", "#f778ba"),
    "g":     ("#7d6608", "#e3b341"),
    "h":     ("#40506b", "#a5b4cf"),
}
# fmt: on
PEERS: Final = ("a", "b", "c", "d", "e", "f", "g", "h")


@dataclass(frozen=True, slots=True)
class Mark:
    """How a contestant is drawn."""

    shape: str
    ink: str

    def at(self, x: float, y: float, says: str) -> str:
        """The mark, and what it says under the pointer."""
        title = f"<title>{escape(says)}</title>"
        match self.shape:
            case "bar":
                return (
                    f'<rect class="{self.ink}" x="{x - 1.5:.1f}" y="{y - 9:.1f}" width="3" height="18">{title}</rect>'
                )
            case "large":
                return f'<circle class="{self.ink}" cx="{x:.1f}" cy="{y:.1f}" r="7">{title}</circle>'
            case "ring":
                look = 'r="4.5" fill-opacity="0" stroke-width="2"'
                return f'<circle class="{self.ink}" cx="{x:.1f}" cy="{y:.1f}" {look}>{title}</circle>'
        return f'<circle class="{self.ink}" cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill-opacity="0.85">{title}</circle>'


def dots(title: str, rows: Rows, floor: str, ours: str, elsewhere: Sequence[str]) -> str:
    """The plot: `floor` as a bar, `ours` as the large dot on top, `elsewhere` as rings, all others as dots."""
    names = list(dict.fromkeys(name for times in rows.values() for name in times))
    marks = _marks(names, floor, ours, elsewhere)
    ticks = _ticks([value for times in rows.values() for value in times.values()])
    top = LEGEND_LINE * math.ceil(len(marks) / _per_line()) + 16
    height = top + ROW * len(rows) + FOOT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{_style()}</style>",
        f'<rect class="page" width="{WIDTH}" height="{height}"/>',
        *_legend(marks),
        *_axis(ticks, top, len(rows)),
    ]
    for number, (label, times) in enumerate(rows.items()):
        parts += _row(label, times, top + ROW * (number + 0.5), ticks, marks)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _marks(names: Sequence[str], floor: str, ours: str, elsewhere: Sequence[str]) -> dict[str, Mark]:
    """In the order in which they are drawn: what matters comes last, on top."""
    inks = cycle(PEERS)
    peers = {
        name: Mark("ring" if name in elsewhere else "dot", next(inks)) for name in names if name not in (floor, ours)
    }
    return {**peers, floor: Mark("bar", "ink"), ours: Mark("large", "ours")}


def _ticks(values: Sequence[float]) -> list[float]:
    """1, 2, 5, 10, 20 ..., from the last that no value is below to the first that all are below."""
    steps = [digit * 10.0**power for power in range(-2, 7) for digit in (1, 2, 5)]
    lowest = max(step for step in steps if step <= min(values))
    highest = min(step for step in steps if step > max(values))
    return [step for step in steps if lowest <= step <= highest]


def _x(value: float, ticks: Sequence[float]) -> float:
    share = math.log(value / ticks[0]) / math.log(ticks[-1] / ticks[0])
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _per_line() -> int:
    return (WIDTH - LEFT) // LEGEND_CELL


def _legend(marks: Mapping[str, Mark]) -> Iterator[str]:
    names = [*list(marks)[-2:], *list(marks)[:-2]]
    for number, (name, mark) in enumerate((name, marks[name]) for name in names):
        line, cell = divmod(number, _per_line())
        x, y = LEFT + LEGEND_CELL * cell, 18 + LEGEND_LINE * line
        yield mark.at(x, y, name)
        yield f'<text class="ink" x="{x + 13}" y="{y + 4}">{escape(name)}</text>'


def _axis(ticks: Sequence[float], top: int, rows: int) -> Iterator[str]:
    bottom = top + ROW * rows
    for number in range(0, rows, 2):
        yield f'<rect class="band" y="{top + ROW * number}" width="{WIDTH}" height="{ROW}"/>'
    for tick in ticks:
        x = _x(tick, ticks)
        yield f'<path class="line" d="M{x:.1f} {top}V{bottom}"/>'
        yield f'<text class="soft" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{tick:,g}</text>'
    yield f'<text class="soft" x="{LEFT}" y="{bottom + 34}">{CAPTION}</text>'


def _row(
    label: str, times: Mapping[str, float], y: float, ticks: Sequence[float], marks: Mapping[str, Mark]
) -> Iterator[str]:
    yield f'<text class="ink" x="{LEFT - 10}" y="{y + 4.5:.1f}" text-anchor="end">{escape(label)}</text>'
    for name, mark in marks.items():
        if name in times:
            yield mark.at(_x(times[name], ticks), y, f"{label}, {name}: {times[name]:,.1f} µs")


def _style() -> str:
    light = "".join(_ink(name, inks[0]) for name, inks in INKS.items())
    dark = "".join(_ink(name, inks[1]) for name, inks in INKS.items())
    return f"text {{ font: 13px system-ui, sans-serif; }}\n{light}@media (prefers-color-scheme: dark) {{\n{dark}}}\n"


def _ink(name: str, colour: str) -> str:
    """Letters and areas are filled; only lines and rings have a stroke."""
    return f".{name} {{ fill: {colour}; }} circle.{name}, path.{name} {{ stroke: {colour}; }}\n"
