"""Watchword: verify tokens beside your API, and refuse within a second what was taken back.

`Verifier` turns an access token into a `Principal` or a typed refusal. See docs/guides for more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchword.errors import CannotDecide, InsufficientScope, InvalidToken, WatchwordError

if TYPE_CHECKING:
    from watchword.policy import Principal
    from watchword.verifier import Verifier

__all__ = ["CannotDecide", "InsufficientScope", "InvalidToken", "Principal", "Verifier", "WatchwordError"]


def __getattr__(name: str) -> object:
    """Load what needs cryptography only when it is asked for: importing the package is cheap (PEP 562)."""
    if name == "Verifier":
        from watchword.verifier import Verifier

        return Verifier
    if name == "Principal":
        from watchword.policy import Principal

        return Principal
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
