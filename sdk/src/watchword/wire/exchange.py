"""One guarded exchange with the issuer: no redirects, TLS verified, a cap on the body, a time for the whole."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus

from watchword.errors import CannotDecide
from watchword.wire.metadata import MAX_DOCUMENT, is_local

if TYPE_CHECKING:
    import httpx2

CONNECT: Final = 5.0
"""Seconds until a connection must stand."""
IDLE: Final = 30.0
"""Seconds for which a connection that nobody uses is kept."""
HEADERS: Final = {"User-Agent": "watchword", "Accept-Encoding": "identity"}

_MAX_AGE: Final = re.compile(r'(?:^|[\s,])max-age="?([0-9]{1,9})"?(?=[\s,]|$)', re.IGNORECASE)
_SECONDS: Final = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Document:
    """What lies at an address, and for how many seconds more its server calls it fresh; None when it does not say."""

    body: bytes
    fresh_for: float | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered, whatever its status."""

    status: int
    body: bytes = field(repr=False)


def basic(credentials: tuple[str, str] | None) -> dict[str, str]:
    """The header for `client_secret_basic`; both halves are form-encoded first (RFC 6749 §2.3.1)."""
    if credentials is None:
        return {}
    pair = ":".join(quote_plus(half) for half in credentials)
    return {"Authorization": "Basic " + b64encode(pair.encode()).decode("ascii")}


def client(issuer: str) -> httpx2.AsyncClient:
    """A client for the background loop. Certificates are always verified, redirects never followed.

    Proxies of the environment are used, but not for an issuer on this machine, which they could not reach.
    """
    import httpx2  # loading it takes long, and offline use never needs it

    return httpx2.AsyncClient(
        headers=HEADERS,
        follow_redirects=False,
        timeout=httpx2.Timeout(None, connect=CONNECT),
        limits=httpx2.Limits(keepalive_expiry=IDLE),
        trust_env=not is_local(issuer),
    )


async def body_of(
    http: httpx2.AsyncClient,
    url: str,
    *,
    seconds: float,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    limit: int = MAX_DOCUMENT,
) -> bytes:
    """The body of a 200, at most `limit` bytes, all of it within `seconds`; a POST when there is a `form`.

    Raises CannotDecide with a message for the log for everything else.
    """
    return (await _exchange(http, url, seconds, headers, params, form, limit)).body


async def document_of(
    http: httpx2.AsyncClient, url: str, *, seconds: float, headers: Mapping[str, str] | None = None
) -> Document:
    """As `body_of`, with what the answer says of its age (RFC 9111 §4.2)."""
    return await _exchange(http, url, seconds, headers, None, None, MAX_DOCUMENT)


async def lines_of(
    http: httpx2.AsyncClient,
    url: str,
    *,
    seconds: float,
    more: float,
    headers: Mapping[str, str],
    params: Mapping[str, str],
    limit: int,
) -> AsyncGenerator[bytes, None]:
    """The lines of a 200, each at most `limit` bytes; the first within `seconds`, every other within `more`.

    Raises CannotDecide as `body_of` does. Has to be closed when it is not read to its end.
    """
    import httpx2

    try:
        async with (
            asyncio.timeout(seconds) as patience,
            http.stream("GET", url, headers=headers, params=params) as response,
        ):
            must_be_good(response)
            async for line in _lines(response, limit):
                patience.reschedule(None)  # the reader's own time does not count
                yield line
                patience.reschedule(asyncio.get_running_loop().time() + more)
    except TimeoutError as error:
        raise CannotDecide(f"{url} did not answer in time") from error
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise CannotDecide(f"{url} cannot be reached: {error or type(error).__name__}") from error


async def told(
    http: httpx2.AsyncClient, url: str, document: bytes, *, seconds: float, headers: Mapping[str, str]
) -> int:
    """The status of the answer to a JSON document. Raises CannotDecide when there is none within `seconds`."""
    import httpx2

    sent = {**headers, "Content-Type": "application/json"}
    try:
        async with asyncio.timeout(seconds), http.stream("POST", url, headers=sent, content=document) as response:
            await _read(response, MAX_DOCUMENT)  # to its end, or the connection could not be used again
            return response.status_code
    except TimeoutError as error:
        raise CannotDecide(f"{url} did not answer within {seconds:g} s") from error
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise CannotDecide(f"{url} cannot be reached: {error or type(error).__name__}") from error


