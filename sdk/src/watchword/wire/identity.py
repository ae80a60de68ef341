"""Who a verifier is to its issuer: a process that holds revocations, and is waited for until it has them."""

from __future__ import annotations

import math
import os
import re
import secrets
import socket
from dataclasses import dataclass
from typing import Final

from watchword.errors import Misconfigured

LONGEST_NAME: Final = 64
"""Characters."""
_NAME: Final = re.compile(r"[ !#-\[\]-~]{1,64}")  # what a quoted string of HTTP needs no escapes for
_STRANGE: Final = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, by a random id of its own and a name for people. `refuse_after` is in seconds."""

    id: str
    name: str
    refuse_after: float

    @property
    def header(self) -> dict[str, str]:
        """The header of every request for the feed: the issuer keeps a lease by it (docs/feed.md)."""
        # Rounded up: the issuer must never think that we refuse earlier than we do.
        return {"Watchword-Verifier": f'{self.id}; name="{self.name}"; refuse-after={math.ceil(self.refuse_after)}'}


def identity(name: str | None, refuse_after: float) -> Identity:
    """A new identity; without a name, that of the machine and the process."""
    return Identity(secrets.token_urlsafe(16), name or _usual_name(), refuse_after)


def checked_name(name: str | None) -> str | None:
    """A name that may travel in a header. Raises Misconfigured."""
    if name is not None and not _NAME.fullmatch(name):
        raise Misconfigured(f"name is 1 to {LONGEST_NAME} printable ASCII characters, without quotes and backslashes")
    return name


def _usual_name() -> str:
    number = f"-{os.getpid()}"
    host = _STRANGE.sub("-", socket.gethostname()) or "host"
    return host[: LONGEST_NAME - len(number)] + number
