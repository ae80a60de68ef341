"""One guarded exchange with the issuer: no redirects, TLS verified, a cap on the body, a time for the whole."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus

from watchword.errors import CannotDecide
from watchword.wire.metadata import MAX_DOCUMENT, is_local

if TYPE_CHECKING:
    import httpx2

CONNECT: Final = 5.0
"""Seconds until a connection must stand."""
HEADERS: Final = {"User-Agent": "watchword", "Accept-Encoding": "identity"}


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
    import httpx2

    method = "GET" if form is None else "POST"
    try:
        async with (
            asyncio.timeout(seconds),
            http.stream(method, url, headers=headers, params=params, data=form) as response,
        ):
            must_be_good(response)
            return await _read(response, limit)
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
    if response.headers.get("content-encoding", "identity") != "identity":
        # What unpacks to a thousand times its size would pass every cap.
        raise CannotDecide(f"{response.url.copy_with(query=None)} answered in an encoding that was not asked for")


async def _read(response: httpx2.Response, limit: int) -> bytes:
    pieces, size = [], 0
    async for piece in response.aiter_raw():
        size += len(piece)
        if size > limit:
            raise CannotDecide(f"{response.url.copy_with(query=None)} answered with more than {limit} bytes")
        pieces.append(piece)
    return b"".join(pieces)
