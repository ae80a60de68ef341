"""Encrypted tokens to judge: RFC 7516 and RFC 7518 written a second time, for any header, key and size one likes."""

from __future__ import annotations

import hmac
import os
from base64 import urlsafe_b64decode
from functools import cache
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from tests.sdk.minting import changed
from watchword.jose.b64 import b64url, unb64url
from watchword.jose.jwe import DecryptionKey
from watchword.jose.members import public_members

CURVES: Final = ("P-256", "P-384", "P-521", "X25519")
WRAPS: Final = {"ECDH-ES": 0, "ECDH-ES+A128KW": 16, "ECDH-ES+A192KW": 24, "ECDH-ES+A256KW": 32}
KINDS: Final = (("RSA-OAEP-256", ""), *((alg, crv) for alg in WRAPS for crv in CURVES))
"""Every algorithm with every kind of key that it takes."""
CEK: Final = {
    "A128GCM": 16,
    "A192GCM": 24,
    "A256GCM": 32,
    "A128CBC-HS256": 32,
    "A192CBC-HS384": 48,
    "A256CBC-HS512": 64,
}
"""Bytes of the content encryption key, also of the two that the policy leaves out."""
_HASHES: Final = {32: "sha256", 48: "sha384", 64: "sha512"}
_SHA256: Final = rsa_padding.OAEP(rsa_padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
PADDINGS: Final[dict[str, rsa_padding.AsymmetricPadding]] = {
    "RSA-OAEP-256": _SHA256,
    "RSA-OAEP": rsa_padding.OAEP(rsa_padding.MGF1(hashes.SHA1()), hashes.SHA1(), None),
    "RSA1_5": rsa_padding.PKCS1v15(),
}


@cache
def decryptor(alg: str = "ECDH-ES", crv: str = "P-256") -> DecryptionKey:
    """The test run's one key of an algorithm and a curve."""
    return DecryptionKey.generate(alg, crv)


def sealed(
    key: DecryptionKey,
    plaintext: bytes = b"{}",
    enc: str = "A128GCM",
    /,
    *,
    by: str = "",
    head: bytes | None = None,
    cek: bytes | None = None,
    **changes: object,
) -> str:
    """A token truly encrypted to `key`, whatever its header says.

    `by` is another algorithm than the key's to encrypt by; a change to `...` leaves a member of the header out;
    `head` is the whole header as bytes; `cek` the content encryption key, of any length, for what wraps one.
    """
    alg = by or key.alg
    public = key.key.raw_value.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        return _over(public, plaintext, enc, alg, key.kid, cek or os.urandom(CEK[enc]), head, changes)
    ephemeral = key.material.generate()
    header = changed(_header(alg, enc, key.kid) | {"epk": public_members(ephemeral.public_key())}, changes)
    agreed = _agreed(ephemeral, public, alg, enc, header)
    if not WRAPS[alg]:
        return _joined(head or msgspec.json.encode(header), b"", agreed, plaintext, enc)
    content_key = cek or os.urandom(CEK[enc])
    return _joined(head or msgspec.json.encode(header), aes_key_wrap(agreed, content_key), content_key, plaintext, enc)


def parts(token: str) -> list[bytes]:
    """The five segments, decoded."""
    return [unb64url(segment) for segment in token.split(".")]


def joined(*decoded: bytes) -> str:
    """Segments to a token."""
    return ".".join(map(b64url, decoded))


def _over(
    public: rsa.RSAPublicKey,
    plaintext: bytes,
    enc: str,
    alg: str,
    kid: str,
    cek: bytes,
    head: bytes | None,
    changes: dict[str, object],
) -> str:
    header = head or msgspec.json.encode(changed(_header(alg, enc, kid), changes))
    return _joined(header, public.encrypt(cek, PADDINGS[alg]), cek, plaintext, enc)


def _header(alg: str, enc: str, kid: str) -> dict[str, object]:
    return {"alg": alg, "enc": enc, "kid": kid, "typ": "at+jwt", "cty": "JWT"}


def _agreed(ephemeral: Any, public: Any, alg: str, enc: str, header: dict[str, Any]) -> bytes:
    """ECDH and the Concat KDF (RFC 7518 §4.6.2)."""
    is_ec = isinstance(ephemeral, ec.EllipticCurvePrivateKey)
    secret = ephemeral.exchange(ec.ECDH(), public) if is_ec else ephemeral.exchange(public)
    size = WRAPS[alg] or CEK[enc]
    named = alg if WRAPS[alg] else enc
    said = [named.encode(), *(_party(header.get(name, "")) for name in ("apu", "apv"))]
    info = b"".join(len(part).to_bytes(4, "big") + part for part in said) + (size * 8).to_bytes(4, "big")
    return ConcatKDFHash(hashes.SHA256(), size, info).derive(secret)


def _party(said: object) -> bytes:
    """As lax a decoder as there is would read it; what none can read, as nothing."""
    try:
        return urlsafe_b64decode(said + "==") if isinstance(said, str) else b""
    except ValueError:
        return b""


def _joined(head: bytes, encrypted_key: bytes, cek: bytes, plaintext: bytes, enc: str) -> str:
    aad = b64url(head).encode()
    seal = _gcm if enc.endswith("GCM") else _cbc
    return joined(head, encrypted_key, *seal(cek, plaintext, aad))


def _gcm(cek: bytes, plaintext: bytes, aad: bytes) -> tuple[bytes, bytes, bytes]:
    """RFC 7518 §5.3."""
    iv = os.urandom(12)
    both = AESGCM(cek).encrypt(iv, plaintext, aad)
    return iv, both[:-16], both[-16:]


def _cbc(cek: bytes, plaintext: bytes, aad: bytes) -> tuple[bytes, bytes, bytes]:
    """RFC 7518 §5.2.2.1."""
    half, iv = len(cek) // 2, os.urandom(16)
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(cek[half:]), modes.CBC(iv)).encryptor()
    ciphertext = encryptor.update(padder.update(plaintext) + padder.finalize()) + encryptor.finalize()
    over = aad + iv + ciphertext + (len(aad) * 8).to_bytes(8, "big")
    return iv, ciphertext, hmac.digest(cek[:half], over, _HASHES[len(cek)])[:half]
