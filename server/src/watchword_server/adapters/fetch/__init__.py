"""The guarded fetcher: the one way to fetch, or bring something to, a URL that somebody else named.

The name is resolved once, every address is checked, and the connection goes to an address that was checked: a name
that answers differently the second time (DNS rebinding) is not asked a second time. TLS is verified for the name.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlencode

from watchword.wire.exchange import fresh_for
from watchword_server.adapters.fetch.addresses import LOOPBACK, Address, Network, address, is_public, within
from watchword_server.adapters.fetch.target import Target, target
from watchword_server.ports import Fetched, FetchFailed

if TYPE_CHECKING:
    import ssl

    import httpx2

WITHIN: Final = 5.0
"""Seconds for everything: the turn, the name, the connection, the answer."""
LIMIT: Final = 64 * 1024
"""Bytes that are read at most, where nobody asks for less."""
AT_ONCE: Final = 16
"""Fetches under way at the same time; the others wait their turn, within their seconds."""
BROUGHT_AT_ONCE: Final = 32
"""Forms under way: apart from fetches, so that who is slow to take a form keeps nobody waiting for a document."""
TAKEN: Final = (200, 204)
"""What says that a form was taken (OpenID Connect Back-Channel Logout §2.8)."""
HEADERS: Final = {"User-Agent": "watchword", "Accept": "application/json, */*;q=0.1", "Accept-Encoding": "identity"}

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host. Raises OSError."""

T = TypeVar("T")


async def resolve(host: str, port: int) -> Sequence[str]:
    """As the system resolves names, in its order."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(sockaddr[0]) for *_, sockaddr in found]


class GuardedFetcher:
    """Fetches; for all requests of a process.

    `local`: only this machine reaches the issuer, so this machine's addresses, and http to them, are allowed.
    `networks` are allowed for what an operator registered. `trust` replaces the certificates of the system; `within`
    is in seconds.
    """

    def __init__(
        self,
        *,
        local: bool,
        networks: Sequence[Network] = (),
        resolve: Resolve = resolve,
        trust: ssl.SSLContext | None = None,
        within: float = WITHIN,
    ) -> None:
        self._home: Sequence[Network] = LOOPBACK if local else ()
        self._networks = tuple(networks)
        self._resolve = resolve
        self._trust = trust
        self._within = within
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._errands = asyncio.Semaphore(BROUGHT_AT_ONCE)

    async def get(self, url: str, *, by_operator: bool, limit: int = LIMIT) -> Fetched:
        """The body of a 200, at most `limit` bytes, all of it within WITHIN. Raises FetchFailed."""
        wanted = target(url)
        async with self._in_time(wanted, self._turns):
            return await self._ask(wanted, await self._checked(wanted, by_operator), partial(_exchange, limit=limit))

    async def post(self, url: str, form: Mapping[str, str], *, by_operator: bool) -> None:
        """Bring a form there, all of it within WITHIN. Raises FetchFailed unless it was TAKEN."""
        wanted, body = target(url), urlencode(form).encode("ascii")
        async with self._in_time(wanted, self._errands):
            await self._ask(wanted, await self._checked(wanted, by_operator), partial(_bring, body=body))

    @asynccontextmanager
    async def _in_time(self, wanted: Target, turns: asyncio.Semaphore) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._within), turns:
                yield
        except TimeoutError as error:
            raise FetchFailed(f"{wanted.shown} did not answer within {self._within:g} s") from error

    async def _checked(self, wanted: Target, by_operator: bool) -> Sequence[Address]:
        """The addresses of the host, if all of them are allowed: one that is not is reason enough to doubt the rest."""
        try:
            found = [address(text) for text in dict.fromkeys(await self._resolve(wanted.host, wanted.port))]
        except (OSError, ValueError) as error:  # UnicodeError, of a label that is none, is a ValueError
            raise FetchFailed(f"{wanted.shown}: the name cannot be resolved") from error
        if not found:
            raise FetchFailed(f"{wanted.shown}: the name has no address")
        for one in found:
            self._must_be_allowed(wanted, one, by_operator)
        return found

    def _must_be_allowed(self, wanted: Target, one: Address, by_operator: bool) -> None:
        at_home = within(one, self._home)
        if wanted.scheme != "https" and not at_home:
            raise FetchFailed(f"{wanted.shown} is not https")
        if at_home or is_public(one) or (by_operator and within(one, self._networks)):
            return
        raise FetchFailed(
            f"{wanted.shown} is at {one}, which is not a public address; for what an operator registered, "
            "fetch.allowed_networks may list its network"
        )

    async def _ask(
        self,
        wanted: Target,
        found: Sequence[Address],
        exchange: Callable[[httpx2.AsyncClient, Target, Address], Awaitable[T]],
    ) -> T:
        """The first address that takes the connection."""
        http, trouble = await self._client(), ""
        import httpx2  # by now it is loaded, on a thread

        async with http:
            for one in found:
                try:
                    return await exchange(http, wanted, one)
                except httpx2.ConnectError as error:
                    trouble = str(error) or "connection refused"
                except httpx2.RemoteProtocolError as error:  # whose text has in it what the other side wrote
                    raise FetchFailed(f"{wanted.shown} failed: that was no HTTP, or not all of it") from error
                except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
                    raise FetchFailed(f"{wanted.shown} failed: {error or type(error).__name__}") from error
        raise FetchFailed(f"{wanted.shown} cannot be reached: {trouble}")

    async def _client(self) -> httpx2.AsyncClient:
        """A new one for each fetch: no cookie, connection or proxy outlives it or comes from elsewhere."""
        if self._trust is None:
            self._trust = await asyncio.to_thread(_system_trust)
        import httpx2

        return httpx2.AsyncClient(
            verify=self._trust, trust_env=False, follow_redirects=False, headers=HEADERS, timeout=httpx2.Timeout(None)
        )


async def _exchange(http: httpx2.AsyncClient, wanted: Target, one: Address, limit: int) -> Fetched:
    headers, extensions = {"Host": wanted.authority}, {"sni_hostname": wanted.host}
    async with http.stream("GET", wanted.at(one), headers=headers, extensions=extensions) as response:
        if response.status_code != 200:
            raise FetchFailed(f"{wanted.shown} answered {response.status_code}; redirects are not followed")
        if response.headers.get("content-encoding", "identity") != "identity":
            # What unpacks to a thousand times its size would pass every cap.
            raise FetchFailed(f"{wanted.shown} answered in an encoding that was not asked for")
        media_type = response.headers.get("content-type", "")
        return Fetched(await _read(response, wanted, limit), fresh_for(response.headers), media_type)


async def _bring(http: httpx2.AsyncClient, wanted: Target, one: Address, body: bytes) -> None:
    headers = {"Host": wanted.authority, "Content-Type": "application/x-www-form-urlencoded"}
    extensions = {"sni_hostname": wanted.host}
    async with http.stream("POST", wanted.at(one), headers=headers, content=body, extensions=extensions) as response:
        if response.status_code not in TAKEN:
            raise FetchFailed(f"{wanted.shown} answered {response.status_code}")


async def _read(response: httpx2.Response, wanted: Target, limit: int) -> bytes:
    pieces, size = [], 0
    async for piece in response.aiter_raw():
        size += len(piece)
        if size > limit:
            raise FetchFailed(f"{wanted.shown} answered with more than {limit} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def _system_trust() -> ssl.SSLContext:
    """The certificates that the system trusts. On a thread: it also loads the HTTP client, which takes a while."""
    import httpx2

    return httpx2.create_ssl_context(trust_env=True)
