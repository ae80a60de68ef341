"""A reason why a module does not assert a condition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.stories.oidf.module import End

ANYWHERE: Final = frozenset(End)


@dataclass(frozen=True)
class Excuse:
    """A reason, and the conditions that it is good for in modules with one of these ends."""

    why: str
    conditions: frozenset[str]
    ends: frozenset[End] = ANYWHERE
    refused: bool = False
    """Good only where something is refused for not being supported."""
    mode: str = ""
    """Good only where answers come by this response mode."""
    plan: str = ""
    """Good only in this plan."""
