"""Whether a key is sound, by the textbook: the curves' equations and groups, in plain integers."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import x25519

from tests.fuzz import reference
from tests.fuzz.target import Violation

Point = tuple[int, int]

# Curve parameters of FIPS 186-5 (SP 800-186 §3.2.1): a = -3, and p, b, and the order n.
_P256: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
_P384: Final = 2**384 - 2**128 - 2**96 + 2**32 - 1
_P521: Final = 2**521 - 1
_CURVES: Final = {
    "P-256": (_P256, 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B),
    "P-384": (
        _P384,
        0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
    ),
    "P-521": (
        _P521,
        0x051953EB9618E1C9A1F929A21A0B68540EEA2DA725B99B315F3B8B489918EF109E156193951EC7E937B1652C0BD3BB1BF073573DF883D2C34F1EF451FD46B503F00,
    ),
}
_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P
_ODD_PRIMES: Final = tuple(n for n in range(3, 168, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2)))
ROCA_PRODUCT: Final = 2 * prod(_ODD_PRIMES)


def must_be_sound(jwk: Mapping[str, Any]) -> None:
    """Raises Violation for a public half that nobody should trust."""
    match jwk["kty"], jwk.get("crv"):
        case "RSA", _:
            _must_be_sound_rsa(_uint(jwk["n"]), _uint(jwk["e"]))
        case "EC", str(crv):
            _must_be_on_curve(crv, _octets(jwk["x"], crv), _octets(jwk["y"], crv))
        case "OKP", "Ed25519":
            if not _has_large_order(_decoded_point(int.from_bytes(reference.decoded(jwk["x"].encode()), "little"))):
                raise Violation("an Ed25519 point of small order")
        case "OKP", "X25519":
            _must_agree_on_a_secret(reference.decoded(jwk["x"].encode()))
        case _:
            raise Violation("a key of an unknown kind")


def must_belong_together(jwk: Mapping[str, Any]) -> None:
    """Raises Violation unless the private half is the public one's."""
    if jwk["kty"] == "RSA":
        n, e, d, p, q = (_uint(jwk[name]) for name in ("n", "e", "d", "p", "q"))
        if p * q != n or min(p, q) < 2 or any(pow(pow(base, e, n), d, n) != base for base in (2, 3, 65537)):
            raise Violation("an RSA key whose halves do not belong together")
        if _uint(jwk["dp"]) != d % (p - 1) or _uint(jwk["dq"]) != d % (q - 1) or _uint(jwk["qi"]) * q % p != 1:
            raise Violation("an RSA key whose parts do not belong together")
    elif jwk["crv"] == "X25519":
        private = x25519.X25519PrivateKey.from_private_bytes(reference.decoded(jwk["d"].encode()))
        if private.public_key().public_bytes_raw() != reference.decoded(jwk["x"].encode()):
            raise Violation("an X25519 key whose halves do not belong together")
    elif not _octets(jwk["d"], jwk["crv"]) > 0:
        raise Violation("a private scalar of nought")


def small_order_points() -> tuple[int, ...]:
    """The encodings of every Ed25519 point whose order divides 8."""
    encodings = (1, _P - 1, 0, *_ordinates_of_order_8())
    return tuple(sorted({y | sign << 255 for y in encodings for sign in (0, 1)}))


def _ordinates_of_order_8() -> tuple[int, ...]:
    """The four points whose double has y = 0: d·y⁴ + 2·y² - 1 = 0."""
    root = _root(1 + _D)
    found = set()
    for square in ((-1 + sign * root) * pow(_D, -1, _P) % _P for sign in (1, -1)):
        if pow(square, (_P - 1) // 2, _P) == 1:
            y = _root(square)
            found |= {y, _P - y}
    return tuple(sorted(found))


def _root(square: int) -> int:
    """A square root modulo 2^255 - 19 (RFC 8032 §5.1.3)."""
    candidate = pow(square, (_P + 3) // 8, _P)
    if candidate * candidate % _P != square % _P:
        candidate = candidate * pow(2, (_P - 1) // 4, _P) % _P
    if candidate * candidate % _P != square % _P:
        raise ValueError("no square")
    return candidate


def _uint(text: str) -> int:
    data = reference.decoded(text.encode())
    if not data or data[0] == 0:
        raise Violation("a number with a zero in front")
    return int.from_bytes(data, "big")


def _octets(text: str, crv: str) -> int:
    data = reference.decoded(text.encode())
    if len(data) != {"P-256": 32, "P-384": 48, "P-521": 66}[crv]:
        raise Violation("a coordinate of a wrong length")
    return int.from_bytes(data, "big")


def _must_be_sound_rsa(n: int, e: int) -> None:
    if not 2048 <= n.bit_length() <= 8192 or n % 2 == 0:
        raise Violation("an RSA modulus that is too short, too long or even")
    if not 65537 <= e < 2**32 or e % 2 == 0:
        raise Violation("an RSA exponent that is too small, too large or even")
    # 65537 generates a subgroup modulo each small prime; a ROCA modulus lies in all of them.
    if all(pow(n, _order(prime), prime) == 1 for prime in _ODD_PRIMES):
        raise Violation("an RSA modulus of the broken generator")


def _order(prime: int) -> int:
    power, order = 65537 % prime, 1
    while power != 1:
        power, order = power * 65537 % prime, order + 1
    return order


def _must_be_on_curve(crv: str, x: int, y: int) -> None:
    p, b = _CURVES[crv]
    if not (0 <= x < p and 0 <= y < p) or (y * y - x * x * x + 3 * x - b) % p:
        raise Violation("a point off its curve")


def _decoded_point(encoded: int) -> Point:
    y, sign = encoded & (1 << 255) - 1, encoded >> 255
    if y >= _P:
        raise Violation("an Ed25519 point in a second spelling")
    try:
        x = _root((y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P)
    except ValueError:
        raise Violation("an Ed25519 point off its curve") from None
    return (x if x % 2 == sign else -x % _P), y


def _has_large_order(point: Point) -> bool:
    for _ in range(3):
        point = _sum(point, point)
    return point != (0, 1)


def _sum(one: Point, other: Point) -> Point:
    """RFC 8032 §5.1: addition on the twisted Edwards curve, in affine coordinates."""
    (x1, y1), (x2, y2) = one, other
    cross = _D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + cross, -1, _P)
    y = (y1 * y2 + x1 * x2) * pow(1 - cross, -1, _P)
    return x % _P, y % _P


def _must_agree_on_a_secret(u: bytes) -> None:
    if len(u) != 32 or int.from_bytes(u, "little") >= _P:
        raise Violation("an X25519 coordinate in a second spelling")
    try:
        x25519.X25519PrivateKey.from_private_bytes(b"\1" * 32).exchange(x25519.X25519PublicKey.from_public_bytes(u))
    except ValueError:
        raise Violation("an X25519 point of small order") from None
