"""The signature algorithms of RFC 7518 §3 and RFC 8037, one row each: all there is to know of an algorithm.

The algorithm always comes from the key. Nothing here looks at a token's header.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from watchword.errors import BadSignature

Check = Callable[[bytes, bytes], None]
"""Takes message and raw JWS signature; raises BadSignature unless they belong together."""
Sign = Callable[[bytes], bytes]
"""Takes a message, returns the raw JWS signature."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A row. `crv` is the only curve of the algorithm's keys (None: no curve)."""

    name: str
    kty: str
    crv: str | None
    hash: HashAlgorithm
    # Any: each row's functions take the key class of its own kty, which jwk.py has checked.
    checker: Callable[[Any, HashAlgorithm], Check]
    signer: Callable[[Any, HashAlgorithm], Sign]


def _check_hmac(secret: bytes, hash: HashAlgorithm) -> Check:
    digest, name = hmac.digest, hash.name

    def check(message: bytes, signature: bytes) -> None:
        if not hmac.compare_digest(digest(secret, message, name), signature):
            raise BadSignature("wrong MAC")

    return check


def _sign_hmac(secret: bytes, hash: HashAlgorithm) -> Sign:
    name = hash.name
    return lambda message: hmac.digest(secret, message, name)


def _pkcs1(hash: HashAlgorithm) -> padding.PKCS1v15:
    return padding.PKCS1v15()


def _pss(hash: HashAlgorithm) -> padding.PSS:
    # RFC 7518 §3.5: MGF1 with the same hash, and a salt exactly as long as the hash.
    return padding.PSS(mgf=padding.MGF1(hash), salt_length=hash.digest_size)


# hashlib starts half a microsecond sooner than the hash inside `cryptography`'s `verify`, so checks hash with it.
def _check_rsa(pad: Callable[[HashAlgorithm], padding.AsymmetricPadding]) -> Callable[[Any, HashAlgorithm], Check]:
    def checker(key: Any, hash: HashAlgorithm) -> Check:
        verify, padded, size = key.verify, pad(hash), (key.key_size + 7) // 8
        start, hashed = getattr(hashlib, hash.name), Prehashed(hash)

        def check(message: bytes, signature: bytes) -> None:
            if len(signature) != size:
                raise BadSignature("RSA signature of a wrong length")
            try:
                verify(signature, start(message).digest(), padded, hashed)
            except InvalidSignature:
                raise BadSignature("wrong RSA signature") from None

        return check

    return checker


def _sign_rsa(pad: Callable[[HashAlgorithm], padding.AsymmetricPadding]) -> Callable[[Any, HashAlgorithm], Sign]:
    def signer(key: Any, hash: HashAlgorithm) -> Sign:
        sign, padded = key.sign, pad(hash)
        return lambda message: sign(message, padded, hash)

    return signer


def _check_ecdsa(key: Any, hash: HashAlgorithm) -> Check:
    verify, scheme, size = key.verify, ec.ECDSA(Prehashed(hash)), (key.key_size + 7) // 8
    start, heads = getattr(hashlib, hash.name), _heads(size)

    def check(message: bytes, signature: bytes) -> None:
        # RFC 7518 §3.4: r and s, each of exactly the field's length. r, s >= n is OpenSSL's to refuse.
        if len(signature) != 2 * size:
            raise BadSignature("ECDSA signature of a wrong length")
        try:
            verify(_der(signature, size, heads), start(message).digest(), scheme)
        except InvalidSignature:
            raise BadSignature("wrong ECDSA signature") from None

    return check


def _sign_ecdsa(key: Any, hash: HashAlgorithm) -> Sign:
    sign, scheme, size = key.sign, ec.ECDSA(hash), (key.key_size + 7) // 8
    return lambda message: _raw(sign(message, scheme), size)


