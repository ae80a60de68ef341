"""The client credentials grant (RFC 6749 §4.4) as a flow: it yields requests, is sent answers, returns a token."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Final

from watchword.client.proving import Prover
from watchword.errors import Malformed, TokenRequestRefused
from watchword.jose.jwt import claims
from watchword.wire.exchange import basic
from watchword.wire.metadata import address_of, read

UNSAID: Final = 300
"""Seconds that a token is taken to live when the answer does not say (RFC 6749 §5.1 only recommends it)."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to the issuer: a GET, or with a `form` a POST."""

    url: str
    form: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the issuer answered; `body` is bounded by the driver."""

    status: int
    body: bytes = field(repr=False)
    nonce: str | None = None
    """For the next proof (`DPoP-Nonce`)."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What is asked for, and by whom. Without `token_endpoint` the issuer's metadata says where."""

    client_id: str
    client_secret: str = field(repr=False)
    issuer: str = ""
    token_endpoint: str = ""
    scope: tuple[str, ...] = ()
    resource: str | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    """An access token, and the seconds that it lives from when it was asked for."""

    access_token: str = field(repr=False)
    expires_in: float


Flow = Generator[Ask, Answer, Granted]


def obtain(grant: Grant, prover: Prover | None = None) -> Flow:
    """Find the token endpoint where need be, and ask it. Raises TokenRequestRefused, CannotDecide or Malformed.

    With a `prover` the token has to come bound to its key (RFC 9449 §5).
    """
    endpoint = grant.token_endpoint
    if not endpoint:
        answer = yield Ask(address_of(grant.issuer))
        endpoint = _endpoint_in(answer, grant.issuer)
    if prover is None:
        return _granted((yield _request(grant, endpoint, {})), "bearer")
    answer = yield _request(grant, endpoint, prover.headers("POST", endpoint))
    if prover.hear(endpoint, answer.nonce) and _wants_nonce(answer):
        answer = yield _request(grant, endpoint, prover.headers("POST", endpoint))
        prover.hear(endpoint, answer.nonce)
    return _granted(answer, "dpop")


def _request(grant: Grant, endpoint: str, proof: Mapping[str, str]) -> Ask:
    return Ask(endpoint, _form(grant), {**basic((grant.client_id, grant.client_secret)), **proof})


def _wants_nonce(answer: Answer) -> bool:
    """RFC 9449 §8."""
    return answer.status in (400, 401) and _document(answer).get("error") == "use_dpop_nonce"


def _endpoint_in(answer: Answer, issuer: str) -> str:
    if answer.status != 200:
        raise TokenRequestRefused("server_error", f"the metadata of {issuer} answered {answer.status}")
    endpoint = read(answer.body, issuer).token_endpoint
    if not endpoint:
        raise TokenRequestRefused("server_error", f"the metadata of {issuer} names no token endpoint")
    return endpoint


def _form(grant: Grant) -> dict[str, str]:
    form = {"grant_type": "client_credentials"}
    if grant.scope:
        form["scope"] = " ".join(grant.scope)
    if grant.resource is not None:
        form["resource"] = grant.resource  # RFC 8707 §2
    return form


def _document(answer: Answer) -> Mapping[str, object]:
    try:
        return claims(answer.body)
    except Malformed:
        return {}


def _granted(answer: Answer, due: str) -> Granted:
    document = _document(answer)
    if answer.status != 200:
        raise _refusal(answer.status, document)
    token, kind = document.get("access_token"), document.get("token_type")
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
        raise TokenRequestRefused("server_error", "the token endpoint's answer holds no access token")
    if not isinstance(kind, str) or kind.lower() != due:  # RFC 6749 §7.1: an unknown type must not be used
        raise TokenRequestRefused("server_error", f"the token endpoint's answer is of a type that is not {due}")
    return Granted(token, _lifetime(document.get("expires_in", UNSAID)))


def _lifetime(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise TokenRequestRefused("server_error", "expires_in is not a number of seconds")
    return value


def _refusal(status: int, document: Mapping[str, object]) -> TokenRequestRefused:
    """The issuer's refusal (RFC 6749 §5.2), its words bounded before they reach a log."""
    code, why = document.get("error"), document.get("error_description", "")
    error = code if isinstance(code, str) and 0 < len(code) <= 64 and code.isascii() else "server_error"
    said = why[:200] if isinstance(why, str) and why.isprintable() else ""
    return TokenRequestRefused(error, f"the token endpoint answered {status} {error}" + (f": {said}" if said else ""))
