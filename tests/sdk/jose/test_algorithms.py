"""The table of algorithms, row by row, and the two spellings of an ECDSA signature."""

from __future__ import annotations

import hmac
from dataclasses import FrozenInstanceError

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from hypothesis import given
from hypothesis import strategies as st

from watchword.errors import BadSignature
from watchword.jose.algorithms import ALGORITHMS, OF_CURVE, _der, _heads, _raw

# fmt: off
ROWS = {  # RFC 7518 §3.1, RFC 8037 §3.1
    "HS256": ("oct", None,      "sha256"), "HS384": ("oct", None,    "sha384"), "HS512": ("oct", None,    "sha512"),
    "RS256": ("RSA", None,      "sha256"), "RS384": ("RSA", None,    "sha384"), "RS512": ("RSA", None,    "sha512"),
    "PS256": ("RSA", None,      "sha256"), "PS384": ("RSA", None,    "sha384"), "PS512": ("RSA", None,    "sha512"),
    "ES256": ("EC",  "P-256",   "sha256"), "ES384": ("EC",  "P-384", "sha384"), "ES512": ("EC",  "P-521", "sha512"),
    "EdDSA": ("OKP", "Ed25519", "sha512"),
}
# fmt: on
HASHES: dict[str, HashAlgorithm] = {"256": SHA256(), "384": SHA384(), "512": SHA512()}
RSA = rsa.generate_private_key(65537, 2048)
ODD = rsa.generate_private_key(65537, 2050)
"""A modulus that fills no whole number of bytes."""
ED = ed25519.Ed25519PrivateKey.generate()
CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
EC = {alg: ec.generate_private_key(curve) for alg, curve in CURVES.items()}
MESSAGE = b"message"


