"""The members of a JWK, each in the one spelling that its RFC allows (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519

from watchword.errors import InvalidKey
from watchword.jose.b64 import b64url, unb64url
from watchword.jose.weak import ed25519_fault, rsa_fault, x25519_fault

MAX_KID: Final = 256
"""Characters of the longest key id."""
CURVES: Final[Mapping[str, ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}
PRIVATE: Final = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"))
"""What no public key has."""


def read_text(jwk: Mapping[str, object], name: str) -> str:
    """A member that is a string. Raises InvalidKey."""
    value = jwk.get(name)
    if not isinstance(value, str):
        raise InvalidKey(f"{name} is missing or not a string")
    return value


def read_kid(jwk: Mapping[str, object], otherwise: str) -> str:
    """The key's id, or `otherwise` for a key that has none. Raises InvalidKey."""
    kid = jwk.get("kid", otherwise)
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID:
        raise InvalidKey("kid is not a string of a sensible length")
    return kid


def read_uint(jwk: Mapping[str, object], name: str) -> int:
    """A Base64urlUInt: big-endian, at least one octet, no leading zero (RFC 7518 §2)."""
    data = unb64url(read_text(jwk, name))
    if not data or data[0] == 0:
        raise InvalidKey(f"{name} is not in its shortest form")
    return int.from_bytes(data, "big")


def read_octets(jwk: Mapping[str, object], name: str, size: int) -> bytes:
    """A member of exactly so many bytes."""
    data = unb64url(read_text(jwk, name))
    if len(data) != size:
        raise InvalidKey(f"{name} has a wrong length")
    return data


def read_rsa(jwk: Mapping[str, object]) -> rsa.RSAPublicKey:
    """The public key of an RSA JWK that is not weak (RFC 7518 §6.3.1)."""
    n, e = read_uint(jwk, "n"), read_uint(jwk, "e")
    if fault := rsa_fault(n, e):
        raise InvalidKey(fault)
    return rsa.RSAPublicNumbers(e, n).public_key()


def read_ec(jwk: Mapping[str, object]) -> ec.EllipticCurvePublicKey:
    """The public key of an EC JWK on one of CURVES (RFC 7518 §6.2.1)."""
    curve = CURVES[read_text(jwk, "crv")]
    size = (curve.key_size + 7) // 8
    # from_encoded_point refuses what is not on the curve.
    point = b"\x04" + read_octets(jwk, "x", size) + read_octets(jwk, "y", size)
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, point)


def read_ed25519(jwk: Mapping[str, object]) -> ed25519.Ed25519PublicKey:
    """The public key of an Ed25519 JWK (RFC 8037 §2)."""
    point = read_octets(jwk, "x", 32)
    if fault := ed25519_fault(point):
        raise InvalidKey(fault)
    return ed25519.Ed25519PublicKey.from_public_bytes(point)


def read_x25519(jwk: Mapping[str, object]) -> x25519.X25519PublicKey:
    """The public key of an X25519 JWK (RFC 8037 §2)."""
    u = read_octets(jwk, "x", 32)
    if fault := x25519_fault(u):
        raise InvalidKey(fault)
    return x25519.X25519PublicKey.from_public_bytes(u)


def write_uint(number: int, size: int = 0) -> str:
    """A number in its shortest form, or in so many bytes."""
    return b64url(number.to_bytes(size or (number.bit_length() + 7) // 8, "big"))


def public_members(
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | x25519.X25519PublicKey,
) -> dict[str, str]:
    """The JWK of a public key, by its required members only."""
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {"kty": "RSA", "n": write_uint(numbers.n), "e": write_uint(numbers.e)}
    if isinstance(key, ec.EllipticCurvePublicKey):
        point, size = key.public_numbers(), (key.key_size + 7) // 8
        crv = next((name for name, curve in CURVES.items() if curve.name == key.curve.name), "")
        return {"kty": "EC", "crv": crv, "x": write_uint(point.x, size), "y": write_uint(point.y, size)}
    crv = "Ed25519" if isinstance(key, ed25519.Ed25519PublicKey) else "X25519"
    return {"kty": "OKP", "crv": crv, "x": b64url(key.public_bytes_raw())}
