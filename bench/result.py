"""What a subject hands back: figures with their bounds, and a table that shows how they came about."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec


class Unmeasured(Exception):
    """A subject could not be measured; the message says why. It counts as a miss: nobody shall overlook it."""


class Figure(msgspec.Struct, frozen=True):
    """One number. Without a bound it only informs."""

    name: str
    value: float
    unit: str
    bound: float | None = None
    limit: Literal["at most", "at least"] = "at most"

    @property
    def missed(self) -> bool:
        """Whether there is a bound and the value is not within it; a value that is no number is not."""
        if self.bound is None:
            return False
        return not (self.value <= self.bound if self.limit == "at most" else self.value >= self.bound)


class Section(msgspec.Struct, frozen=True):
    """One subject's outcome. `table` has a header row; `notes` say how it was measured; `raw` holds all rounds.

    `plot` is an SVG, where there is one.
    """

    title: str
    figures: Sequence[Figure]
    table: Sequence[Sequence[str]] = ()
    notes: Sequence[str] = ()
    raw: Mapping[str, Sequence[float]] = {}
    failure: str = ""
    plot: str = ""

    @property
    def missed(self) -> bool:
        """Whether any bound was missed, or nothing could be measured."""
        return bool(self.failure) or any(figure.missed for figure in self.figures)


def median(values: Sequence[float]) -> float:
    """The middle of some rounds."""
    return statistics.median(values)


def spread(values: Sequence[float], digits: int) -> str:
    """`median (lowest to highest)`, for a table."""
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"
