"""Signing and checking with `cryptography` alone: the floor under every library, ours too.

Everything else is done in advance: splitting, decoding, converting, choosing the padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import HashAlgorithm
from cryptography.hazmat.primitives.hmac import HMAC

from bench.material import Material
from bench.rounds import Calls
from watchword.jose.b64 import unb64url


def checks(key: Material, made: Sequence[bytes]) -> Calls:
    """Check the signature of each token."""
    scheme = _scheme(key)
    parts = [(signed, unb64url(text)) for signed, _, text in (token.rpartition(b".") for token in made)]
    if key.kty == "oct":
        return _check_mac, [(key.public, key.hash, *part) for part in parts]
    if key.kty == "EC":
        parts = [(signed, _der(signature)) for signed, signature in parts]
    return key.public.verify, [(signature, signed, *scheme) for signed, signature in parts]


def seals(key: Material, made: Sequence[bytes]) -> Calls:
    """Sign anew what each token signs."""
    messages = [token.rpartition(b".")[0] for token in made]
    if key.kty == "oct":
        return _mac, [(key.private, key.hash, message) for message in messages]
    return key.private.sign, [(message, *_scheme(key)) for message in messages]


def _scheme(key: Material) -> tuple[Any, ...]:
    """What `verify` and `sign` of such a key take beside signature and message."""
    match key.alg[:2]:
        case "RS":
            return padding.PKCS1v15(), key.hash
        case "PS":
            return padding.PSS(padding.MGF1(key.hash), key.hash.digest_size), key.hash
        case "ES":
            return (ec.ECDSA(key.hash),)
    return ()


def _der(signature: bytes) -> bytes:
    middle = len(signature) // 2
    return encode_dss_signature(int.from_bytes(signature[:middle], "big"), int.from_bytes(signature[middle:], "big"))


def _mac(secret: bytes, hash: HashAlgorithm, message: bytes) -> bytes:
    made = HMAC(secret, hash)
    made.update(message)
    return made.finalize()


def _check_mac(secret: bytes, hash: HashAlgorithm, message: bytes, signature: bytes) -> None:
    made = HMAC(secret, hash)
    made.update(message)
    made.verify(signature)