def _heads(size: int) -> list[list[tuple[bytes, bytes]]]:
    """What DER puts before r and before s, by whether each has its top bit set and so needs a zero in front."""

    def head(r_pad: int, s_pad: int) -> tuple[bytes, bytes]:
        length = 2 * (2 + size) + r_pad + s_pad
        sequence = (0x30, length) if length < 128 else (0x30, 0x81, length)
        return bytes((*sequence, 2, size + r_pad)) + bytes(r_pad), bytes((2, size + s_pad)) + bytes(s_pad)

    return [[head(r_pad, s_pad) for s_pad in (0, 1)] for r_pad in (0, 1)]


def _der(signature: bytes, size: int, heads: list[list[tuple[bytes, bytes]]]) -> bytes:
    """r‖s to the DER that OpenSSL reads (RFC 3279 §2.2.3)."""
    r_top, s_top = signature[0], signature[size]
    if r_top and s_top:  # nearly always: both fill their field, so their heads are known
        before_r, before_s = heads[r_top >> 7][s_top >> 7]
        return before_r + signature[:size] + before_s + signature[size:]
    r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
    if not r or not s:  # CVE-2022-21449: a zero must never reach the arithmetic
        raise BadSignature("ECDSA signature with a zero")
    return encode_dss_signature(r, s)


def _raw(der: bytes, size: int) -> bytes:
    """OpenSSL's DER to r‖s (RFC 7518 §3.4)."""
    start = 3 if der[1] == 0x81 else 2  # only P-521 needs the long form
    middle = start + 2 + der[start + 1]
    r, s = der[start + 2 : middle], der[middle + 2 :]
    if len(r) >= size <= len(s):  # nearly always: what is longer has a zero in front
        return r[-size:] + s[-size:]
    return r.lstrip(b"\0").rjust(size, b"\0") + s.lstrip(b"\0").rjust(size, b"\0")


def _check_eddsa(key: Any, hash: HashAlgorithm) -> Check:
    verify = key.verify

    def check(message: bytes, signature: bytes) -> None:
        try:
            verify(signature, message)  # a wrong length and S >= L are refused in there (RFC 8032 §5.1.7)
        except InvalidSignature:
            raise BadSignature("wrong EdDSA signature") from None

    return check


def _sign_eddsa(key: Any, hash: HashAlgorithm) -> Sign:
    return key.sign  # type: ignore[no-any-return]  # key is Any


# fmt: off
ALGORITHMS: Final[Mapping[str, Algorithm]] = {row.name: row for row in (
    #         name     kty    crv        hash      checker               signer
    Algorithm("HS256", "oct", None,      SHA256(), _check_hmac,          _sign_hmac),
    Algorithm("HS384", "oct", None,      SHA384(), _check_hmac,          _sign_hmac),
    Algorithm("HS512", "oct", None,      SHA512(), _check_hmac,          _sign_hmac),
    Algorithm("RS256", "RSA", None,      SHA256(), _check_rsa(_pkcs1),   _sign_rsa(_pkcs1)),
    Algorithm("RS384", "RSA", None,      SHA384(), _check_rsa(_pkcs1),   _sign_rsa(_pkcs1)),
    Algorithm("RS512", "RSA", None,      SHA512(), _check_rsa(_pkcs1),   _sign_rsa(_pkcs1)),
    Algorithm("PS256", "RSA", None,      SHA256(), _check_rsa(_pss),     _sign_rsa(_pss)),
    Algorithm("PS384", "RSA", None,      SHA384(), _check_rsa(_pss),     _sign_rsa(_pss)),
    Algorithm("PS512", "RSA", None,      SHA512(), _check_rsa(_pss),     _sign_rsa(_pss)),
    Algorithm("ES256", "EC",  "P-256",   SHA256(), _check_ecdsa,         _sign_ecdsa),
    Algorithm("ES384", "EC",  "P-384",   SHA384(), _check_ecdsa,         _sign_ecdsa),
    Algorithm("ES512", "EC",  "P-521",   SHA512(), _check_ecdsa,         _sign_ecdsa),
    Algorithm("EdDSA", "OKP", "Ed25519", SHA512(), _check_eddsa,         _sign_eddsa),
)}
# fmt: on

OF_CURVE: Final[Mapping[str, str]] = {row.crv: row.name for row in ALGORITHMS.values() if row.crv}
"""The one algorithm of each curve: a key on it needs no `alg` to say which."""
