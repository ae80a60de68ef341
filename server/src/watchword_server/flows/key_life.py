"""The life of a signing key, as rules: published and waiting, signing, retired but still published, gone.

For each use and algorithm there is always one key that waits. So a rotation, and an emergency even more, only ever
turns to a key that verifiers have known for a while.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from watchword_server.changes import StoredKey

ACCESS: Final = "access"
FEED: Final = "feed"
USES: Final = (ACCESS, FEED)

MOST_PUBLISHED: Final = 56 * 1024
"""Bytes of a key set beyond which nothing is rotated: others read 64 KiB of it, and an emergency needs room too."""

State = Literal["next", "signing", "retired"]


@dataclass(frozen=True, slots=True)
class Kin:
    """The keys of one use and algorithm, oldest first. Times are seconds since 1970."""

    use: str
    alg: str
    keys: tuple[StoredKey, ...]

    def signing(self, now: int) -> StoredKey | None:
        """The key that signs at `now`."""
        return next((key for key in reversed(self.keys) if state(key, now) == "signing"), None)

    def waiting(self) -> StoredKey | None:
        """The key that is published and has not been called yet."""
        return next((key for key in self.keys if key.active_at is None and key.retired_at is None), None)

    def appointed(self) -> StoredKey | None:
        """The key that was called last: it signs until another is called, or will when its time has come."""
        return next((key for key in self.keys if key.active_at is not None and key.retired_at is None), None)

    def called(self, now: int) -> StoredKey | None:
        """The key that was called, and whose time has not come."""
        key = self.appointed()
        return key if key is not None and state(key, now) == "next" else None


def state(key: StoredKey, now: int) -> State:
    """Where it stands in its life; a key that is gone is not among those that are stored."""
    if key.retired_at is not None and key.retired_at <= now:
        return "retired"
    return "signing" if key.active_at is not None and key.active_at <= now else "next"


def kin(keys: Iterable[StoredKey], use: str, alg: str) -> Kin:
    """The keys of this use and algorithm."""
    return Kin(use, alg, tuple(key for key in keys if (key.use, key.alg) == (use, alg)))


def families(keys: Sequence[StoredKey]) -> tuple[Kin, ...]:
    """All keys by use and algorithm, those left out of which none signs or will."""
    return tuple(one for one in _kins(keys) if one.appointed())


def able(keys: Sequence[StoredKey], use: str, now: int) -> dict[str, StoredKey]:
    """Who signs at `now`, by algorithm."""
    found = {one.alg: (one.signing(now), one.appointed()) for one in families(keys) if one.use == use}
    begun = {alg: signing for alg, (signing, _) in found.items() if signing}
    # Where nobody's time has come, this machine's clock lags behind the one that called the first key.
    return begun or {alg: appointed for alg, (_, appointed) in found.items() if appointed}


def able_at_once(keys: Sequence[StoredKey], use: str, now: int) -> dict[str, StoredKey]:
    """Who signs at `now`, by algorithm, what is read by who looks for an unknown `kid`: else the next of its kin."""
    found = {one.alg: one.signing(now) or one.appointed() or one.waiting() for one in _kins(keys) if one.use == use}
    return {alg: key for alg, key in found.items() if key}


def next_turn(keys: Iterable[StoredKey], now: int) -> int | None:
    """When another key begins or ceases to sign; None while nothing is arranged."""
    times = [at for key in keys for at in (key.active_at, key.retired_at) if at is not None and at > now]
    return min(times, default=None)


def is_due(family: Kin, now: int, rotate_every: int, publish_ahead: int) -> bool:
    """Whether its key has signed long enough, and its successor been published for long enough."""
    signing, waiting = family.signing(now), family.waiting()
    if signing is None or waiting is None or signing.active_at is None or family.called(now):
        return False
    return now >= signing.active_at + rotate_every and now >= waiting.created_at + publish_ahead


def has_room(keys: Iterable[StoredKey], use: str) -> bool:
    """Whether one more key may be published. Their number is bounded by the settings, unless those have changed."""
    return sum(len(key.public) + 1 for key in keys if key.use == use) <= MOST_PUBLISHED


def gone_at(key: StoredKey, lifetime: int) -> int | None:
    """When every token that the key signed has expired. `lifetime` includes what clocks may be apart."""
    return None if key.retired_at is None else key.retired_at + lifetime


def _kins(keys: Sequence[StoredKey]) -> tuple[Kin, ...]:
    return tuple(kin(keys, use, alg) for use, alg in sorted({(key.use, key.alg) for key in keys}))
