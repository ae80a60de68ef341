"""What looking a database over finds, whichever it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found; `newest` is in seconds since 1970."""

    place: str
    integrity: str
    revision: str
    expected_revision: str
    writable: str
    newest: float | None
    risks: tuple[str, ...]
    """What could lose an acknowledged commit, or let others read it."""
    migrates_itself: bool