async def reply_of(
    http: httpx2.AsyncClient,
    url: str,
    *,
    seconds: float,
    headers: Mapping[str, str],
    form: Mapping[str, str] | None = None,
) -> Reply:
    """As `body_of`, for who has to tell refusals apart. Raises CannotDecide when there is none within `seconds`."""
    import httpx2

    method = "GET" if form is None else "POST"
    try:
        async with asyncio.timeout(seconds), http.stream(method, url, headers=headers, data=form) as response:
            must_be_plain(response)
            return Reply(response.status_code, await _read(response, MAX_DOCUMENT))
    except TimeoutError as error:
        raise CannotDecide(f"{url} did not answer within {seconds:g} s") from error
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise CannotDecide(f"{url} cannot be reached: {error or type(error).__name__}") from error


async def _exchange(
    http: httpx2.AsyncClient,
    url: str,
    seconds: float,
    headers: Mapping[str, str] | None,
    params: Mapping[str, str] | None,
    form: Mapping[str, str] | None,
    limit: int,
) -> Document:
    import httpx2

    method = "GET" if form is None else "POST"
    try:
        async with (
            asyncio.timeout(seconds),
            http.stream(method, url, headers=headers, params=params, data=form) as response,
        ):
            must_be_good(response)
            return Document(await _read(response, limit), fresh_for(response.headers))
    except TimeoutError as error:
        raise CannotDecide(f"{url} did not answer within {seconds:g} s") from error
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise CannotDecide(f"{url} cannot be reached: {error or type(error).__name__}") from error


def must_be_good(response: httpx2.Response) -> None:
    """Raise CannotDecide unless the answer is a plain 200."""
    status = response.status_code
    if status in (401, 403):
        raise CannotDecide(
            f"{response.url.copy_with(query=None)} answered {status}: "
            "give the Verifier this API's credentials=(client_id, client_secret), or make the feed public at the issuer"
        )
    if status != 200:
        raise CannotDecide(f"{response.url.copy_with(query=None)} answered {status}")
    must_be_plain(response)


def must_be_plain(response: httpx2.Response) -> None:
    """Raise CannotDecide for a body that would have to be unpacked first."""
    if response.headers.get("content-encoding", "identity") != "identity":
        # What unpacks to a thousand times its size would pass every cap.
        raise CannotDecide(f"{response.url.copy_with(query=None)} answered in an encoding that was not asked for")


async def _read(response: httpx2.Response, limit: int) -> bytes:
    pieces, size = [], 0
    async for piece in response.aiter_raw():
        size += len(piece)
        _must_fit(response, size, limit)
        pieces.append(piece)
    return b"".join(pieces)


async def _lines(response: httpx2.Response, limit: int) -> AsyncIterator[bytes]:
    """The lines of a body, without their ends; what follows the last end as well, if anything does."""
    pieces: list[bytes] = []
    size = 0
    async for piece in response.aiter_raw():
        *ended, rest = piece.split(b"\n")
        for line in ended:
            pieces.append(line)
            _must_fit(response, size + len(line), limit)
            yield b"".join(pieces)
            pieces, size = [], 0
        pieces.append(rest)
        size += len(rest)
        _must_fit(response, size, limit)
    if size:
        yield b"".join(pieces)


def _must_fit(response: httpx2.Response, size: int, limit: int) -> None:
    if size > limit:
        raise CannotDecide(f"{response.url.copy_with(query=None)} answered with more than {limit} bytes")


def fresh_for(headers: Mapping[str, str]) -> float | None:
    """Seconds for which an answer may still be kept, `max-age` less `Age`; None when it does not say."""
    ages = [int(age) for age in _MAX_AGE.findall(headers.get("cache-control", ""))]
    if not ages:
        return None
    spent = headers.get("age", "0")
    # RFC 9111 §4.2.1: of several the strictest, since one of them is an error.
    return min(ages) - (int(spent) if _SECONDS.fullmatch(spent) else 0)
