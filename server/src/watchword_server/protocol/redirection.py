"""Where an answer of the authorization endpoint may go (RFC 6749 §3.1.2, RFC 8252 §7.3, RFC 9700 §4.1)."""

from __future__ import annotations

import re
from collections.abc import Collection

_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]|localhost))(?::([0-9]{1,5}))?((?:[/?][^#]*)?)", re.ASCII)


def is_registered(registered: Collection[str], given: str, native: bool) -> bool:
    """Whether this redirect URI is one of the client's, compared as strings (RFC 9700 §2.1).

    A native program takes whichever port the system has free: on loopback the port is not compared (RFC 8252 §7.3).
    """
    if given in registered:
        return True
    if not native:
        return False
    place = _without_port(given)
    return place is not None and any(_without_port(uri) == place for uri in registered)


def _without_port(uri: str) -> tuple[str, str] | None:
    """Host and the rest of a loopback URI; None for any other, and for a port that is none."""
    found = _LOOPBACK.fullmatch(uri)
    if found is None or (found[2] is not None and not 0 < int(found[2]) < 65536):
        return None
    return found[1], found[3]
