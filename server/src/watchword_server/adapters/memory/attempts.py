"""Failed sign-ins, counted by account and by address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from watchword_server.people.throttle import FREE_FOR_ACCOUNT, FREE_FOR_ADDRESS, Tally, failed, wait

REMEMBERED: Final = 100_000
"""Keys; beyond, the one that was quiet for longest is forgotten."""


class Attempts:
    """Tallies in memory. No method lets go of the event loop, so each is atomic."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._tallies: dict[str, Tally] = {}

    async def begin(self, keys: Sequence[str], now: float) -> int:
        """Seconds to wait, or 0: then this attempt counts as failed. The first key is the account."""
        pause = max((wait(self._tallies.get(key), now, _free(n)) for n, key in enumerate(keys)), default=0)
        if not pause:
            for key in keys:
                self._put(key, failed(self._tallies.pop(key, None), now))
        return pause

    async def succeed(self, keys: Sequence[str]) -> None:
        """Forget the account's failures and take this attempt back from the others."""
        account, *others = keys
        self._tallies.pop(account, None)
        await self.take_back(others)

    async def take_back(self, keys: Sequence[str]) -> None:
        """This attempt never was one."""
        for key in keys:
            tally = self._tallies.get(key)
            if tally is not None and tally.failures > 1:
                self._tallies[key] = Tally(tally.failures - 1, tally.last)
            else:
                self._tallies.pop(key, None)

    def _put(self, key: str, tally: Tally) -> None:
        """As the youngest of all; dicts keep the order in which keys came."""
        self._tallies[key] = tally
        if len(self._tallies) > self._remembered:
            del self._tallies[next(iter(self._tallies))]


def _free(position: int) -> int:
    return FREE_FOR_ACCOUNT if position == 0 else FREE_FOR_ADDRESS
