"""The kinds of key that encrypt, one row each: RSA, the three curves of RFC 7518 §6.2, and X25519 (RFC 8037)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519

from watchword.errors import InvalidKey
from watchword.jose.b64 import b64url
from watchword.jose.jwk import RSA_NEW_BITS
from watchword.jose.members import CURVES, read_ec, read_octets, read_rsa, read_uint, read_x25519, write_uint

Jwk = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Material:
    """A row: how keys of one `kty` and `crv` are read, written and made."""

    kty: str
    crv: str
    # Any: each row's functions take and give the key classes of their own kind.
    read: Callable[[Jwk], Any]
    read_private: Callable[[Jwk], Any]
    write_private: Callable[[Any], dict[str, str]]
    generate: Callable[[], Any]
    joserfc: str
    """The class in joserfc.jwk that holds such a key."""
    public_ops: frozenset[str]
    private_ops: frozenset[str]


def _read_private_rsa(jwk: Jwk) -> rsa.RSAPrivateKey:
    public = read_rsa(jwk).public_numbers()
    d, p, q, dp, dq, qi = (read_uint(jwk, name) for name in ("d", "p", "q", "dp", "dq", "qi"))
    return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, public).private_key()  # refuses what does not belong together


def _read_private_ec(jwk: Jwk) -> ec.EllipticCurvePrivateKey:
    public = read_ec(jwk)
    scalar = int.from_bytes(read_octets(jwk, "d", (public.key_size + 7) // 8), "big")
    private = ec.derive_private_key(scalar, public.curve)
    if private.public_key() != public:
        raise InvalidKey("d does not belong to x and y")
    return private


def _read_private_x25519(jwk: Jwk) -> x25519.X25519PrivateKey:
    public = read_x25519(jwk)
    private = x25519.X25519PrivateKey.from_private_bytes(read_octets(jwk, "d", 32))
    if private.public_key() != public:
        raise InvalidKey("d does not belong to x")
    return private


def _write_private_rsa(key: rsa.RSAPrivateKey) -> dict[str, str]:
    all_of = key.private_numbers()
    named = {"d": all_of.d, "p": all_of.p, "q": all_of.q, "dp": all_of.dmp1, "dq": all_of.dmq1, "qi": all_of.iqmp}
    return {name: write_uint(number) for name, number in named.items()}


def _write_private_ec(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    return {"d": write_uint(key.private_numbers().private_value, (key.key_size + 7) // 8)}


def _write_private_x25519(key: x25519.X25519PrivateKey) -> dict[str, str]:
    return {"d": b64url(key.private_bytes_raw())}


def _generate_rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, RSA_NEW_BITS)


def _generate_ec(crv: str) -> Callable[[], ec.EllipticCurvePrivateKey]:
    return lambda: ec.generate_private_key(CURVES[crv])


_DERIVE, _SEAL, _OPEN = map(frozenset, (("deriveKey", "deriveBits"), ("encrypt", "wrapKey"), ("decrypt", "unwrapKey")))
_EC: Final = (read_ec, _read_private_ec, _write_private_ec)
_X25519: Final = (read_x25519, _read_private_x25519, _write_private_x25519)
_RSA: Final = (read_rsa, _read_private_rsa, _write_private_rsa)

# fmt: off
MATERIALS: Final[Mapping[tuple[str, str], Material]] = {(row.kty, row.crv): row for row in (
    #        kty    crv       readers, writer  generate                          joserfc   public_ops  private_ops
    Material("RSA", "",       *_RSA,           _generate_rsa,                    "RSAKey", _SEAL,      _OPEN),
    Material("EC",  "P-256",  *_EC,            _generate_ec("P-256"),            "ECKey",  _DERIVE,    _DERIVE),
    Material("EC",  "P-384",  *_EC,            _generate_ec("P-384"),            "ECKey",  _DERIVE,    _DERIVE),
    Material("EC",  "P-521",  *_EC,            _generate_ec("P-521"),            "ECKey",  _DERIVE,    _DERIVE),
    Material("OKP", "X25519", *_X25519,        x25519.X25519PrivateKey.generate, "OKPKey", _DERIVE,    _DERIVE),
)}
# fmt: on
