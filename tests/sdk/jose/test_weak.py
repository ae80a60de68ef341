"""Public keys that look right and protect nothing: exactly which ones, by the plainest arithmetic there is."""

from __future__ import annotations

from math import prod

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from hypothesis import example, given
from hypothesis import strategies as st

from watchword.jose.weak import ed25519_fault, rsa_fault, x25519_fault

E = 65537
LENGTH = "RSA modulus is too short or too long"
EXPONENT = "RSA exponent is even, too small or too large"
ROCA = "RSA modulus comes from a broken generator (ROCA, CVE-2017-15361)"
# The fingerprint as its finders published it: all odd primes up to 167.
PRIMES = [number for number in range(3, 168) if all(number % other for other in range(2, number))]


@pytest.mark.parametrize(("bits", "fault"), [(2047, LENGTH), (2048, None), (8192, None), (8193, LENGTH)])
def test_a_modulus_has_2048_to_8192_bits(bits: int, fault: str | None) -> None:
    """Both ends included, for the least and the greatest number of that length (RFC 7518 §3.3)."""
    assert rsa_fault((1 << bits - 1) + 1, E) == fault
    assert rsa_fault((1 << bits) - 1, E) == fault


def test_a_modulus_is_odd() -> None:
    """An even one is no product of two large primes."""
    assert rsa_fault((1 << 2047) + 2, E) == "RSA modulus is even"


@pytest.mark.parametrize(
    ("exponent", "fault"),
    [
        *((odd, None) for odd in (65537, 65539, 2**31 - 1, 2**31 + 1, 2**32 - 1)),
        *((even, EXPONENT) for even in (0, 2, 65536, 65538, 2**32 - 2, 2**32)),
        *((small, EXPONENT) for small in (-65537, 1, 3, 17, 257, 32769, 65535)),
        *((large, EXPONENT) for large in (2**32 + 1, 2**64 + 1)),
    ],
)
def test_an_exponent_is_odd_and_has_17_to_32_bits(exponent: int, fault: str | None) -> None:
    """FIPS 186-5 §5.1 from below, the cost of a verification from above."""
    assert rsa_fault((1 << 2047) + 1, exponent) == fault


