"""Why Redis cannot be used, in words of our own: what it says is never repeated, for some servers echo passwords."""

from __future__ import annotations

import ssl
from typing import Final

from redis import exceptions as of

# fmt: off
REASONS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (of.AuthenticationError,       "it refuses the user or the password of redis.url"),
    (of.AuthorizationError,        "it refuses the user or the password of redis.url"),
    (of.NoPermissionError,         "its access list forbids what Watchword asks"),
    (of.OutOfMemoryError,          "it is full, and set to evict nothing"),
    (of.ReadOnlyError,             "it is a replica, which takes no writes"),
    (of.BusyLoadingError,          "it is still loading its data"),
    (of.MaxConnectionsError,       "it takes no more connections"),
    (of.TimeoutError,              "it does not answer in time"),
    (TimeoutError,                 "it does not answer in time"),
    (ssl.SSLCertVerificationError, "its certificate is not that of a host that is trusted here"),
    (of.ConnectionError,           "it cannot be reached"),
    (OSError,                      "it cannot be reached"),
    (of.ResponseError,             "it answers with an error"),
)
# fmt: on
"""The first that fits counts."""


def reason(error: BaseException) -> str:
    """Why Redis was lost."""
    if isinstance(error.__context__, ssl.SSLError):
        error = error.__context__
    words = next((words for kind, words in REASONS if isinstance(error, kind)), "it does not speak as Redis does")
    return f"{words} ({type(error).__name__})"
