"""What may be registered: audiences, scopes, redirect URIs, origins, grants, algorithms, encryption (RFC 7591 §2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from msgspec.structs import replace

from watchword.errors import InvalidKey
from watchword.jose.jwe import ENCRYPTIONS, KEY_ALGORITHMS, EncryptionKey, encryption_key
from watchword.jose.members import PRIVATE
from watchword_server.protocol.grants.authorization_code import GRANT_TYPE as AUTHORIZATION_CODE
from watchword_server.protocol.grants.jwt_bearer import GRANT_TYPE as JWT_BEARER
from watchword_server.protocol.grants.token_exchange import GRANT_TYPE as TOKEN_EXCHANGE
from watchword_server.protocol.targets import SCOPE_TOKEN
from watchword_server.protocol.uris import (
    BadRedirectUri,
    BadRegistration,
    checked_address,
    checked_origin,
    checked_redirect_uri,
)
from watchword_server.protocol.values import PUBLIC, Api, Client, Encryption

ALGORITHMS = ("ES256", "ES384", "ES512", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
"""What access tokens can be signed with."""
ENC = "A256GCM"
"""The content encryption where none is chosen."""
MEMBERS = ("kty", "crv", "x", "y", "n", "e", "kid", "alg", "use", "key_ops")
"""What is kept of an encryption key; certificates and the like are not looked at."""
NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,100}")
MOST_URIS = 50
"""Redirect URIs and origins of one client."""


def checked_api(api: Api) -> Api:
    """The API as it may be registered."""
    _name(api.name)
    parts = urlsplit(api.audience)
    if not parts.scheme or not (parts.netloc or parts.path) or "#" in api.audience or not api.audience.isprintable():
        raise BadRegistration(f"audience {api.audience!r} is not an absolute URI without a fragment (RFC 8707 §2)")
    if len(api.audience) > 256 or " " in api.audience:
        raise BadRegistration("an audience has at most 256 characters and no space")
    _scopes(api.scopes)
    if api.access_token_alg is not None:
        checked_alg(api.access_token_alg)
    return api


def checked_client(client: Client, apis: Mapping[str, Api], grant_types: Iterable[str]) -> Client:
    """The client as it may be registered, given the APIs and grants that there are."""
    _name(client.name)
    unknown = client.grant_types - set(grant_types)
    if unknown:
        raise BadRegistration(f"no such grant: {min(unknown)}")
    if client.kind == PUBLIC and "client_credentials" in client.grant_types:
        raise BadRegistration("a public client cannot use client_credentials: it has no secret (RFC 6749 §4.4)")
    if client.kind == PUBLIC and JWT_BEARER in client.grant_types:
        raise BadRegistration("a public client cannot use jwt-bearer: it keeps no key (RFC 7523 §2.1)")
    if client.kind == PUBLIC and TOKEN_EXCHANGE in client.grant_types:
        raise BadRegistration("a public client cannot exchange tokens: it has not shown who it is (RFC 8693 §5)")
    for audience, scopes in client.access.items():
        _access(audience, scopes, apis)
    _redirect_uris(client)
    for origin in client.origins:
        checked_origin(origin)
    if client.access_token_alg is not None:
        checked_alg(client.access_token_alg)
    return client


def checked_alg(alg: str) -> str:
    """A signature algorithm as it may be chosen."""
    if alg not in ALGORITHMS:
        raise BadRegistration(f"tokens are not signed with {alg!r}; choose one of {', '.join(ALGORITHMS)}")
    return alg


def checked_encryption(encryption: Encryption, local: bool) -> Encryption:
    """How an API's tokens are encrypted, as it may be registered. `local`: only this machine reaches the issuer."""
    if encryption.enc not in ENCRYPTIONS:
        raise BadRegistration(f"{encryption.enc!r} is no content encryption here; it is {' or '.join(ENCRYPTIONS)}")
    if (encryption.jwk is None) == (encryption.jwks_uri is None):
        raise BadRegistration("tokens are encrypted to one key or to one of a key set: give a JWK or a jwks_uri")
    if encryption.jwk is not None:
        checked_encryption_key(encryption.jwk)
        return replace(encryption, jwk={name: encryption.jwk[name] for name in MEMBERS if name in encryption.jwk})
    checked_address(encryption.jwks_uri or "", local, "jwks_uri")
    return encryption


def checked_encryption_key(jwk: Mapping[str, object]) -> EncryptionKey:
    """A public key that tokens can be encrypted to (RFC 7517 §4)."""
    if not PRIVATE.isdisjoint(jwk):
        raise BadRegistration("that is a private key: it stays with the API, and only its public half is registered")
    if "alg" not in jwk:
        raise BadRegistration(f"the key has no `alg`; say in it which one of {', '.join(KEY_ALGORITHMS)} it is for")
    try:
        return encryption_key(jwk)
    except InvalidKey as error:
        raise BadRegistration(f"not a key that tokens can be encrypted to: {error}") from error


def _name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise BadRegistration("a name has 1 to 100 characters, none of them a control character")


def _scopes(scopes: Iterable[str]) -> None:
    for scope in scopes:
        if not SCOPE_TOKEN.fullmatch(scope):
            raise BadRegistration(f"{scope!r} is not a scope (RFC 6749 §3.3)")


def _access(audience: str, scopes: tuple[str, ...], apis: Mapping[str, Api]) -> None:
    if audience not in apis:
        raise BadRegistration(f"no API {audience}; register it with `watchword api add`")
    unknown = set(scopes) - set(apis[audience].scopes)
    if unknown:
        raise BadRegistration(f"{audience} has no scope {min(unknown)}")


def _redirect_uris(client: Client) -> None:
    if AUTHORIZATION_CODE in client.grant_types and not client.redirect_uris:
        raise BadRedirectUri("a client that sends people here has to say where they return to: no redirect URI")
    if len(client.redirect_uris) > MOST_URIS or len(client.origins) > MOST_URIS:
        raise BadRedirectUri(f"a client has at most {MOST_URIS} redirect URIs, and as many origins")
    for uri in client.redirect_uris:
        checked_redirect_uri(uri, client.metadata.application_type == "native")
