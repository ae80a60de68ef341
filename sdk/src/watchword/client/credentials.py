"""ClientCredentials: gives httpx2 clients, sync and async, a token that is always good."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Final

import httpx2

from watchword.client.grant import Answer, Ask, Flow, Grant, Granted, obtain
from watchword.client.proving import Prover
from watchword.client.purse import Errand, Purse
from watchword.client.sending import is_refused, may_be_repeated, must_be_for, wants_nonce, with_token
from watchword.dpop import ProofKey
from watchword.errors import CannotDecide, Misconfigured
from watchword.wire.exchange import HEADERS
from watchword.wire.metadata import MAX_DOCUMENT, checked, checked_issuer, is_local, origin

WITHIN: Final = 10.0
"""Seconds for each request to the issuer."""
WAIT: Final = 2 * WITHIN
"""Seconds to wait for somebody else's errand: as long as it may take."""


class ClientCredentials(httpx2.Auth):
    """Authenticates requests with tokens got by the client credentials grant (RFC 6749 §4.4, RFC 6750).

    One instance may serve any number of clients, threads and event loops: they share one token, which is renewed
    before it expires, by one of them while the others go on. When an API answers 401 `invalid_token`, one new
    token is tried, once. Tokens go to `origins` only (`https://api.example`), when given; never over plain http
    but to this very machine. `resource` names the API (RFC 8707), `scope` what is asked for. With `dpop` the tokens are
    bound to that key, and go nowhere without a proof of it (RFC 9449).

    Raises Misconfigured; in use TokenRequestRefused when the issuer refuses, CannotDecide when it does not answer.
    """

    def __init__(
        self,
        *,
        client_id: str,
        client_secret: str,
        issuer: str = "",
        token_endpoint: str = "",
        scope: tuple[str, ...] = (),
        resource: str | None = None,
        origins: tuple[str, ...] = (),
        dpop: ProofKey | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        if bool(issuer) == bool(token_endpoint):
            raise Misconfigured("give the issuer or the token_endpoint, one of them")
        if not client_id or not client_secret:
            raise Misconfigured("client_id and client_secret must not be empty")
        if isinstance(scope, str) or isinstance(origins, str):
            raise Misconfigured("scope and origins are tuples of strings")
        _ = checked_issuer(issuer) if issuer else checked(token_endpoint, "token_endpoint")
        self._grant = Grant(client_id, client_secret, issuer, token_endpoint, tuple(scope), resource)
        self._origins = frozenset(origin(checked(each, "each of origins")) for each in origins)
        self._trust_env = not is_local(issuer or token_endpoint)  # a proxy could not reach this machine
        self._prover = Prover(dpop, wall) if dpop is not None else None
        self._purse = Purse(monotonic)

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Send the request with a token; once more with a new one when that is refused."""
        must_be_for(request.url, self._origins)
        token = self._token_sync()
        response = yield with_token(request, token, self._prover)
        if wants_nonce(request, response, self._prover):
            response = yield with_token(request, token, self._prover)
        if is_refused(response):
            self._purse.drop(token)
            if may_be_repeated(request):
                response = yield with_token(request, self._token_sync(), self._prover)
        wants_nonce(request, response, self._prover)

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """As `sync_auth_flow`, without blocking the loop."""
        must_be_for(request.url, self._origins)
        token = await self._token()
        response = yield with_token(request, token, self._prover)
        if wants_nonce(request, response, self._prover):
            response = yield with_token(request, token, self._prover)
        if is_refused(response):
            self._purse.drop(token)
            if may_be_repeated(request):
                response = yield with_token(request, await self._token(), self._prover)
        wants_nonce(request, response, self._prover)

    def _token_sync(self) -> str:
        while True:
            found = self._purse.look()
            if isinstance(found, str):
                return found
            if not isinstance(found, Errand):
                _wait_for(found)
                continue
            with self._purse.running(found):
                granted = _drive_sync(obtain(self._grant, self._prover), self._trust_env)
                self._purse.put(found, granted)
                return granted.access_token

    async def _token(self) -> str:
        while True:
            found = self._purse.look()
            if isinstance(found, str):
                return found
            if not isinstance(found, Errand):
                await _await(found)
                continue
            with self._purse.running(found):
                granted = await _drive(obtain(self._grant, self._prover), self._trust_env)
                self._purse.put(found, granted)
                return granted.access_token


def _wait_for(done: Future[None]) -> None:
    try:
        done.result(WAIT)
    except TimeoutError as error:
        raise CannotDecide("the token endpoint does not answer") from error


async def _await(done: Future[None]) -> None:
    waiting = asyncio.wrap_future(done)
    waiting.add_done_callback(lambda ended: ended.exception())  # who gave up waiting leaves no complaint behind
    # Not `wait_for`, which cancels: the errand belongs to everybody who waits for it.
    await asyncio.wait([waiting], timeout=WAIT)
    if not waiting.done():
        raise CannotDecide("the token endpoint does not answer")
    waiting.result()


def _drive_sync(flow: Flow, trust_env: bool) -> Granted:
    with httpx2.Client(headers=HEADERS, timeout=WITHIN, follow_redirects=False, trust_env=trust_env) as http:
        try:
            ask = next(flow)
            while True:
                ask = flow.send(_ask_sync(http, ask))
        except StopIteration as end:
            granted: Granted = end.value
            return granted


async def _drive(flow: Flow, trust_env: bool) -> Granted:
    async with httpx2.AsyncClient(headers=HEADERS, timeout=WITHIN, follow_redirects=False, trust_env=trust_env) as http:
        try:
            ask = next(flow)
            while True:
                ask = flow.send(await _ask(http, ask))
        except StopIteration as end:
            granted: Granted = end.value
            return granted


def _ask_sync(http: httpx2.Client, ask: Ask) -> Answer:
    body = bytearray()
    with _reached(ask), http.stream(_method(ask), ask.url, data=ask.form, headers=ask.headers) as response:
        for piece in response.iter_raw():
            body += piece
            _must_be_small(body)
    return Answer(response.status_code, bytes(body), response.headers.get("dpop-nonce"))


async def _ask(http: httpx2.AsyncClient, ask: Ask) -> Answer:
    body = bytearray()
    with _reached(ask):
        async with (
            asyncio.timeout(WITHIN),
            http.stream(_method(ask), ask.url, data=ask.form, headers=ask.headers) as response,
        ):
            async for piece in response.aiter_raw():
                body += piece
                _must_be_small(body)
    return Answer(response.status_code, bytes(body), response.headers.get("dpop-nonce"))


@contextmanager
def _reached(ask: Ask) -> Iterator[None]:
    try:
        yield
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise CannotDecide(f"{ask.url} cannot be reached: {error or type(error).__name__}") from error


def _method(ask: Ask) -> str:
    return "GET" if ask.form is None else "POST"


def _must_be_small(body: bytearray) -> None:
    if len(body) > MAX_DOCUMENT:
        raise CannotDecide(f"the issuer answered with more than {MAX_DOCUMENT} bytes")
