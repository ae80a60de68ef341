"""How long to wait before trying again."""

from __future__ import annotations

import random
from typing import Final

SHORTEST: Final = 0.1
LONGEST: Final = 5.0
EASED: Final = 0.5


class BackOff:
    """Exponential waits with full jitter, in seconds: a thousand verifiers do not come back as one."""

    __slots__ = ("_bound",)

    def __init__(self) -> None:
        self._bound = SHORTEST

    def next(self) -> float:
        """The next wait, anywhere between nothing and a bound that doubles from SHORTEST to LONGEST."""
        bound, self._bound = self._bound, min(2 * self._bound, LONGEST)
        return bound * random.random()  # noqa: S311  # spreads load, hides nothing

    def reset(self) -> None:
        """It went well: start from the shortest wait again."""
        self._bound = SHORTEST

    def ease(self) -> None:
        """It went well, but not for long: wait EASED at most, so that who hangs up at once is not asked without end."""
        self._bound = min(self._bound, EASED)
