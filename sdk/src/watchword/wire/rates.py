"""How often something may be asked that anybody can cause: so many times a second, and a few more at once."""

from __future__ import annotations

from collections.abc import Callable


class Allowance:
    """Refills at `rate` a second up to `burst`. `take` is for one thread, `is_left` for any."""

    __slots__ = ("_at", "_burst", "_left", "_monotonic", "_rate")

    def __init__(self, rate: float, burst: float, monotonic: Callable[[], float]) -> None:
        self._rate, self._burst, self._monotonic = rate, burst, monotonic
        self._left, self._at = burst, monotonic()

    def is_left(self) -> bool:
        """Whether `take` would succeed now."""
        return self._now(self._monotonic()) >= 1

    def take(self) -> bool:
        """Use one, if there is one."""
        now = self._monotonic()
        left = self._now(now)
        if left < 1:
            return False
        self._left, self._at = left - 1, now
        return True

    def _now(self, now: float) -> float:
        return min(self._burst, self._left + max(0.0, now - self._at) * self._rate)
