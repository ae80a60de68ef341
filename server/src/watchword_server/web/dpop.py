"""Proofs of possession over HTTP (RFC 9449): the header that brings one, and the nonce that answers offer."""

from __future__ import annotations

from typing import Final

from watchword.dpop import ALGS
from watchword_server.flows import dpop
from watchword_server.protocol.errors import InsufficientScope, InvalidDPoPProof, OAuthError, UseDPoPNonce
from watchword_server.web.asgi import Answer, App, Header, Message, Receive, Scope, Send
from watchword_server.web.front import Front
from watchword_server.web.refusals import ClientGone, TokenMissing, refusal

_DPOP: Final = b"dpop"
_CHALLENGE: Final = b"www-authenticate"
_ALGS: Final = " ".join(ALGS)


def proofs(scope: Scope) -> tuple[str, ...]:
    """Every DPoP header of a request; more than one is for the issuer to refuse."""
    return tuple([value.decode("latin-1") for name, value in scope["headers"] if name == _DPOP])


def proving(front: Front, app: App) -> App:
    """An endpoint that takes proofs: whoever sends one is offered a nonce, with every answer. Others pay for a look."""

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        if not any(name == _DPOP for name, _ in scope["headers"]) and not _came_by_key(scope):
            await app(scope, receive, send)
            return
        offered = (b"dpop-nonce", (await dpop.nonce(front.issuer, front.now())).encode("ascii"))

        async def sends(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], offered]
            await send(message)

        try:
            await app(scope, receive, sends)
        except ClientGone:
            raise
        except Exception as error:
            await refusal(error, scope)(scope, receive, sends)

    return endpoint


def by_key(authorization: str | None) -> str | None:
    """The access token of `Authorization: DPoP` (RFC 9449 §7.1); None for any other scheme."""
    return _of_scheme(authorization, "dpop")


def by_bearer(authorization: str | None) -> str | None:
    """The access token of `Authorization: Bearer` (RFC 6750 §2.1); None for any other scheme."""
    return _of_scheme(authorization, "bearer")


def challenged(error: OAuthError, scope: Scope) -> Answer:
    """A refusal by an endpoint that takes tokens of both kinds (RFC 9449 §7.1, §7.2).

    Who came with DPoP is answered in its terms; anybody else is told by 401 that it may be used too.
    """
    answer = refusal(error, scope)
    kept = tuple([one for one in answer.headers if one[0] != _CHALLENGE])
    if isinstance(error, InvalidDPoPProof | UseDPoPNonce):
        return answer._replace(status=401, headers=(*kept, _challenge(**_said(error))))
    if kept == answer.headers:  # it is not about the token
        return answer
    if _came_by_key(scope):
        return answer._replace(headers=(*kept, _challenge(**_said(error))))
    also = (_challenge(),) if answer.status == 401 else ()
    return answer._replace(headers=(*answer.headers, *also))


def _of_scheme(authorization: str | None, scheme: str) -> str | None:
    given, _, token = (authorization or "").partition(" ")
    return token.strip(" ") if given.lower() == scheme else None


def _came_by_key(scope: Scope) -> bool:
    return any(name == b"authorization" and value[:5].lower() == b"dpop " for name, value in scope["headers"])


def _said(error: OAuthError) -> dict[str, str]:
    if isinstance(error, TokenMissing):
        return {}
    more = {"scope": error.scope} if isinstance(error, InsufficientScope) else {}
    return {"error": error.code, **more}


def _challenge(**parts: str) -> Header:
    """The parts are words of ours."""
    said = ", ".join(f'{name}="{value}"' for name, value in {"realm": "watchword", **parts, "algs": _ALGS}.items())
    return _CHALLENGE, f"DPoP {said}".encode("ascii")