def test_the_table_is_that_of_the_rfcs() -> None:
    """No row missing, none too many: `none` is not an algorithm."""
    assert {name: (row.kty, row.crv, row.hash.name) for name, row in ALGORITHMS.items()} == ROWS
    assert all(name == row.name for name, row in ALGORITHMS.items())
    assert OF_CURVE == {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA"}


def test_a_row_does_not_change() -> None:
    """Nobody turns one algorithm into another at run time."""
    with pytest.raises(FrozenInstanceError):
        ALGORITHMS["HS256"].name = "none"  # type: ignore[misc]  # that is the point
    assert not hasattr(ALGORITHMS["HS256"], "__dict__")


@pytest.mark.parametrize("bits", HASHES)
def test_hmac_is_that_of_the_standard_library(bits: str) -> None:
    """Both ways, and not a byte more or less."""
    row, secret = ALGORITHMS[f"HS{bits}"], bytes(range(100))
    expected = hmac.new(secret, MESSAGE, f"sha{bits}").digest()
    assert row.signer(secret, row.hash)(MESSAGE) == expected
    check = row.checker(secret, row.hash)
    check(MESSAGE, expected)
    for wrong in (
        expected[:-1],
        expected + b"\0",
        b"",
        bytes(len(expected)),
        expected[:-1] + bytes([expected[-1] ^ 1]),
    ):
        with pytest.raises(BadSignature):
            check(MESSAGE, wrong)


def padding_of(alg: str) -> padding.AsymmetricPadding:
    """RFC 7518 §3.3 and §3.5: PSS with the same hash in MGF1 and a salt of the hash's length."""
    found = HASHES[alg[2:]]
    return padding.PSS(padding.MGF1(found), found.digest_size) if alg[0] == "P" else padding.PKCS1v15()


@pytest.mark.parametrize("private", [RSA, ODD], ids=["2048 bits", "2050 bits"])
@pytest.mark.parametrize("alg", [f"{kind}{bits}" for kind in ("RS", "PS") for bits in HASHES])
def test_rsa_is_that_of_the_library(alg: str, private: rsa.RSAPrivateKey) -> None:
    """What either signs, the other verifies, with exactly this padding."""
    row, scheme, found = ALGORITHMS[alg], padding_of(alg), HASHES[alg[2:]]
    private.public_key().verify(row.signer(private, row.hash)(MESSAGE), MESSAGE, scheme, found)
    row.checker(private.public_key(), row.hash)(MESSAGE, private.sign(MESSAGE, scheme, found))


@pytest.mark.parametrize("alg", ["PS256", "PS384", "PS512"])
def test_a_salt_of_another_length_or_another_mask_is_refused(alg: str) -> None:
    """RFC 7518 §3.5 leaves no choice, so neither does the verifier."""
    row, found = ALGORITHMS[alg], HASHES[alg[2:]]
    other = HASHES["384" if alg != "PS384" else "256"]
    schemes = [
        padding.PSS(padding.MGF1(found), found.digest_size - 1),
        padding.PSS(padding.MGF1(found), 0),
        padding.PSS(padding.MGF1(found), padding.PSS.MAX_LENGTH),
        padding.PSS(padding.MGF1(other), found.digest_size),
    ]
    for scheme in schemes:
        with pytest.raises(BadSignature, match="wrong RSA signature"):
            row.checker(RSA.public_key(), row.hash)(MESSAGE, RSA.sign(MESSAGE, scheme, found))


@pytest.mark.parametrize(("private", "size"), [(RSA, 256), (ODD, 257)], ids=["2048 bits", "2050 bits"])
def test_an_rsa_signature_is_as_long_as_the_modulus(private: rsa.RSAPrivateKey, size: int) -> None:
    """Any other length is refused as such, before the arithmetic (RFC 8017 §8.2.2)."""
    row = ALGORITHMS["RS256"]
    check = row.checker(private.public_key(), row.hash)
    good = row.signer(private, row.hash)(MESSAGE)
    assert len(good) == size
    check(MESSAGE, good)
    with pytest.raises(BadSignature, match="wrong RSA signature"):
        check(b"another", good)
    for wrong in (good[:-1], b"\0" + good, good + b"\0", b""):
        with pytest.raises(BadSignature, match="wrong length"):
            check(MESSAGE, wrong)


@pytest.mark.parametrize(("bits", "size"), [(2048, 256), (2049, 257), (2050, 257), (2056, 257), (2057, 258)])
def test_a_modulus_of_any_length_fills_whole_bytes(bits: int, size: int) -> None:
    """RFC 8017 §8.2.1: k octets, however many bits of the first one are used."""
    odd = rsa.RSAPublicNumbers(65537, (1 << bits - 1) + 1).public_key()
    check = ALGORITHMS["RS256"].checker(odd, SHA256())
    with pytest.raises(BadSignature, match="wrong RSA signature"):
        check(MESSAGE, bytes(size - 1) + b"\1")
    for wrong in (size - 1, size + 1):
        with pytest.raises(BadSignature, match="wrong length"):
            check(MESSAGE, bytes(wrong))


@pytest.mark.parametrize(("alg", "size"), [("ES256", 64), ("ES384", 96), ("ES512", 132)])
def test_an_ecdsa_signature_is_two_fields_long(alg: str, size: int) -> None:
    """RFC 7518 §3.4: not shorter where r or s has leading zeros, and never DER."""
    row, private = ALGORITHMS[alg], EC[alg]
    check, sign = row.checker(private.public_key(), row.hash), row.signer(private, row.hash)
    good = sign(MESSAGE)
    assert len(good) == size
    check(MESSAGE, good)
    with pytest.raises(BadSignature, match="wrong ECDSA signature"):
        check(b"another", good)
    der = private.sign(MESSAGE, ec.ECDSA(row.hash))
    for wrong in (good[:-1], good + b"\0", b"\0" + good, good[:-2], b"", der + bytes(max(0, size + 1 - len(der)))):
        with pytest.raises(BadSignature, match="wrong length"):
            check(MESSAGE, wrong)


@pytest.mark.parametrize("alg", EC)
def test_ecdsa_is_that_of_the_library(alg: str) -> None:
    """With the row's own hash, both ways."""
    row, private = ALGORITHMS[alg], EC[alg]
    size = (private.key_size + 7) // 8
    raw = row.signer(private, row.hash)(MESSAGE)
    r, s = int.from_bytes(raw[:size], "big"), int.from_bytes(raw[size:], "big")
    private.public_key().verify(encode_dss_signature(r, s), MESSAGE, ec.ECDSA(HASHES[alg[2:]]))
    r, s = decode_dss_signature(private.sign(MESSAGE, ec.ECDSA(HASHES[alg[2:]])))
    row.checker(private.public_key(), row.hash)(MESSAGE, r.to_bytes(size, "big") + s.to_bytes(size, "big"))


def test_eddsa_is_that_of_the_library() -> None:
    """Both ways; a wrong length and a wrong signature are one refusal (RFC 8032 §5.1.7)."""
    row = ALGORITHMS["EdDSA"]
    signature = row.signer(ED, row.hash)(MESSAGE)
    assert signature == ED.sign(MESSAGE)
    check = row.checker(ED.public_key(), row.hash)
    check(MESSAGE, signature)
    for wrong in (signature[:-1], signature + b"\0", b"", bytes(64)):
        with pytest.raises(BadSignature):
            check(MESSAGE, wrong)


SIZES = (32, 48, 66)
"""Bytes of r and of s, for the three curves."""
NUMBERS = st.one_of(
    st.integers(1, 2**528 - 1),
    st.integers(0, 527).map(lambda bit: 1 << bit),  # one more byte in DER, one less in front
    st.integers(1, 528).map(lambda bits: (1 << bits) - 1),
    st.integers(1, 255),
)


@given(NUMBERS, NUMBERS, st.sampled_from(SIZES))
def test_the_two_spellings_of_a_signature_are_each_others_inverse(r: int, s: int, size: int) -> None:
    """r‖s and DER, for numbers of every length: ours is the library's DER to the byte, and comes back whole."""
    r, s = r % (1 << 8 * size) or 1, s % (1 << 8 * size) or 1
    raw = r.to_bytes(size, "big") + s.to_bytes(size, "big")
    der = encode_dss_signature(r, s)
    assert _der(raw, size, _heads(size)) == der
    assert _raw(der, size) == raw


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("first", [0x00, 0x01, 0x7F, 0x80, 0xFF])
@pytest.mark.parametrize("second", [0x00, 0x01, 0x7F, 0x80, 0xFF])
@pytest.mark.parametrize("rest", [0x2B, 0xAB])
def test_every_head_of_a_signature_is_the_librarys(size: int, first: int, second: int, rest: int) -> None:
    """A top bit asks for a zero in front, a zero byte is left out, in r, in s or in both; P-521 needs a long length."""
    raw = bytes([first, *[rest] * (size - 1), second, *[rest] * (size - 1)])
    der = encode_dss_signature(int.from_bytes(raw[:size], "big"), int.from_bytes(raw[size:], "big"))
    assert _der(raw, size, _heads(size)) == der
    assert _raw(der, size) == raw


@pytest.mark.parametrize("size", SIZES)
def test_a_signature_with_a_zero_never_reaches_the_arithmetic(size: int) -> None:
    """CVE-2022-21449: r, s or both."""
    zero, one = bytes(size), bytes(size - 1) + b"\1"
    for raw in (zero + zero, zero + one, one + zero, b"\xff" * size + zero, zero + b"\xff" * size):
        with pytest.raises(BadSignature, match="with a zero"):
            _der(raw, size, _heads(size))
