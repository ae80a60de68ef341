"""Whole verifiers, as an API has them, and how they are asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.sdk.minting import Mint
from watchword import Principal, Verifier
from watchword.errors import InvalidToken

ALGORITHMS: Final = ("ES256", "RS256", "EdDSA")
"""Whose keys are trusted; the attacks know those of all algorithms."""


@dataclass(frozen=True, slots=True)
class Judge:
    """A verifier, and who makes tokens that it accepts."""

    name: str
    verifier: Verifier
    mint: Callable[[], Mint]

    async def verdicts(self, token: Any) -> list[Principal | type[InvalidToken]]:
        """What it says to a token: asked from a thread, on a loop, and again, when it may remember."""
        return [self.blocking(token), await self.awaiting(token), self.blocking(token)]

    def blocking(self, token: Any) -> Principal | type[InvalidToken]:
        """The verdict of `verify_sync`. Whatever is no InvalidToken comes out and is a failure."""
        try:
            return self.verifier.verify_sync(token)
        except InvalidToken as refusal:
            return type(refusal)

    async def awaiting(self, token: Any) -> Principal | type[InvalidToken]:
        """The verdict of `verify`."""
        try:
            return await self.verifier.verify(token)
        except InvalidToken as refusal:
            return type(refusal)
