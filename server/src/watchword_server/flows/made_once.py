"""What a deployment makes for itself once, whichever process needs it first, and never changes."""

from __future__ import annotations

from typing import Final

from watchword_server.changes import Add
from watchword_server.ports import Conflict, Random, Stores
from watchword_server.protocol.values import DeploymentSecret

LENGTH: Final = 32


class MadeOnce:
    """Reads it once a process."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._value: bytes | None = None

    async def read(self, stores: Stores, random: Random) -> bytes:
        """32 random bytes, the same in every process. Raises Unavailable."""
        if self._value is None:
            found = await stores.secrets.find(self._name)
            self._value = found.value if found else await _made(self._name, stores, random)
        return self._value


async def _made(name: str, stores: Stores, random: Random) -> bytes:
    secret = DeploymentSecret(name, random(LENGTH))
    try:
        await stores.journal.save(Add(secret))
    except Conflict:  # another process was faster, and may have used what it made
        found = await stores.secrets.find(name)
        if found is None:
            raise
        return found.value
    return secret.value
