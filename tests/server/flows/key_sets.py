"""What APIs publish, as a fetcher finds it: a key set that can change, fail, or keep everybody waiting."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from watchword.jose.jwe import DecryptionKey
from watchword_server.ports import Fetched, FetchFailed

FIRST, SECOND = DecryptionKey.generate("ECDH-ES"), DecryptionKey.generate("ECDH-ES+A128KW", "X25519")
URL = "https://orders.example/jwks.json"


def document(*keys: Mapping[str, object]) -> bytes:
    """A key set."""
    return json.dumps({"keys": keys}).encode()


def _open() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


@dataclass
class Published:
    """A fetcher for which every URL holds the same set."""

    body: bytes = field(default_factory=lambda: document(FIRST.public_jwk()))
    fresh_for: float | None = None
    broken: str = ""
    gate: asyncio.Event = field(default_factory=_open)
    asked: list[str] = field(default_factory=list)

    async def get(self, url: str, *, by_operator: bool, limit: int = 65536) -> Fetched:
        """What `Fetcher` promises."""
        assert by_operator
        self.asked.append(url)
        await self.gate.wait()
        if self.broken:
            raise FetchFailed(self.broken)
        return Fetched(self.body, self.fresh_for)


async def soon(fact: Callable[[], bool], within: float = 5.0) -> None:
    """Wait for a fact while others go on."""
    async with asyncio.timeout(within):
        while not fact():
            await asyncio.sleep(0.001)
