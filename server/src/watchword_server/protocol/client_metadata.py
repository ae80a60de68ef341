"""What a client may say of itself, whoever registers it (OpenID Connect Registration 1.0 §2, RFC 7591 §2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from msgspec.structs import replace

from watchword.errors import InvalidKey, WatchwordError
from watchword.jose.jwe import ENCRYPTIONS, KEY_ALGORITHMS
from watchword.jose.jwk import key_set
from watchword.jose.members import PRIVATE, read_ec, read_ed25519, read_kid, read_rsa, read_x25519
from watchword_server.protocol import subjects
from watchword_server.protocol.client_assertion import ASSERTING, MACS, PRIVATE_KEY_JWT, SECRET_JWT, algorithms
from watchword_server.protocol.client_authentication import METHODS, NONE, SECRET_METHODS
from watchword_server.protocol.grants.jwt_bearer import GRANT_TYPE as JWT_BEARER
from watchword_server.protocol.registration import ALGORITHMS, MEMBERS
from watchword_server.protocol.uris import (
    LOOPBACK,
    BadRegistration,
    checked_address,
    checked_redirect_uri,
    host_of,
    shown,
)
from watchword_server.protocol.values import CONFIDENTIAL, PUBLIC, Client, ClientMetadata

ENC: Final = "A128CBC-HS256"
"""The content encryption where a client names an algorithm and no more (OpenID Connect Registration 1.0 §2)."""
MOST: Final = 20
"""Members of a list."""
MOST_KEYS: Final = 10
MOST_JWKS: Final = 16 * 1024
"""Bytes of a key set that is registered by value."""
LONGEST: Final = 256
"""Characters of a text that no other rule bounds."""
LONGEST_AGE: Final = 10 * 365 * 24 * 3600
"""Seconds."""
_TEXT: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,256}")
_VISIBLE: Final = re.compile(r"[\x21-\x7E]{1,256}")

_KEYS: Final[Mapping[tuple[object, object], Callable[[Mapping[str, object]], object]]] = {
    ("RSA", None): read_rsa,
    ("EC", "P-256"): read_ec,
    ("EC", "P-384"): read_ec,
    ("EC", "P-521"): read_ec,
    ("OKP", "Ed25519"): read_ed25519,
    ("OKP", "X25519"): read_x25519,
}


def checked_metadata(client: Client, local: bool) -> Client:
    """The client as it may be registered: with its sector, and of its keys only what was looked at.

    `local`: only this machine reaches the issuer. What a `sector_identifier_uri` says is not known here. Raises
    BadRegistration.
    """
    for rule in _RULES:
        rule(client, client.metadata, local)
    found = client.metadata
    jwks = None if found.jwks is None else _public_keys(found.jwks)
    return replace(client, metadata=replace(found, jwks=jwks, sector=_sector(client, local)))


def must_list(document: object, redirect_uris: Iterable[str], uri: str) -> None:
    """What a `sector_identifier_uri` says has to name all redirect URIs (OpenID Connect Registration 1.0 §5)."""
    if not isinstance(document, list) or not all(isinstance(one, str) for one in document):
        raise BadRegistration(f"sector_identifier_uri {shown(uri)} is not a JSON array of redirect URIs")
    missing = [one for one in redirect_uris if one not in document]
    if missing:
        raise BadRegistration(f"sector_identifier_uri {shown(uri)} does not name {shown(missing[0])}")


def _authenticates(client: Client, metadata: ClientMetadata, local: bool) -> None:
    method = metadata.token_endpoint_auth_method
    if method is not None and method not in METHODS:
        raise BadRegistration(f"token_endpoint_auth_method {shown(method)} is not one of {', '.join(METHODS)}")
    if method is not None and (method == NONE) != (client.kind == PUBLIC):
        raise BadRegistration("token_endpoint_auth_method is none for public clients, and for no others")
    if metadata.pkce == "optional" and client.kind != CONFIDENTIAL:
        raise BadRegistration("a public client cannot do without PKCE: it has nothing else to show (RFC 9700 §2.1.1)")


def _can_authenticate(client: Client, metadata: ClientMetadata, local: bool) -> None:
    """It has what its way takes: a secret, one that it can sign with, or keys (OpenID Connect Core §9)."""
    method = metadata.token_endpoint_auth_method
    if method == PRIVATE_KEY_JWT:
        _must_have_keys(metadata, "assertions are signed with")
    elif method == SECRET_JWT and metadata.sealed_secret is None:
        raise BadRegistration(f"{SECRET_JWT} needs a secret that the client can sign with, and it has none")
    elif client.kind == CONFIDENTIAL and method in (None, *SECRET_METHODS) and client.secret_hash is None:
        raise BadRegistration(f"{method or SECRET_METHODS[0]} needs a secret, and the client has none")
    if JWT_BEARER in client.grant_types:
        _must_have_keys(metadata, "assertions are signed with")
    alg = metadata.token_endpoint_auth_signing_alg
    known = algorithms(replace(metadata, token_endpoint_auth_signing_alg=None), method or "")
    if alg is not None and alg not in (known if method in ASSERTING else (*ALGORITHMS, *MACS)):
        raise BadRegistration(f"token_endpoint_auth_signing_alg {shown(alg)} does not fit {method or 'any method'}")


def _says_where(client: Client, metadata: ClientMetadata, local: bool) -> None:
    for uri in _few(metadata.post_logout_redirect_uris, "post_logout_redirect_uris"):
        checked_redirect_uri(uri, metadata.application_type == "native", "post_logout_redirect_uri")
    for uri in _few(metadata.request_uris, "request_uris"):
        checked_address(uri, local, "request_uri", fragment=True)
    for name in (
        "backchannel_logout_uri",
        "jwks_uri",
        "sector_identifier_uri",
        "initiate_login_uri",
        "client_uri",
        "logo_uri",
        "policy_uri",
        "tos_uri",
    ):
        uri = getattr(metadata, name)
        if uri is not None:
            checked_address(uri, local, name)
    if metadata.backchannel_logout_session_required and metadata.backchannel_logout_uri is None:
        raise BadRegistration("backchannel_logout_session_required without a backchannel_logout_uri says nothing")


def _signs(client: Client, metadata: ClientMetadata, local: bool) -> None:
    for name in ("id_token_signed_response_alg", "userinfo_signed_response_alg", "request_object_signing_alg"):
        alg = getattr(metadata, name)
        if alg is not None and alg not in ALGORITHMS:
            raise BadRegistration(f"{name} {shown(alg)} is not one of {', '.join(ALGORITHMS)}")
    if metadata.request_object_signing_alg is not None or metadata.require_signed_request_object:
        _must_have_keys(metadata, "request objects are signed with")
    if metadata.signs_tokens:
        _must_have_keys(metadata, "tokens of its own are signed with")
        _must_say_how(metadata)


def _encrypts(client: Client, metadata: ClientMetadata, local: bool) -> None:
    for what in ("id_token", "userinfo"):
        alg = getattr(metadata, f"{what}_encrypted_response_alg")
        enc = getattr(metadata, f"{what}_encrypted_response_enc")
        if alg is None and enc is None:
            continue
        if alg not in KEY_ALGORITHMS:
            known = ", ".join(KEY_ALGORITHMS)
            raise BadRegistration(f"{what}_encrypted_response_alg {shown(alg or '')} is not one of {known}")
        if enc not in ENCRYPTIONS:
            known = ", ".join(ENCRYPTIONS)
            raise BadRegistration(f"{what}_encrypted_response_enc {shown(enc or '')} is not one of {known}")
        _must_have_keys(metadata, f"{what} responses are encrypted to")


def _has_one_source_of_keys(client: Client, metadata: ClientMetadata, local: bool) -> None:
    if metadata.jwks is not None and metadata.jwks_uri is not None:
        raise BadRegistration("jwks and jwks_uri are not for the same client: register one of them (RFC 7591 §2)")


def _is_described(client: Client, metadata: ClientMetadata, local: bool) -> None:
    for contact in _few(metadata.contacts, "contacts"):
        _must_match(_TEXT, contact, "contact")
    for value in _few(metadata.default_acr_values, "default_acr_values"):
        _must_match(_VISIBLE, value, "default_acr_values")
    for name in ("software_id", "software_version"):
        if getattr(metadata, name) is not None:
            _must_match(_TEXT, getattr(metadata, name), name)
    if metadata.default_max_age is not None and not 0 <= metadata.default_max_age <= LONGEST_AGE:
        raise BadRegistration("default_max_age is not a number of seconds within ten years")


_RULES: Final = (
    _authenticates,
    _can_authenticate,
    _says_where,
    _has_one_source_of_keys,
    _signs,
    _encrypts,
    _is_described,
)


def _public_keys(jwks: Mapping[str, object]) -> Mapping[str, object]:
    """A key set as it is kept: keys of kinds that nobody here uses are left out (RFC 7517 §5)."""
    keys = jwks.get("keys")
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise BadRegistration("jwks is not a JWK set: an object with an array `keys` (RFC 7517 §5)")
    if len(keys) > MOST_KEYS or len(msgspec.json.encode(keys)) > MOST_JWKS:
        raise BadRegistration(f"jwks has more than {MOST_KEYS} keys, or more than {MOST_JWKS} bytes: use a jwks_uri")
    if any(not PRIVATE.isdisjoint(key) for key in keys):
        raise BadRegistration("jwks has a private or secret key: only public keys are registered")
    return {"keys": [found for key in keys if (found := _public_key(key)) is not None]}


def _public_key(jwk: Mapping[str, object]) -> Mapping[str, object] | None:
    read = _KEYS.get((_word(jwk, "kty"), _word(jwk, "crv")))
    if read is None:
        return None
    try:
        read(jwk)
        _must_be_sayable(read_kid(jwk, "none"))
    except (WatchwordError, ValueError, UnsupportedAlgorithm) as error:
        raise BadRegistration(f"jwks has a key that is broken or weak: {error}") from error
    return {name: jwk[name] for name in MEMBERS if name in jwk}


def _must_be_sayable(kid: str) -> None:
    """By its name a key is taken back, and the log of that holds what can be printed."""
    if not kid.isprintable():
        raise InvalidKey("kid has characters that cannot be seen")


def _word(jwk: Mapping[str, object], name: str) -> str | None:
    found = jwk.get(name)
    return found if isinstance(found, str) else None


def _sector(client: Client, local: bool) -> str | None:
    """The host that pairwise subjects are made for (OpenID Connect Core §8.1); None for public ones."""
    metadata = client.metadata
    if metadata.subject_type == "public":
        return None
    if metadata.sector_identifier_uri is not None:
        return host_of(metadata.sector_identifier_uri)
    sector = subjects.sector(client.redirect_uris)
    # On loopback stands whatever a person runs: two programs there have nothing in common.
    if sector is None or (sector in LOOPBACK and not local):
        raise BadRegistration("pairwise subjects need one host in all redirect URIs, or a sector_identifier_uri")
    return sector


def _must_say_how(metadata: ClientMetadata) -> None:
    """A verifier takes the algorithm from the key, and from nothing that comes with a token."""
    keys = key_set(metadata.jwks) if metadata.jwks is not None else None
    if keys is not None and not keys:
        raise BadRegistration("no key of the client signs by one algorithm: give an RSA key its `alg`")


def _must_have_keys(metadata: ClientMetadata, for_what: str) -> None:
    if not (metadata.jwks or {}).get("keys") and metadata.jwks_uri is None:
        raise BadRegistration(f"no keys that {for_what}: register jwks or a jwks_uri")


def _few(values: tuple[str, ...], name: str) -> tuple[str, ...]:
    if len(values) > MOST:
        raise BadRegistration(f"{name} has more than {MOST} members")
    return values


def _must_match(form: re.Pattern[str], text: str, name: str) -> None:
    if not form.fullmatch(text):
        raise BadRegistration(f"{name} has 1 to {LONGEST} characters, none of them a control character")
