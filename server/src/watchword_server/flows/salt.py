"""The deployment's salt of pairwise subjects: made once, by whoever needs it first, and never changed."""

from __future__ import annotations

from typing import Final

from watchword_server.changes import Add
from watchword_server.ports import Conflict, Random, Stores
from watchword_server.protocol.values import DeploymentSecret

NAME: Final = "pairwise_salt"
LENGTH: Final = 32


class Salt:
    """Reads it once. Another one would give every person another `sub` at every pairwise client."""

    def __init__(self) -> None:
        self._value: bytes | None = None

    async def read(self, stores: Stores, random: Random) -> bytes:
        """The salt: 32 random bytes. Raises Unavailable."""
        if self._value is None:
            found = await stores.secrets.find(NAME)
            self._value = found.value if found else await _made(stores, random)
        return self._value


async def _made(stores: Stores, random: Random) -> bytes:
    secret = DeploymentSecret(NAME, random(LENGTH))
    try:
        await stores.journal.save(Add(secret))
    except Conflict:  # another process was faster, and people may be known by its salt already
        found = await stores.secrets.find(NAME)
        if found is None:
            raise
        return found.value
    return secret.value
