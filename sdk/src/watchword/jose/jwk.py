"""Keys: JWK in, checked at the door (RFC 7517, RFC 7518 §6, RFC 8037); private keys made, loaded and used."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from watchword.errors import InvalidKey, WatchwordError
from watchword.jose.algorithms import ALGORITHMS, OF_CURVE, Algorithm, Check, Sign
from watchword.jose.b64 import b64url, unb64url
from watchword.jose.members import CURVES, PRIVATE, public_members, read_ec, read_ed25519, read_kid, read_rsa, read_text

RSA_NEW_BITS: Final = 2048
"""Modulus length of the RSA keys that are made here."""

_THUMBPRINT: Final[Mapping[str, tuple[str, ...]]] = {
    "EC": ("crv", "kty", "x", "y"),
    "OKP": ("crv", "kty", "x"),
    "RSA": ("e", "kty", "n"),
    "oct": ("k", "kty"),
}
_SIGNATURE_OPS: Final = frozenset(("sign", "verify"))


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key and the one algorithm that it is for. Equal when id, algorithm and material are."""

    kid: str
    alg: str
    thumbprint: str
    jwk: Mapping[str, object] = field(repr=False, compare=False)
    verify: Check = field(repr=False, compare=False)
    """`verify(message, signature)`, the signature as JWS has it; raises BadSignature."""


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A shared secret of a client that signs with its own: HMAC, never published, never for access tokens."""

    kid: str
    alg: str
    verify: Check = field(repr=False, compare=False)
    sign: Sign = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, named by its RFC 7638 thumbprint. Neither repr nor `public_jwk` shows what is private."""

    kid: str
    alg: str
    sign: Sign = field(repr=False, compare=False)
    """`sign(message)` returns the signature as JWS has it."""
    _private: Any = field(repr=False, compare=False)
    _jwk: Mapping[str, str] = field(repr=False, compare=False)

    @staticmethod
    def generate(alg: str) -> SigningKey:
        """A new key for one of the asymmetric algorithms; RSA keys have RSA_NEW_BITS. Raises InvalidKey."""
        row = _asymmetric(alg)
        if row.kty == "RSA":
            return _signing_key(rsa.generate_private_key(65537, RSA_NEW_BITS), row)
        if row.kty == "EC":
            return _signing_key(ec.generate_private_key(CURVES[str(row.crv)]), row)
        return _signing_key(ed25519.Ed25519PrivateKey.generate(), row)

    @staticmethod
    def load(pkcs8: bytes, alg: str) -> SigningKey:
        """The key that `pkcs8()` gave, for the same algorithm. Raises InvalidKey, also when it does not fit."""
        row = _asymmetric(alg)
        try:
            private = serialization.load_der_private_key(pkcs8, None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise InvalidKey("not an unencrypted PKCS #8 key that can sign") from error
        return _signing_key(private, row)

    def public_jwk(self) -> dict[str, str]:
        """The public half as it goes into a JWKS: with `kid`, `alg` and `use`."""
        return {**self._jwk, "kid": self.kid, "alg": self.alg, "use": "sig"}

    def pkcs8(self) -> bytes:
        """The private key, unencrypted, as DER (RFC 5958): seal it before it rests anywhere."""
        return bytes(
            self._private.private_bytes(
                serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


def public_key(jwk: Mapping[str, object], alg: str | None = None) -> PublicKey:
    """A signature key from its JWK (RFC 7517 §4). A JWK without `kid` is named by its thumbprint.

    The algorithm is the JWK's `alg`, or the curve's, or for RSA the argument; where several speak they must
    agree. Raises InvalidKey for anything weak, contradictory, private, symmetric or unknown.
    """
    row = _algorithm_of(jwk, alg)
    if not PRIVATE.isdisjoint(jwk):
        raise InvalidKey("private key where a public one is due")
    _must_be_for_signatures(jwk)
    try:
        key = _READERS[row.kty](jwk)
        name = thumbprint(jwk)
    except (WatchwordError, ValueError, UnsupportedAlgorithm) as error:
        raise InvalidKey(f"broken {row.kty} key: {error}") from error
    return PublicKey(read_kid(jwk, name), row.name, name, MappingProxyType(dict(jwk)), row.checker(key, row.hash))


def secret_key(secret: bytes, alg: str, kid: str) -> SecretKey:
    """An HMAC key, made from a secret on purpose and from nothing else (RFC 7518 §3.2). Raises InvalidKey."""
    row = ALGORITHMS.get(alg)
    if row is None or row.kty != "oct":
        raise InvalidKey("not an HMAC algorithm")
    if len(secret) < row.hash.digest_size:
        raise InvalidKey("HMAC secret shorter than the hash")
    return SecretKey(kid, alg, row.checker(secret, row.hash), row.signer(secret, row.hash))


def shared_key(jwk: Mapping[str, object], alg: str | None = None) -> SecretKey:
    """An HMAC key from its JWK (RFC 7518 §6.4), for who holds the secret on purpose: never from what others publish.

    The algorithm is the JWK's `alg` or the argument; where both speak they must agree. A JWK without `kid` is named
    by its thumbprint. Raises InvalidKey for anything short, contradictory or not `oct`.
    """
    names = {*([read_text(jwk, "alg")] if "alg" in jwk else []), *([alg] if alg is not None else [])}
    if len(names) != 1 or jwk.get("kty") != "oct":
        raise InvalidKey("not an oct key of one algorithm")
    _must_be_for_signatures(jwk)
    try:
        secret, name = unb64url(read_text(jwk, "k")), thumbprint(jwk)
    except WatchwordError:
        raise InvalidKey("broken oct key") from None  # no word of a secret, not even how it is broken
    return secret_key(secret, names.pop(), read_kid(jwk, name))


def shared_key_set(document: Mapping[str, object]) -> dict[str, SecretKey]:
    """The HMAC keys of a set that has nothing else, by `kid`. It is the reader's own: one bad member spoils it.

    Raises InvalidKey, also for two secrets of one `kid`.
    """
    members = _members(document)
    keys = {key.kid: key for key in map(shared_key, members)}
    if len(keys) != len(members):
        raise InvalidKey("two secrets of one kid")
    return keys


def key_set(document: Mapping[str, object]) -> dict[str, PublicKey]:
    """The usable signature keys of a JWKS by `kid` (RFC 7517 §5).

    A member that is broken, exotic, symmetric, for encryption, or a second of its `kid` is left out and costs
    the others nothing. Raises InvalidKey when the document is no JWKS at all.
    """
    keys: dict[str, PublicKey] = {}
    for member in _members(document):
        try:
            key = public_key(member)
        except InvalidKey:
            continue
        keys.setdefault(key.kid, key)
    return keys


def thumbprint(jwk: Mapping[str, object]) -> str:
    """The name that follows from the key itself: SHA-256 over its required members (RFC 7638 §3)."""
    members = _THUMBPRINT.get(str(jwk.get("kty")))
    if members is None:
        raise InvalidKey("unknown kty")
    text = msgspec.json.encode({name: read_text(jwk, name) for name in members})
    return b64url(hashlib.sha256(text).digest())


def _members(document: Mapping[str, object]) -> list[dict[str, object]]:
    members = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(members, list):
        raise InvalidKey("not a JWK set")
    return [member if isinstance(member, dict) else {} for member in members]


def _algorithm_of(jwk: Mapping[str, object], wanted: str | None) -> Algorithm:
    said = [read_text(jwk, "alg")] if "alg" in jwk else []
    implied = [OF_CURVE.get(read_text(jwk, "crv"), "")] if "crv" in jwk else []
    names = {*said, *implied, *([wanted] if wanted is not None else [])}
    if len(names) != 1:
        raise InvalidKey("no algorithm for the key, or contradicting ones")
    row = _asymmetric(names.pop())
    if row.kty != jwk.get("kty"):
        raise InvalidKey("kty and algorithm contradict each other")
    return row


def _asymmetric(alg: str) -> Algorithm:
    row = ALGORITHMS.get(alg)
    if row is None or row.kty == "oct":
        raise InvalidKey("not an asymmetric signature algorithm that is known")
    return row


def _must_be_for_signatures(jwk: Mapping[str, object]) -> None:
    if jwk.get("use", "sig") != "sig":
        raise InvalidKey("key is not for signatures")
    ops = jwk.get("key_ops", ["verify"])
    if not isinstance(ops, list) or not all(isinstance(op, str) for op in ops):
        raise InvalidKey("key_ops is not a list of strings")
    if len(set(ops)) != len(ops) or "verify" not in ops or not _SIGNATURE_OPS.issuperset(ops):
        raise InvalidKey("key_ops does not say that the key verifies, or says more")


_READERS: Final[Mapping[str, Callable[[Mapping[str, object]], Any]]] = {
    "RSA": read_rsa,
    "EC": read_ec,
    "OKP": read_ed25519,
}


def _signing_key(private: object, row: Algorithm) -> SigningKey:
    jwk = _public_members(private)
    key = public_key(jwk, row.name)  # the one door: what others would refuse is not signed with
    return SigningKey(key.kid, key.alg, row.signer(private, row.hash), private, jwk)


def _public_members(private: object) -> dict[str, str]:
    if isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        return public_members(private.public_key())
    raise InvalidKey("a private key of an unknown kind")
