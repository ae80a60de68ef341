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
_A: Final = 486662


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
    over, under = (y * y - 1) % _P, (_D * y * y + 1) % _P
    square = over * pow(under, -1, _P) % _P
    if square and pow(square, (_P - 1) // 2, _P) != 1:
        return "Ed25519 point is not on the curve"
    if _has_small_order(square, y):
        return "Ed25519 point has a small order: anything verifies under it"
    return None


def _has_small_order(square: int, y: int) -> bool:
    """Whether eight times the point (x² = `square`, y) is the identity: doubling thrice, in x² and y alone."""
    for _ in range(3):
        # The doubled y is (y² + x²) / (2 - (y² - x²)), and x² follows from y by the curve's equation.
        numerator, denominator = y * y + square, 2 - y * y + square
        y = numerator * pow(denominator, -1, _P) % _P
        square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    return y == 1


def x25519_fault(x: bytes) -> str | None:
    """What is wrong with an X25519 u-coordinate (RFC 7748 §5, §6.1), or None.

    RFC 7748 reads a coordinate of 2^255 - 19 or more as its remainder; here a key has one spelling, and so one name.
    """
    u = int.from_bytes(x, "little")
    if u >= _P:
        return "X25519 coordinate is not in canonical form"
    over, under = u, 1
    for _ in range(3):
        # Doubling on the curve or its twist, as a fraction: infinity, which is what a small order reaches, is n/0.
        square, cross = over * over % _P, over * under % _P
        rest = under * under % _P
        over, under = (square - rest) ** 2 % _P, 4 * cross * (square + _A * cross + rest) % _P
    return None if under else "X25519 point has a small order: everybody knows what is agreed with it"
