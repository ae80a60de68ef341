"""JWE by hand over `cryptography` (RFC 7516 §5, RFC 7518 §4 and §5): seals over any header bytes, and opens."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from random import Random
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap

from tests.fuzz import compact

CEK: Final = {"A128GCM": 16, "A256GCM": 32, "A128CBC-HS256": 32, "A256CBC-HS512": 64}
WRAPPED: Final = {"ECDH-ES+A128KW": 16, "ECDH-ES+A192KW": 24, "ECDH-ES+A256KW": 32}
_CURVES: Final = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
_OAEP: Final = padding.OAEP(mgf=padding.MGF1(SHA256()), algorithm=SHA256(), label=None)


def seal(header: bytes, plaintext: bytes, alg: str, private: Any, chance: Random) -> bytes:
    """A JWE over exactly these header bytes for the holder of `private`; broken where they name no key."""
    said = _said(header)
    enc = str(said.get("enc"))
    if enc not in CEK:
        enc = "A128GCM"
    cek, sealed_key = _new_key(said, alg, enc, private, chance)
    aad = compact.spelled(header)
    iv, ciphertext, tag = _encrypted(plaintext, enc, cek, aad, chance)
    return b".".join((aad, *map(compact.spelled, (sealed_key, iv, ciphertext, tag))))


def opened(header: Mapping[str, Any], segments: list[bytes], alg: str, private: Any) -> bytes:
    """The plaintext, still compressed. Raises whatever goes wrong on the way."""
    sealed_key, iv, ciphertext, tag = map(compact.read, segments[1:])
    cek = _found_key(header, sealed_key, alg, header["enc"], private)
    if len(cek) != CEK[header["enc"]]:
        raise ValueError("a content encryption key of another length")
    return _decrypted(ciphertext, tag, header["enc"], cek, iv, segments[0])


def _said(header: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(header)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) and isinstance(said.get("enc", ""), str) else {}


def _new_key(said: Mapping[str, Any], alg: str, enc: str, private: Any, chance: Random) -> tuple[bytes, bytes]:
    cek = chance.randbytes(CEK[enc])
    if alg == "RSA-OAEP-256":
        return cek, private.public_key().encrypt(cek, _OAEP)
    try:
        agreed = _agreed(said, alg, enc, private)
    except (ValueError, TypeError, KeyError, AttributeError):  # the header has no point to agree with
        agreed = chance.randbytes(WRAPPED.get(alg, CEK[enc]))
    return (agreed, b"") if alg == "ECDH-ES" else (cek, aes_key_wrap(agreed, cek))


def _found_key(said: Mapping[str, Any], sealed_key: bytes, alg: str, enc: str, private: Any) -> bytes:
    if alg == "RSA-OAEP-256":
        return bytes(private.decrypt(sealed_key, _OAEP))
    agreed = _agreed(said, alg, enc, private)
    if alg != "ECDH-ES":
        return aes_key_unwrap(agreed, sealed_key)
    if sealed_key:
        raise ValueError("an encrypted key where none may be")
    return agreed


def _agreed(said: Mapping[str, Any], alg: str, enc: str, private: Any) -> bytes:
    """RFC 7518 §4.6.2."""
    epk = said["epk"]
    x = compact.read(epk["x"].encode())
    if isinstance(private, x25519.X25519PrivateKey):
        shared = private.exchange(x25519.X25519PublicKey.from_public_bytes(x))
    else:
        point = b"\x04" + x + compact.read(epk["y"].encode())
        shared = private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[epk["crv"]], point))
    name, size = (enc, CEK[enc]) if alg == "ECDH-ES" else (alg, WRAPPED[alg])
    parties = (compact.read(str(said.get(party, "")).encode()) for party in ("apu", "apv"))
    info = b"".join(len(part).to_bytes(4, "big") + part for part in (name.encode(), *parties))
    info += (8 * size).to_bytes(4, "big")
    rounds = (hashlib.sha256(n.to_bytes(4, "big") + shared + info).digest() for n in range(1, -(-size // 32) + 1))
    return b"".join(rounds)[:size]


def _encrypted(plaintext: bytes, enc: str, cek: bytes, aad: bytes, chance: Random) -> tuple[bytes, bytes, bytes]:
    if enc.endswith("GCM"):
        iv = chance.randbytes(12)
        sealed = AESGCM(cek).encrypt(iv, plaintext, aad)
        return iv, sealed[:-16], sealed[-16:]
    iv, half = chance.randbytes(16), len(cek) // 2
    fill = 16 - len(plaintext) % 16
    cipher = Cipher(algorithms.AES(cek[half:]), modes.CBC(iv)).encryptor()
    ciphertext = cipher.update(plaintext + bytes([fill]) * fill) + cipher.finalize()
    return iv, ciphertext, _tag(cek[:half], aad, iv, ciphertext)


def _decrypted(ciphertext: bytes, tag: bytes, enc: str, cek: bytes, iv: bytes, aad: bytes) -> bytes:
    if enc.endswith("GCM"):
        if (len(iv), len(tag)) != (12, 16):
            raise ValueError("an iv or a tag of another length")
        return AESGCM(cek).decrypt(iv, ciphertext + tag, aad)
    half = len(cek) // 2
    if _tag(cek[:half], aad, iv, ciphertext) != tag:
        raise ValueError("another tag")
    cipher = Cipher(algorithms.AES(cek[half:]), modes.CBC(iv)).decryptor()
    padded = cipher.update(ciphertext) + cipher.finalize()
    fill = padded[-1]
    if not 0 < fill <= 16 or padded[-fill:] != bytes([fill]) * fill:
        raise ValueError("a padding that is none")
    return padded[:-fill]


def _tag(key: bytes, aad: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    """RFC 7518 §5.2.2.1, half of the hash."""
    message = aad + iv + ciphertext + (8 * len(aad)).to_bytes(8, "big")
    return hmac.digest(key, message, "sha256" if len(key) == 16 else "sha512")[: len(key)]


def ephemeral(private: Any) -> dict[str, str]:
    """A sender's public key for an agreement with `private`: always the same, so that inputs can be tried again."""
    if isinstance(private, x25519.X25519PrivateKey):
        x = x25519.X25519PrivateKey.from_private_bytes(b"\x42" * 32).public_key().public_bytes_raw()
        return {"kty": "OKP", "crv": "X25519", "x": compact.spelled(x).decode()}
    crv = next(name for name, curve in _CURVES.items() if curve.name == private.curve.name)
    size = (private.key_size + 7) // 8
    point = ec.derive_private_key(0x42, _CURVES[crv]).public_key().public_numbers()
    coordinates = {"x": point.x, "y": point.y}
    spelled = {name: compact.spelled(number.to_bytes(size, "big")).decode() for name, number in coordinates.items()}
    return {"kty": "EC", "crv": crv, **spelled}


def can_seal(private: Any) -> bool:
    """Whether a key is one of those that are agreed with, and so needs an `epk`."""
    return not isinstance(private, rsa.RSAPrivateKey)
