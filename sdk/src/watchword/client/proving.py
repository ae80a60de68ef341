"""Proofs of possession for what a client sends (RFC 9449), with the nonces that the answers bring."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Final

from watchword.dpop import ProofKey

CHANCE: Final = 16
"""Random bytes in the `jti` of a proof."""


class Prover:
    """Makes proofs with a key, at this moment. For any number of threads and event loops."""

    __slots__ = ("_key", "_wall")

    def __init__(self, key: ProofKey, wall: Callable[[], float] = time.time) -> None:
        self._key = key
        self._wall = wall

    def headers(self, method: str, url: str, access_token: str | None = None) -> dict[str, str]:
        """The header that proves the key for one request, which is sent once."""
        jti = secrets.token_urlsafe(CHANCE)
        return {"DPoP": self._key.prove(method, url, now=self._wall(), jti=jti, access_token=access_token)}

    def hear(self, url: str, nonce: str | None) -> bool:
        """Note what an answer from `url` says in `DPoP-Nonce`; whether it is new, so that trying again makes sense."""
        return self._key.hear(url, nonce)
