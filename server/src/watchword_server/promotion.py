"""What a promotion from SQLite to PostgreSQL says of itself, as values."""

from __future__ import annotations

from typing import Literal

import msgspec


class PromotionStep(msgspec.Struct, frozen=True):
    """Where a promotion stands. Where it copies: at `table`, with `done` of about `total` rows of all tables."""

    stage: Literal["prepare", "copy", "index", "compare", "follow", "cut"]
    table: str = ""
    done: int = 0
    total: int = 0


class Promoted(msgspec.Struct, frozen=True):
    """A deployment that has moved. `pause` is for how long nobody could write; both times are in seconds.

    `resumed`: it had been completed before by a process that could not say so, and nothing is known of its times.
    """

    place: str
    log: str
    seq: int
    rows: int
    seconds: float = 0.0
    pause: float = 0.0
    resumed: bool = False


class NotPromoted(Exception):
    """Nothing has moved; the message says why and what to do."""
