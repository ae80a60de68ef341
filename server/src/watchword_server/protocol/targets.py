"""Which API a token is for, and with which scopes (RFC 6749 §3.3, RFC 8707)."""

from __future__ import annotations

import re

from watchword_server.protocol.errors import InvalidScope, InvalidTarget
from watchword_server.protocol.fapi2 import permits
from watchword_server.protocol.values import Api, Client, Grant

SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,128}")
MAX_SCOPES = 64
_ROOT = re.compile(r"https?://[^/?#]+/")
OPENID = "openid"
OFFLINE = "offline_access"
IDENTITY = frozenset({OPENID, "profile", "email", "address", "phone", OFFLINE})
"""The scopes of OpenID Connect (Core §5.4, §11), which are about the person and belong to no API."""


def scope_tokens(scope: str | None) -> tuple[str, ...]:
    """Split a scope parameter, without repeats, in its order (RFC 6749 §3.3)."""
    if scope is None:
        return ()
    tokens = tuple(dict.fromkeys(scope.split(" ")))
    if len(tokens) > MAX_SCOPES or not all(SCOPE_TOKEN.fullmatch(token) for token in tokens):
        raise InvalidScope("scope is malformed")
    return tokens


def target(client: Client, scope: str | None, resource: str | None) -> tuple[str, tuple[str, ...]]:
    """The audience and the scopes that a client gets for what it asks.

    Nothing asked means everything the client may have at its API. Which API is decided by `resource`, else by
    the scopes, else because there is only one.
    """
    asked = scope_tokens(scope)
    audience = _named(client, resource) if resource is not None else _audience_of(client, asked)
    allowed = client.access.get(audience)
    if allowed is None:
        raise InvalidTarget("client may not use this API")
    if not set(asked) <= set(allowed):
        raise InvalidScope("client may not have this scope")
    return audience, asked or tuple(allowed)


def reach(client: Client, issuer: str, scope: str | None, resource: str | None) -> tuple[str, tuple[str, ...]]:
    """The audience and the scopes that a client asks of a person.

    Scopes of OpenID Connect are for every client; those that no API of this client has are not understood, and left
    out (OpenID Connect Core §3.1.2.1). What is about the person only is for the issuer's own userinfo.
    """
    asked = scope_tokens(scope)
    own = [one for one in asked if one in IDENTITY]
    known = {one for allowed in client.access.values() for one in allowed}
    others = [one for one in asked if one in known and one not in IDENTITY]
    if not asked and client.access:
        return target(client, None, resource)
    if resource == issuer or (resource is None and not others):
        if not own:
            raise InvalidScope("nothing that this client may ask for")
        return issuer, tuple(own)
    audience, _ = target(client, " ".join(others) or None, resource)
    if not own and not others:
        raise InvalidScope("nothing that this client may ask for")  # for nothing, nobody would be asked
    return audience, tuple(one for one in asked if one in own or one in others)


def narrowed(grant: Grant, scope: str | None, resource: str | None) -> tuple[str, ...]:
    """The scopes of a refreshed token: what was granted or a part of it, never more (RFC 6749 §6)."""
    asked = scope_tokens(scope)
    if not is_for(resource, grant.audience):
        raise InvalidTarget("grant is for another API")
    if not set(asked) <= set(grant.scope):
        raise InvalidScope("scope was not granted")
    return asked or grant.scope


def is_for(resource: str | None, audience: str) -> bool:
    """Whether a `resource` is this audience, or none was said.

    Letter by letter, but for the slash that URL libraries of clients put after a host without a path (RFC 3986 §6.2.3).
    """
    return resource is None or resource == audience or _bare(resource) == _bare(audience)


def _bare(uri: str) -> str:
    return uri[:-1] if _ROOT.fullmatch(uri) else uri


def _named(client: Client, resource: str) -> str:
    """The audience among this client's that a `resource` means."""
    if resource in client.access:
        return resource
    return next((one for one in client.access if is_for(resource, one)), resource)


def chosen_alg(api: Api, client: Client) -> str | None:
    """What a token is signed with. The API's choice comes first: it is the one who has to verify.

    Raises InvalidTarget where the client's profile has no such algorithm (FAPI 2.0 §5.4.1).
    """
    alg = api.access_token_alg or client.access_token_alg
    if not permits(client, alg):
        raise InvalidTarget("tokens for this API are signed in a way that this client may not take")
    return alg


def _audience_of(client: Client, asked: tuple[str, ...]) -> str:
    fitting = [audience for audience, allowed in client.access.items() if set(asked) <= set(allowed)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting and client.access:
        raise InvalidScope("no API of this client has these scopes")
    raise InvalidTarget("say with `resource` which API the token is for")