def crt(residues: dict[int, int], times: int) -> int:
    """A number of 2048 bits that leaves these residues, and is odd; another one for each `times`."""
    modulus = prod(residues)
    found = sum(left * (modulus // prime) * pow(modulus // prime, -1, prime) for prime, left in residues.items())
    found += modulus * ((1 << 2047) // modulus + 2 * times)
    return found if found % 2 else found + modulus


@pytest.mark.parametrize("power", range(12))
def test_a_modulus_of_the_broken_generator_is_known_by_its_residues(power: int) -> None:
    """CVE-2017-15361: a power of 65537 modulo each of the primes, not the same power for each."""
    residues = {prime: pow(E, power * place + 1, prime) for place, prime in enumerate(PRIMES, 1)}
    assert rsa_fault(crt(residues, power), E) == ROCA


@pytest.mark.parametrize("prime", PRIMES)
def test_one_residue_that_does_not_fit_clears_a_modulus(prime: int) -> None:
    """No prime is asked in vain, and none is missing: zero is no power of 65537."""
    residues = dict.fromkeys(PRIMES, 1) | {prime: 0}
    assert rsa_fault(crt(residues, 1), E) is None


P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
NOT_CANONICAL = "Ed25519 point is not in canonical form"
OFF = "Ed25519 point is not on the curve"
SMALL = "Ed25519 point has a small order: anything verifies under it"
ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
"""The y of the points of order 8, but for its sign."""


def decoded(data: bytes) -> tuple[int, int] | str:
    """The point, x of whichever sign, or what is wrong, step by step as in RFC 8032 §5.1.3."""
    y = int.from_bytes(data, "little") % 2**255
    if y >= P:
        return NOT_CANONICAL
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    return (x, y) if x * x % P == square else OFF


def added(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    """The complete addition law of RFC 8032 §5.1.4, in affine coordinates."""
    (x1, y1), (x2, y2) = one, other
    cross = D * x1 * x2 * y1 * y2
    return (
        (x1 * y2 + x2 * y1) * pow(1 + cross, P - 2, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - cross, P - 2, P) % P,
    )


def expected(data: bytes) -> str | None:
    """What should be said of an encoded point: eight times a point of small order is (0, 1)."""
    point = decoded(data)
    if isinstance(point, str):
        return point
    for _ in range(3):
        point = added(point, point)
    return SMALL if point == (0, 1) else None


def encoded(y: int, sign: int = 0) -> bytes:
    """32 bytes, little-endian, with the sign of x on top."""
    return (y | sign << 255).to_bytes(32, "little")


@given(st.integers(0, 2**255 - 1), st.integers(0, 1))
@example(0, 0)
@example(1, 0)
@example(1, 1)
@example(2, 0)
@example(P - 1, 1)
@example(P, 0)
@example(P + 1, 0)
@example(P + 18, 1)
@example(ORDER_8, 0)
@example(P - ORDER_8, 1)
def test_an_ed25519_point_is_judged_as_the_rfc_decodes_it(y: int, sign: int) -> None:
    """Half of all numbers are off the curve, 19 are not canonical, and 8 points have a small order."""
    assert ed25519_fault(encoded(y, sign)) == expected(encoded(y, sign))


@pytest.mark.parametrize("y", [0, 1, P - 1, ORDER_8, P - ORDER_8])
@pytest.mark.parametrize("sign", [0, 1])
def test_every_point_of_small_order_is_refused(y: int, sign: int) -> None:
    """With either sign: order 1, 2, 4 and 8 are all there are."""
    assert ed25519_fault(encoded(y, sign)) == SMALL


def test_every_key_that_is_made_is_good() -> None:
    """Nobody's honest key is refused."""
    for _ in range(20):
        assert ed25519_fault(ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()) is None
        assert x25519_fault(x25519.X25519PrivateKey.generate().public_key().public_bytes_raw()) is None


ORDER_8_MONTGOMERY = (
    0x00B8495F16056286FDB1329CEB8D09DA6AC49FF1FAE35616AEB8413B7C7AEBE0,
    0x57119FD0DD4E22D8868E1C58C45C44045BEF839C55B1D0B1248C50A3BC959C5F,
)
X_NOT_CANONICAL = "X25519 coordinate is not in canonical form"
X_SMALL = "X25519 point has a small order: everybody knows what is agreed with it"


@pytest.mark.parametrize("u", [0, 1, P - 1, *ORDER_8_MONTGOMERY])
def test_every_coordinate_of_small_order_is_refused(u: int) -> None:
    """On the curve and on its twist (RFC 7748 §6.1)."""
    assert x25519_fault(encoded(u)) == X_SMALL


@pytest.mark.parametrize("u", [P, P + 1, P + 9, 2**255 - 1, 2**255, 2**255 + 9, 2**256 - 1])
def test_a_coordinate_has_one_spelling(u: int) -> None:
    """Neither a remainder nor the top bit, which RFC 7748 §5 would both pass over."""
    assert x25519_fault(encoded(u)) == X_NOT_CANONICAL


@given(st.integers(0, P - 1))
@example(2)
@example(9)
@example(P - 2)
def test_a_coordinate_is_refused_exactly_when_openssl_would_agree_on_nothing(u: int) -> None:
    """OpenSSL finds an agreement of zeros; it holds for any private key, so for this one."""
    try:
        x25519.X25519PrivateKey.from_private_bytes(bytes(range(32))).exchange(
            x25519.X25519PublicKey.from_public_bytes(encoded(u))
        )
    except ValueError:
        assert x25519_fault(encoded(u)) == X_SMALL
    else:
        assert x25519_fault(encoded(u)) is None
