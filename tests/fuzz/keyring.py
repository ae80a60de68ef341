"""The fuzzers' own keys: the same at every run, so that a finding is a file that can be tried again."""

from __future__ import annotations

import hashlib
from functools import cache
from random import Random
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519

from watchword.jose.jwk import SigningKey

_CURVES: Final = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
_BASES: Final = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
_SIEVE: Final = tuple(n for n in range(3, 2000, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2)))


@cache
def signing_key(alg: str, name: str = "trusted") -> SigningKey:
    """The key of this name for a signature algorithm."""
    pkcs8 = private_key(alg, name).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return SigningKey.load(pkcs8, alg)


def private_key(alg: str, name: str) -> Any:
    """The private key that `signing_key` wraps."""
    seed = hashlib.sha512(f"watchword fuzz {alg[:2]} {name}".encode()).digest()
    if alg == "EdDSA":
        return ed25519.Ed25519PrivateKey.from_private_bytes(seed[:32])
    if alg in _CURVES:
        return ec.derive_private_key(int.from_bytes(seed[:31], "big"), _CURVES[alg])
    return rsa_key(name)


def ec_key(crv: str, name: str) -> ec.EllipticCurvePrivateKey:
    """A key for an agreement on one of the curves of the NIST."""
    curve = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}[crv]
    return ec.derive_private_key(int.from_bytes(hashlib.sha256(f"{crv} {name}".encode()).digest()[:31], "big"), curve)


def x25519_key(name: str) -> x25519.X25519PrivateKey:
    """A key for an agreement on X25519."""
    return x25519.X25519PrivateKey.from_private_bytes(hashlib.sha256(f"X25519 {name}".encode()).digest())


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """An RSA key from two primes that follow from the name. For tests only: nothing here resists anybody."""
    chance = Random(f"watchword fuzz RSA {name} {bits}")
    p, q = _prime(bits // 2, chance), _prime(bits - bits // 2, chance)
    d = pow(65537, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    return rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public).private_key()


def _prime(bits: int, chance: Random) -> int:
    while True:
        n = chance.getrandbits(bits) | 3 << bits - 2 | 1
        if n % 65537 != 1 and all(n % prime for prime in _SIEVE) and all(_passes(n, base) for base in _BASES):
            return n


def _passes(n: int, base: int) -> bool:
    """Miller and Rabin's test."""
    odd = n - 1
    twos = (odd & -odd).bit_length() - 1
    x = pow(base, odd >> twos, n)
    for _ in range(twos - 1):
        if x in (1, n - 1):
            break
        x = x * x % n
        if x == 1:
            return False
    return x in (1, n - 1)
