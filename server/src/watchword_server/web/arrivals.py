"""Who is calling, from where: address, program, request id."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
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
Arrive = Callable[[Peer, Iterable[Header]], Caller]

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


def arrivals(proxies: tuple[Network, ...]) -> Arrive:
    """A function that makes the Caller of a request. Forwarded headers count only behind these proxies."""
    prefix = secrets.token_hex(6)  # ids must differ between processes; nobody has to be unable to guess them
    numbers = count(1)

    def arrive(peer: Peer, headers: Iterable[Header]) -> Caller:
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
        if proxies and trusted(address, proxies):
            address = client_address(address, forwarded.decode("latin-1"), proxies)
            given = request_id.decode("latin-1")
        known = given if REQUEST_ID.fullmatch(given) else f"{prefix}-{next(numbers):x}"
        return Caller(address, printable(agent), known)

    return arrive


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
