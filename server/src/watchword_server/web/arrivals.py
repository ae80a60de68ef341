"""Who is calling, from where: address, program, request id."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import count
from typing import Final

from watchword_server.flows.issuer import Caller
from watchword_server.web.asgi import Header
from watchword_server.web.front import Network

Peer = tuple[str, int] | None
"""The other end of a connection."""

MAX_AGENT: Final = 256
"""Characters of a User-Agent that are kept."""
REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_current: ContextVar[Caller | None] = ContextVar("caller", default=None)


def now_answering(caller: Caller) -> None:
    """From here on, lines of the log are about this request."""
    _current.set(caller)


def current_facts() -> Mapping[str, str]:
    """What every line of the log says of the request that is being answered."""
    caller = _current.get()
    return {} if caller is None else {"request_id": caller.request_id, "address": caller.address}


class Arrivals:
    """Makes the Caller of a request. Forwarded headers count only behind these proxies."""

    def __init__(self, proxies: tuple[Network, ...]) -> None:
        self._proxies = proxies
        # Ids must differ between processes; nobody has to be unable to guess them.
        self._prefix = f"{secrets.token_hex(6)}-"
        self._numbers = count(1)

    def arrive(self, peer: Peer, headers: Iterable[Header]) -> Caller:
        """Who sends these headers from there."""
        address = peer[0] if peer else ""
        agent = forwarded = request_id = b""
        for name, value in headers:
            if name == b"user-agent":
                agent = value
            elif name == b"x-forwarded-for":
                forwarded = b",".join((forwarded, value)) if forwarded else value
            elif name == b"x-request-id":
                request_id = value
        given = ""
        if self._proxies and trusted(address, self._proxies):
            address = client_address(address, forwarded.decode("latin-1"), self._proxies)
            given = request_id.decode("latin-1")
        return Caller(address, printable(agent), given if REQUEST_ID.fullmatch(given) else self._next())

    def again(self, caller: Caller) -> Caller:
        """Who sent the very same bytes over the same connection again: the same, with another id of ours."""
        given = not caller.request_id.startswith(self._prefix)
        return Caller(caller.address, caller.agent, caller.request_id if given else self._next())

    def _next(self) -> str:
        return f"{self._prefix}{next(self._numbers):x}"


def client_address(peer: str, forwarded: str, proxies: tuple[Network, ...]) -> str:
    """The nearest address that is not a trusted proxy's, walking X-Forwarded-For from right to left.

    What is left of the first stranger was written by strangers. An entry that is no address ends the walk.
    """
    found = peer
    for address in _walk(forwarded):
        if address is None:
            break
        found = str(address)
        if not _inside(address, proxies):
            break
    return found


@lru_cache(1024)
def trusted(address: str, proxies: tuple[Network, ...]) -> bool:
    """Whether the peer is one of the proxies."""
    parsed = _parsed(address)
    return parsed is not None and _inside(parsed, proxies)


@lru_cache(1024)
def printable(agent: bytes) -> str:
    """A User-Agent that can stand in an audit row or a log."""
    return CONTROL.sub("", agent[: 4 * MAX_AGENT].decode("utf-8", "replace"))[:MAX_AGENT]


def _walk(forwarded: str) -> Iterator[IPv4Address | IPv6Address | None]:
    return (_parsed(entry.strip()) for entry in reversed(forwarded.split(",")))


def _inside(address: IPv4Address | IPv6Address, proxies: tuple[Network, ...]) -> bool:
    return any(address in network for network in proxies)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """An address, perhaps with a port; an IPv4 address in IPv6 clothes is IPv4."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
