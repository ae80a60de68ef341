"""What the handlers work with: the issuer, and how it is reached."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from typing import Final
from urllib.parse import urlsplit

from watchword_server.flows.issuer import Issuer
from watchword_server.web.pages.rendering import Pages

Network = IPv4Network | IPv6Network

MOST_WAITING: Final = 32
"""Requests that wait at once; each asks the database time and again."""


@dataclass(frozen=True, slots=True)
class Front:
    """One deployment as it meets the world."""

    issuer: Issuer
    clock: Callable[[], float]
    """Seconds since 1970."""
    pages: Pages
    ailment: Callable[[], Awaitable[str | None]]
    """Why this process cannot serve now; None when it can."""
    without: Callable[[], tuple[str, ...]] = tuple
    """What this process can do without, and does now."""
    trusted_proxies: tuple[Network, ...] = ()
    """Whose word on the client's address and the request id is taken."""
    cookie_domain: str | None = None
    """The domain of the access cookie; None binds it to this host."""
    log_requests: bool = False
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once this process is on its way out: what begins then is the last of its connection."""
    waiting: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, MOST_WAITING))
    """Seats for those who wait until a revocation is known."""

    @property
    def path(self) -> str:
        """The path of the issuer's URL, under which its endpoints stand: mostly empty."""
        return urlsplit(self.issuer.terms.issuer).path

    def now(self) -> int:
        """Whole seconds since 1970."""
        return int(self.clock())
