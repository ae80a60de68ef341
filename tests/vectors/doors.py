"""The two ways in, each as a program would go that trusts a document's keys and nothing else.

The keys' own words decide the algorithm: nothing here looks at a token, at `alg`, `kty` or `use`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache

from tests.vectors.outside import Json
from watchword.errors import InvalidKey, InvalidToken
from watchword.jose import jwe, jws
from watchword.jose.jwk import key_set, public_key, shared_key, shared_key_set

LIMIT = 16_384
"""Bytes of the longest token."""
TYPES = ("", "jwt")
"""The vectors are of no kind in particular: hardly one has a `typ`."""


def trusted(group: Json) -> Mapping[str, jws.VerifyingKey]:
    """The group's verifying keys, or secrets where it has nothing public. Raises InvalidKey.

    A single key is also listed under "", for tokens that name none.
    """
    if "public" not in group:
        document = group["private"]
        return shared_key_set(document) if "keys" in document else alone(shared_key(document))
    document = group["public"]
    return key_set(document) if "keys" in document else alone(public_key(document))


def alone(key: jws.VerifyingKey) -> Mapping[str, jws.VerifyingKey]:
    return {key.kid: key, "": key}


def verified(token: str, group: Json) -> bytes | None:
    """The payload that one of the group's keys has signed; None for a refusal of the key or of the token."""
    try:
        return jws.verify(token, trusted(group), TYPES, LIMIT)[1]
    except (InvalidKey, InvalidToken):
        return None


def opened(token: str, jwk: Json, alg: str | None = None) -> bytes | None:
    """The plaintext that was encrypted to a private key; None for a refusal of the key or of the token."""
    keys = held(json.dumps(jwk), alg)
    try:
        return jwe.decrypt(token, keys, TYPES, LIMIT, TYPES)[1] if keys else None
    except InvalidToken:
        return None


@cache  # reading a private RSA key takes a tenth of a second
def held(jwk: str, alg: str | None = None) -> Mapping[str, jwe.DecryptionKey]:
    """What a program holds that opens with this private JWK; nothing if the key is refused."""
    try:
        key = jwe.decryption_key(json.loads(jwk), alg)
    except InvalidKey:
        return {}
    return {key.kid: key, "": key}
