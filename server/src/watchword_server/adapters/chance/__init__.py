"""Random bytes from the system, drawn in blocks."""

from __future__ import annotations

import os
from typing import Final

BLOCK: Final = 4096
"""Bytes of one draw."""


class Chance:
    """A `ports.Random` for one thread: each trip to the system lets go of the interpreter's lock, and a busy server
    would stand in line for it once a token. No byte is given out twice, not even after a fork.
    """

    def __init__(self) -> None:
        self._block = b""
        self._at = 0
        os.register_at_fork(after_in_child=self._forget)

    def __call__(self, size: int) -> bytes:
        """That many random bytes."""
        end = self._at + size
        if end > len(self._block):
            self._block, end = os.urandom(max(BLOCK, size)), size  # never fewer than were asked for
        start, self._at = end - size, end
        return self._block[start:end]

    def _forget(self) -> None:
        self._block, self._at = b"", 0
