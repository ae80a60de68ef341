"""One key in every form that the contestants want, made and converted before anything is measured."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.hashes import HashAlgorithm

from watchword.jose.algorithms import ALGORITHMS
from watchword.jose.jwk import SecretKey, SigningKey, secret_key

NAMES: Final = tuple(ALGORITHMS)
"""All that are measured: HS, RS, PS, ES with 256, 384 and 512, and EdDSA."""


@dataclass(frozen=True, slots=True)
class Material:
    """A key for one algorithm. For HMAC all four forms are the secret itself, and there is no JWK.

    `ours` signs for Watchword; `private` and `public` are objects of `cryptography`.
    """

    ours: SigningKey | SecretKey
    private: Any
    public: Any
    private_pem: bytes
    public_pem: bytes
    jwk: Mapping[str, str]

    @property
    def alg(self) -> str:
        """The one algorithm of the key."""
        return self.ours.alg

    @property
    def kid(self) -> str:
        """Its name, which every header carries."""
        return self.ours.kid

    @property
    def kty(self) -> str:
        """Its type (RFC 7518 §6.1)."""
        return ALGORITHMS[self.alg].kty

    @property
    def hash(self) -> HashAlgorithm:
        """The hash of its algorithm."""
        return ALGORITHMS[self.alg].hash


def generate(alg: str) -> Material:
    """A new key."""
    row = ALGORITHMS[alg]
    if row.kty == "oct":
        secret = secrets.token_bytes(row.hash.digest_size)
        return Material(secret_key(secret, alg, "bench"), secret, secret, secret, secret, {})
    key = SigningKey.generate(alg)
    private: Any = serialization.load_der_private_key(key.pkcs8(), None)
    public = private.public_key()
    private_pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public_pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Material(key, private, public, private_pem, public_pem, key.public_jwk())
