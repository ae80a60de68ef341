"""BoundToken: sends a token that is bound to a key, each request with a proof of it (RFC 9449 §7)."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator

import httpx2

from watchword.client.proving import Prover
from watchword.client.sending import must_be_for, wants_nonce, with_token
from watchword.dpop import ProofKey
from watchword.errors import Misconfigured
from watchword.wire.metadata import checked, origin


class BoundToken(httpx2.Auth):
    """Authenticates requests with a token that the program has got for `key`, by whatever grant.

    The same key goes on knowing the nonces of the APIs. A request that is refused for want of one is sent once more.
    Tokens go to `origins` only (`https://api.example`), when given; never over plain http but to this very machine.
    Raises Misconfigured.
    """

    def __init__(
        self,
        access_token: str,
        key: ProofKey,
        *,
        origins: tuple[str, ...] = (),
        wall: Callable[[], float] = time.time,
    ) -> None:
        if not access_token:
            raise Misconfigured("access_token must not be empty")
        if isinstance(origins, str):
            raise Misconfigured("origins is a tuple of strings")
        self._token = access_token
        self._prover = Prover(key, wall)
        self._origins = frozenset(origin(checked(each, "each of origins")) for each in origins)

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Send the request with the token and a proof; once more when a nonce is asked for."""
        must_be_for(request.url, self._origins)
        response = yield with_token(request, self._token, self._prover)
        if wants_nonce(request, response, self._prover):
            response = yield with_token(request, self._token, self._prover)
            wants_nonce(request, response, self._prover)
