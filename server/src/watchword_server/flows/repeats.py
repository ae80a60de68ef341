"""Programs ask for the same token again and again: what was decided for the same request, while nothing changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MOST: Final = 4096
"""Requests that are remembered before all are forgotten."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What a client_credentials request was found to deserve. `scope` is as in the token.

    `alg` is what the API or the client chose.
    """

    client_id: str
    audience: str
    scope: str
    alg: str | None


class Repeats:
    """Decisions by the SHA-256 of what was sent, credentials included, so that no secret is kept.

    They hold under one `Head.state`: whatever changes a client, an API or a key makes all of them forgotten.
    """

    def __init__(self) -> None:
        self._state = -1
        self._known: dict[bytes, Decided] = {}

    def recall(self, sent: bytes, state: int) -> Decided | None:
        """What was decided for these bytes under this state."""
        return self._known.get(sent) if state == self._state else None

    def learn(self, sent: bytes, state: int, decided: Decided) -> None:
        """Remember a decision; `state` is the one that it was made on."""
        if state != self._state or len(self._known) >= MOST:
            self._state, self._known = state, {}
        self._known[sent] = decided
