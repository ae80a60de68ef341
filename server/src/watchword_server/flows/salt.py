"""The deployment's salt of pairwise subjects: another one would give everybody another `sub` there."""

from __future__ import annotations

from typing import Final

from watchword_server.flows.made_once import MadeOnce
from watchword_server.ports import Random, Stores

NAME: Final = "pairwise_salt"


class Salt:
    """Made once, by whoever needs it first."""

    def __init__(self) -> None:
        self._kept = MadeOnce(NAME)

    async def read(self, stores: Stores, random: Random) -> bytes:
        """The salt: 32 random bytes. Raises Unavailable."""
        return await self._kept.read(stores, random)
