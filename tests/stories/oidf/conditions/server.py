"""What a run needs of the server before anything else: its metadata and its keys."""

from __future__ import annotations

from collections import Counter

from joserfc.errors import JoseError
from joserfc.jwk import import_key

from tests.stories.oidf.conditions.values import endpoint, holds
from tests.stories.oidf.judge import Judge, condition, must
from tests.stories.oidf.tokens import JWKS, Claims

PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
MEMBERS = {"RSA": {"n", "e"}, "EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}}


@condition("CheckServerConfiguration")
def is_usable(metadata: Claims) -> None:
    """What every flow needs is there."""
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        endpoint(metadata, name)
    must(metadata.get("issuer"), "there is no issuer")


@condition("EnsureServerConfigurationSupportsClientSecretBasic")
def takes_basic(metadata: Claims) -> None:
    """It is also what holds where nothing is said."""
    if "token_endpoint_auth_methods_supported" in metadata:
        holds(metadata, "token_endpoint_auth_methods_supported", "client_secret_basic")


@condition("EnsureServerConfigurationSupportsClientSecretPost")
def takes_post(metadata: Claims) -> None:
    """A secret in the body."""
    holds(metadata, "token_endpoint_auth_methods_supported", "client_secret_post")


@condition("EnsureServerConfigurationSupportsPrivateKeyJwt")
def takes_assertions(metadata: Claims) -> None:
    """RFC 7523, and by which algorithms."""
    holds(metadata, "token_endpoint_auth_methods_supported", "private_key_jwt")
    holds(metadata, "token_endpoint_auth_signing_alg_values_supported", "PS256", "ES256")


@condition("ValidateJwksStructure")
def is_a_key_set(jwks: JWKS) -> None:
    """RFC 7517 §5: an array of objects, each with its type and the members of the type."""
    keys = jwks.get("keys")
    must(isinstance(keys, list) and keys, "there is no array of keys")
    for key in keys or ():
        must(isinstance(key, dict) and key.get("kty") in MEMBERS, "a key is no object of a known kty")
        must(MEMBERS[key["kty"]] <= key.keys(), f"the {key['kty']} key {key.get('kid')} lacks members")


@condition("CheckServerKeysIsValid")
def is_readable(jwks: JWKS) -> None:
    """Each key, by another library."""
    for key in jwks.get("keys", ()):
        try:
            import_key(dict(key))
        except (JoseError, ValueError, KeyError) as error:
            must(False, f"the key {key.get('kid')} cannot be read: {error}")


@condition("EnsureJwksHasNoPrivateOrSymmetricKeyMaterial")
def is_public(jwks: JWKS) -> None:
    """Nothing that signs is published."""
    for key in jwks.get("keys", ()):
        must(PRIVATE.isdisjoint(key) and key.get("kty") != "oct", f"the key {key.get('kid')} is not public")


@condition("CheckForKeyIdInServerJWKs")
def has_names(jwks: JWKS) -> None:
    """Each key has a kid."""
    must(all(key.get("kid") for key in jwks.get("keys", ())), "a key has no kid")


@condition("CheckDistinctKeyIdValueInServerJWKs")
def has_distinct_names(jwks: JWKS) -> None:
    """No kid names two keys."""
    twice = [kid for kid, count in Counter(key.get("kid") for key in jwks.get("keys", ())).items() if count > 1]
    must(not twice, f"several keys are called {twice}")


def keys_are_good(judge: Judge, jwks: JWKS) -> None:
    """All that is asked of a published key set."""
    for asks in (is_a_key_set, is_readable, is_public, has_names, has_distinct_names):
        asks(judge, jwks)
