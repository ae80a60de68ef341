"""Public keys that look right and protect nothing: what import refuses beyond the syntax."""

from __future__ import annotations

from functools import cache
from typing import Final

RSA_BITS: Final = range(2048, 8192 + 1)
"""RFC 7518 §3.3 demands 2048; beyond 8192 one verification becomes an attack on our CPU."""
RSA_EXPONENTS: Final = range(2**16 + 1, 2**32, 2)
"""Odd and above 2^16 (FIPS 186-5 §5.1); beyond 2^32 verifying only gets slower."""

_ROCA_PRIMES: Final = (
    *(3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97),
    *(101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167),
)
_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P
_ORDER_8: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
# The five y of the eight points whose order divides the cofactor: 4, 1, 2 and 8. As u = (1 + y) / (1 - y) they are
# those of X25519 (RFC 7748 §4.1), but that y = 1 is at infinity there, and that -1 has order 4 on the curve's twist.
_SMALL_Y: Final = frozenset((0, 1, _P - 1, _ORDER_8, _P - _ORDER_8))
_SMALL_U: Final = frozenset((_P - 1, *((1 + y) * pow(1 - y, -1, _P) % _P for y in _SMALL_Y - {1})))


def rsa_fault(n: int, e: int) -> str | None:
    """What is wrong with an RSA public key, or None."""
    if n.bit_length() not in RSA_BITS:
        return "RSA modulus is too short or too long"
    if n % 2 == 0:
        return "RSA modulus is even"
    if e not in RSA_EXPONENTS:
        return "RSA exponent is even, too small or too large"
    if all(n % prime in residues for prime, residues in _roca_residues()):
        return "RSA modulus comes from a broken generator (ROCA, CVE-2017-15361)"
    return None


@cache
def _roca_residues() -> tuple[tuple[int, frozenset[int]], ...]:
    """The powers of 65537 modulo each small prime: a ROCA modulus is one for every prime."""
    return tuple((prime, frozenset(pow(65537, k, prime) for k in range(prime))) for prime in _ROCA_PRIMES)


def ed25519_fault(x: bytes) -> str | None:
    """What is wrong with an encoded Ed25519 point (RFC 8032 §5.1.3), or None."""
    y = int.from_bytes(x, "little") & (2**255 - 1)
    if y >= _P:
        return "Ed25519 point is not in canonical form"
    square = (y * y - 1) * (_D * y * y + 1) % _P  # x² is their quotient: a square exactly when the product is
    if square and pow(square, _P // 2, _P) != 1:  # Euler's criterion
        return "Ed25519 point is not on the curve"
    if y in _SMALL_Y:
        return "Ed25519 point has a small order: anything verifies under it"
    return None


def x25519_fault(x: bytes) -> str | None:
    """What is wrong with an X25519 u-coordinate (RFC 7748 §5, §6.1), or None.

    RFC 7748 reads a coordinate of 2^255 - 19 or more as its remainder; here a key has one spelling, and so one name.
    """
    u = int.from_bytes(x, "little")
    if u >= _P:
        return "X25519 coordinate is not in canonical form"
    return "X25519 point has a small order: everybody knows what is agreed with it" if u in _SMALL_U else None
