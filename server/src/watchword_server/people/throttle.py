"""How long to wait after failed sign-ins: a delay that doubles, never a lock-out."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

FREE_FOR_ACCOUNT = 5
FREE_FOR_ADDRESS = 20
"""Failures before any waiting. An address has more, since many people may share one."""
LONGEST = 15 * 60
"""Seconds. A lock-out without end would let anybody lock anybody out."""
MEMORY = 60 * 60
"""Seconds without an attempt after which failures are forgotten."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Failures in a row, and when the last one was (seconds)."""

    failures: int
    last: float


def wait(tally: Tally | None, now: float, free: int) -> int:
    """Seconds until the next attempt is allowed; 0 when it is now."""
    if tally is None or forgotten(tally, now) or tally.failures < free:
        return 0
    # 2^20 seconds are beyond LONGEST already; the bound keeps the number small.
    delay = min(LONGEST, 1 << min(tally.failures - free, 20))
    return max(0, ceil(tally.last + delay - now))


def failed(tally: Tally | None, now: float) -> Tally:
    """One failure more."""
    if tally is None or forgotten(tally, now):
        return Tally(1, now)
    return Tally(tally.failures + 1, now)


def forgotten(tally: Tally, now: float) -> bool:
    """Whether nothing happened for so long that the slate is clean."""
    return now - tally.last >= MEMORY
