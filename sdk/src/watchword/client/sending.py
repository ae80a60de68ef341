"""What everybody who sends tokens shares: where they may go, how they are carried, and when it was the token."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

import httpx2

from watchword.client.proving import Prover
from watchword.errors import Misconfigured
from watchword.wire.metadata import checked, origin

_REFUSED: Final = re.compile(r'\b(?:bearer|dpop)\b.*\berror\s*=\s*"?invalid_token\b', re.IGNORECASE)
_NONCE: Final = re.compile(r'\bdpop\b.*\berror\s*=\s*"?use_dpop_nonce\b', re.IGNORECASE)


def must_be_for(url: httpx2.URL, origins: Collection[str]) -> None:
    """Raises Misconfigured for an address that a token must not go to: of none of the `origins`, or unprotected."""
    checked(str(url.copy_with(query=None, fragment=None)), "an address that gets a token")
    if origins and origin(str(url)) not in origins:
        raise Misconfigured(f"{origin(str(url))} is none of the origins that this token is for")


def with_token(request: httpx2.Request, token: str, prover: Prover | None = None) -> httpx2.Request:
    """The request with a bearer token (RFC 6750 §2.1), or with one that is bound to a key and a new proof of that."""
    if prover is None:
        request.headers["Authorization"] = f"Bearer {token}"
        return request
    request.headers["Authorization"] = f"DPoP {token}"
    request.headers.update(prover.headers(request.method, str(request.url), token))
    return request


def wants_nonce(request: httpx2.Request, response: httpx2.Response, prover: Prover | None) -> bool:
    """Note the nonce of an answer; whether it was missing, so that the same may be sent again (RFC 9449 §9)."""
    if prover is None or not prover.hear(str(request.url), response.headers.get("dpop-nonce")):
        return False
    wanted = response.status_code == 401 and _NONCE.search(response.headers.get("www-authenticate", ""))
    return bool(wanted) and may_be_repeated(request)


def is_refused(response: httpx2.Response) -> bool:
    """Whether it was the token (RFC 6750 §3.1): other refusals would be the same with a new one."""
    return response.status_code == 401 and bool(_REFUSED.search(response.headers.get("www-authenticate", "")))


def may_be_repeated(request: httpx2.Request) -> bool:
    """Whether the body is at hand: what was streamed from somewhere cannot be sent twice."""
    try:
        return request.content is not None
    except httpx2.RequestNotRead:
        return False
