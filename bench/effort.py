"""How long to measure: enough for figures to write down, or just long enough to see that all works."""

from __future__ import annotations

from enum import Enum


class Effort(Enum):
    """The share of the full rounds that is run."""

    FULL = 1.0
    QUICK = 0.1

    def rounds(self, full: int) -> int:
        """How many of `full` rounds; at least three, or a median says nothing."""
        return max(round(full * self.value), 3)
