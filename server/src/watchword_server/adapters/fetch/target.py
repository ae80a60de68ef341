"""A URL taken apart once: what is checked is what is connected to, and no second parser has a say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from watchword_server.adapters.fetch.addresses import Address
from watchword_server.ports import FetchFailed

MAX_URL: Final = 2048

# RFC 3986 §2 in ASCII; no user, no fragment, and no `\`, which some parsers take for a slash.
_URL: Final = re.compile(r"(https?)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?([/?][!$-;=?-\[\]_a-z~]*)?")
_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect, and what to ask for there."""

    scheme: str
    host: str
    """A name or an address, without brackets, in lower case."""
    authority: str
    """As it stands in the Host header."""
    port: int
    path: str
    """With its query."""

    @property
    def shown(self) -> str:
        """For logs and messages: without a query, in which somebody may have put a secret."""
        return f"{self.scheme}://{self.authority}{self.path.partition('?')[0]}"

    def at(self, one: Address) -> str:
        """The URL that leads to this address and to no other."""
        host = f"[{one}]" if one.version == 6 else str(one)
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def target(url: str) -> Target:
    """The parts of a URL. Raises FetchFailed for what is none, names a user, or is spelled so that parsers differ."""
    found = _URL.fullmatch(url) if len(url) <= MAX_URL else None
    if found is None:
        raise FetchFailed("not an http or https URL, or one with a user, a fragment or unusual characters")
    scheme, bracketed, colon_port, path = found.groups()
    host = bracketed.strip("[]").lower()
    port = int(colon_port[1:]) if colon_port else _PORTS[scheme]
    if not 0 < port < 65536 or urlsplit(url).hostname != host:
        raise FetchFailed("not an http or https URL with a host and a port")
    authority = bracketed.lower() + (colon_port or "")
    whole = path or "/"
    return Target(scheme, host, authority, port, whole if whole[0] == "/" else f"/{whole}")
