"""The one place where a refusal becomes HTTP (RFC 6749 §5.2, RFC 6750 §3)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from starlette.exceptions import HTTPException

from watchword_server.flows.keyring import NoSigningKey
from watchword_server.ports import Busy, Conflict, KeyStoreError, Unavailable
from watchword_server.protocol.errors import (
    AccessDenied,
    InsufficientScope,
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidSession,
    OAuthError,
    TemporarilyUnavailable,
    TooManyAttempts,
    TooManyVerifiers,
    UnacceptableToken,
)
from watchword_server.web.asgi import CLOSE, JSON, NO_STORE, Answer, Header, Scope, encoded

logger = logging.getLogger(__name__)


class NotFound(OAuthError):
    """Nothing is here (RFC 9110 §15.5.5)."""

    code = "not_found"
    status = 404


class WrongMethod(InvalidRequest):
    """Another method is meant for this place (RFC 9110 §15.5.6)."""

    status = 405

    def __init__(self, allow: str) -> None:
        super().__init__(f"the method here is {allow}")
        self.allow = allow


class WrongContentType(InvalidRequest):
    """The body is not of the kind that is read here (RFC 9110 §15.5.16)."""

    status = 415


class TooLarge(InvalidRequest):
    """The body is longer than any request needs (RFC 9110 §15.5.14)."""

    status = 413


class TooSlow(InvalidRequest):
    """The body did not arrive in time (RFC 9110 §15.5.9)."""

    status = 408


class CredentialsMissing(InvalidClient):
    """Only a header can carry the credentials here, so the answer asks for it (RFC 9110 §15.5.2)."""


class TokenMissing(InvalidSession):
    """No access token came, so the answer says only how one is sent (RFC 6750 §3.1)."""


class TokenMisplaced(InvalidRequest):
    """The access token came in more than one way, or in one that is not taken (RFC 6750 §2)."""


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


SENTENCES: Final[Mapping[type[OAuthError], str]] = {
    InvalidClient: "client authentication failed",
    UnacceptableToken: "the token to exchange is not valid, or not one that this client may exchange",
    InvalidGrant: "the credentials or the token are not valid, or not valid any more",
    InvalidSession: "the access token is missing, not valid, or not valid any more",
    AccessDenied: "this is not allowed from here",
    TooManyAttempts: "too many failed attempts; wait before the next one",
    TooManyVerifiers: "this API has too many verifiers at once",
    TemporarilyUnavailable: "the server cannot answer now; nothing is acknowledged, so ask again",
}
"""One for all that must look alike. Other refusals speak of the request's form only, and say what is wrong with it."""

_BASIC: Final[Header] = (b"www-authenticate", b'Basic realm="watchword", charset="UTF-8"')
_UNAVAILABLE: Final = (Unavailable, Busy, Conflict, NoSigningKey, KeyStoreError)
_SERVER_ERROR: Final = Answer(
    500, encoded({"error": "server_error", "error_description": "something went wrong here"}), (JSON, NO_STORE)
)


def refusal(error: Exception, scope: Scope) -> Answer:
    """The answer to a request that failed, whatever the reason; and the reason goes to the log."""
    match error:
        case OAuthError():
            known = error
        case HTTPException(status_code=405, headers=headers):
            known = WrongMethod((headers or {}).get("Allow", ""))
        case HTTPException():
            known = NotFound("there is nothing here")
        case _ if isinstance(error, _UNAVAILABLE):
            logger.warning("cannot answer now", extra={"reason": f"{type(error).__name__}: {error}"})
            known = TemporarilyUnavailable(str(error))
        case _:
            logger.error("unexpected failure", exc_info=error)
            return _SERVER_ERROR
    logger.info("refused", extra={"code": known.code, "status": known.status, "reason": str(known)})
    body = {"error": known.code, "error_description": description(known)}
    return Answer(known.status, encoded(body), (JSON, NO_STORE, *_headers(known, scope)))


def description(error: OAuthError) -> str:
    """What the client is told."""
    return next((sentence for kind, sentence in SENTENCES.items() if isinstance(error, kind)), str(error))


def _headers(error: OAuthError, scope: Scope) -> tuple[Header, ...]:
    retry = ((b"retry-after", b"%d" % error.retry_after),) if error.retry_after else ()
    match error:
        case WrongMethod():
            return ((b"allow", error.allow.encode("ascii")),)
        case TooLarge() | TooSlow():
            return (CLOSE,)  # what is left of the body is not waited for
        case TokenMissing():
            return (_bearer(),)
        case TokenMisplaced() | InvalidSession():
            return (_bearer(error=error.code),)
        case InsufficientScope():
            return (_bearer(error=error.code, scope=error.scope),)
        case CredentialsMissing():
            return (_BASIC,)
        case InvalidClient() if any(name == b"authorization" for name, _ in scope["headers"]):
            return (_BASIC,)
        case _:
            return retry


def _bearer(**parts: str) -> Header:
    """What the answer says to who sent no token that is enough (RFC 6750 §3). The parts are words of ours."""
    said = ", ".join(f'{name}="{value}"' for name, value in {"realm": "watchword", **parts}.items())
    return b"www-authenticate", f"Bearer {said}".encode("ascii")
