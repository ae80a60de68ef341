"""Nonces for proofs of possession (RFC 9449 §8): made and known again by any node, and kept by none."""

from __future__ import annotations

from typing import Final

from watchword.dpop import Nonces as Sealed
from watchword_server.flows.made_once import MadeOnce
from watchword_server.ports import Random, Stores

NAME: Final = "dpop_nonce"


class Nonces:
    """Under one secret of the deployment."""

    def __init__(self) -> None:
        self._secret = MadeOnce(NAME)
        self._sealed: Sealed | None = None

    async def read(self, stores: Stores, random: Random) -> Sealed:
        """What makes them and knows them again. Raises Unavailable."""
        if self._sealed is None:
            self._sealed = Sealed(await self._secret.read(stores, random))
        return self._sealed
