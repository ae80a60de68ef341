"""Compact JWE (RFC 7516 §7.1): encrypt, and decrypt in one strict order. The policy is ours, the ciphers joserfc's.

Decryption is not authentication: who knows a public key can encrypt to it. What comes out must be signed.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from watchword.errors import BadEncryption, Malformed, Misconfigured, UnknownKey, WatchwordError, WrongType
from watchword.jose.b64 import unb64url
from watchword.jose.encryption_keys import (
    KEY_ALGORITHMS,
    DecryptionKey,
    EncryptionKey,
    decryption_key,
    decryption_key_set,
    encryption_key,
    encryption_key_set,
    library,
)
from watchword.jose.jws import MAX_HEADER
from watchword.jose.jwt import claims
from watchword.jose.members import PRIVATE

__all__ = [
    "ENCRYPTIONS",
    "KEY_ALGORITHMS",
    "DecryptionKey",
    "EncryptionKey",
    "decrypt",
    "decryption_key",
    "decryption_key_set",
    "encrypt",
    "encryption_key",
    "encryption_key_set",
]

JWT_INSIDE: Final = ("jwt",)
"""The one `cty` of a nested JWT, in lower case (RFC 7519 §5.2)."""
MAX_PARTY: Final = 512
"""Characters of the longest `apu` or `apv` that is read."""

_UNKNOWN: Final = frozenset(("crit", "b64", "p2c", "p2s"))
_BLOCK: Final = 16


@dataclass(frozen=True, slots=True)
class Encryption:
    """A row: a content encryption, its sizes in bytes (RFC 7518 §5)."""

    name: str
    cek: int
    iv: int
    tag: int
    padded: bool


@dataclass(frozen=True, slots=True)
class Sealed:
    """The five segments: the header as it is authenticated, the others decoded (RFC 7516 §7.1)."""

    header: bytes
    encrypted_key: bytes
    iv: bytes
    ciphertext: bytes
    tag: bytes


# fmt: off
ENCRYPTIONS: Final[Mapping[str, Encryption]] = {row.name: row for row in (
    #          name             cek iv  tag padded
    Encryption("A128GCM",       16, 12, 16, False),
    Encryption("A256GCM",       32, 12, 16, False),
    Encryption("A128CBC-HS256", 32, 16, 16, True),
    Encryption("A256CBC-HS512", 64, 16, 32, True),
)}
# fmt: on


def encrypt(payload: bytes, key: EncryptionKey, enc: str, typ: str, cty: str = "JWT") -> str:
    """A compact JWE of `payload` for the holder of `key`; `enc` is one of ENCRYPTIONS, else Misconfigured is raised."""
    if enc not in ENCRYPTIONS:
        raise Misconfigured("not a content encryption that is known")
    jwe = library().jwe
    header = {"alg": key.alg, "enc": enc, "kid": key.kid, "typ": typ, "cty": cty}
    return str(jwe.encrypt_compact(header, payload, key.key, registry=jwe.JWERegistry(algorithms=(key.alg, enc))))


def decrypt(
    token: str | bytes,
    keys: Mapping[str, DecryptionKey],
    types: Collection[str],
    limit: int,
    contents: Collection[str] = JWT_INSIDE,
) -> tuple[dict[str, Any], bytes]:
    """The header and the plaintext of a token that was encrypted to one of `keys` (RFC 7516 §5.2).

    `limit` is the longest token and the longest plaintext in bytes; `types` and `contents` are the accepted `typ`
    and `cty` in lower case. A token without `typ`, `cty` or `kid` finds only what is listed as the empty string.
    Raises Malformed, WrongType, UnknownKey or BadEncryption, and nothing else whatever the token.
    """
    segments = _segments(token, limit)
    header = _header(segments[0], types, contents)
    key, enc = _key(header, keys), _encryption(header)
    sealed = _decoded(segments, key, enc)
    plaintext = _open(sealed, key, enc, _for_agreement(header, key))
    return header, _inflated(plaintext, limit) if "zip" in header else plaintext


def _segments(token: str | bytes, limit: int) -> list[bytes]:
    if len(token) > limit:
        raise Malformed("token is too long")
    try:
        raw = token.encode("ascii") if isinstance(token, str) else token
    except UnicodeEncodeError as error:
        raise Malformed("token is not ASCII") from error
    if raw.count(b".") != 4:
        raise Malformed("not five segments")
    return raw.split(b".")


def _header(segment: bytes, types: Collection[str], contents: Collection[str]) -> dict[str, Any]:
    if len(segment) > MAX_HEADER:
        raise Malformed("header is too long")
    header = claims(unb64url(segment))
    if not _UNKNOWN.isdisjoint(header):  # no extension is known, and nothing is derived from a password
        raise WrongType("header extension that is not known")
    _must_be_of(header, "typ", types)
    _must_be_of(header, "cty", contents)
    if header.get("zip", "DEF") != "DEF":
        raise WrongType("zip is not DEF")
    return header


def _must_be_of(header: Mapping[str, Any], name: str, accepted: Collection[str]) -> None:
    value = header.get(name, "")
    if not isinstance(value, str) or not value.isascii():
        raise WrongType(f"{name} is not a media type")
    if value.lower() not in accepted:  # RFC 2045 §5.1: media types do not mind the case
        raise WrongType(f"{name} is of another kind of token")


def _key(header: Mapping[str, Any], keys: Mapping[str, DecryptionKey]) -> DecryptionKey:
    kid = header.get("kid", "")
    key = keys.get(kid) if isinstance(kid, str) else None
    if key is None:
        raise UnknownKey("no decryption key of this kid")
    if header.get("alg") != key.alg:
        raise WrongType("alg is not that of the key")
    return key


def _encryption(header: Mapping[str, Any]) -> Encryption:
    enc = header.get("enc")
    row = ENCRYPTIONS.get(enc) if isinstance(enc, str) else None
    if row is None:
        raise WrongType("enc is not a content encryption that is known")
    return row


def _decoded(segments: list[bytes], key: DecryptionKey, enc: Encryption) -> Sealed:
    sealed = Sealed(segments[0], *map(unb64url, segments[1:]))
    if len(sealed.encrypted_key) != KEY_ALGORITHMS[key.alg].sealed_size(key.key.raw_value, enc.cek):
        raise Malformed("encrypted key of a wrong length")
    if (len(sealed.iv), len(sealed.tag)) != (enc.iv, enc.tag):
        raise Malformed("initialization vector or tag of a wrong length")
    if enc.padded and (not sealed.ciphertext or len(sealed.ciphertext) % _BLOCK):
        raise Malformed("ciphertext is not of whole blocks")
    return sealed


def _for_agreement(header: Mapping[str, Any], key: DecryptionKey) -> dict[str, Any]:
    """What of the header the key's algorithm works with (RFC 7518 §4.6.1): `epk` as the key that was checked."""
    named = {"alg": key.alg, "enc": header["enc"]}
    if not key.material.crv:
        return named
    for name in ("apu", "apv"):
        if name in header:
            named[name] = _party(header[name])
    return {**named, "epk": _ephemeral(header.get("epk"), key)}


def _party(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_PARTY:
        raise Malformed("apu or apv is not a string of a sensible length")
    unb64url(value)
    return value


def _ephemeral(epk: object, key: DecryptionKey) -> Any:
    if not isinstance(epk, dict) or not PRIVATE.isdisjoint(epk):
        raise Malformed("epk is not a public key")
    if (epk.get("kty"), epk.get("crv")) != (key.material.kty, key.material.crv):
        raise Malformed("epk is not on the curve of the key")
    try:
        return key.material.read(epk)
    except (WatchwordError, ValueError) as error:
        raise Malformed("epk is broken") from error


def _open(sealed: Sealed, key: DecryptionKey, enc: Encryption, header: dict[str, Any]) -> bytes:
    jwe = library().jwe
    models = jwe.JWERegistry(algorithms=(key.alg, enc.name))
    alg, cipher = models.get_alg(key.alg), models.get_enc(enc.name)
    recipient = jwe.Recipient(jwe.CompactEncryption(header), recipient_key=key.key)
    recipient.encrypted_key = sealed.encrypted_key
    cek = cipher.generate_cek()
    # Whatever joserfc raises is one refusal: a reason given is an oracle. And a key that was not found is replaced by
    # chance (RFC 7516 §11.5), so that a bad encrypted key is refused when and as a bad tag is.
    try:
        found = KEY_ALGORITHMS[key.alg].content_key(alg, cipher, recipient)
    except Exception:
        found = b""
    if len(found) == enc.cek:
        cek = found
    try:
        return bytes(cipher.decrypt(sealed.ciphertext, sealed.tag, cek, sealed.iv, sealed.header))
    except Exception:
        raise BadEncryption("the token cannot be decrypted") from None


def _inflated(data: bytes, limit: int) -> bytes:
    """Raw DEFLATE, whole and nothing after it, to at most `limit` bytes (RFC 7516 §4.1.3, RFC 1951)."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = inflater.decompress(data, limit + 1)
    except (zlib.error, MemoryError) as error:
        raise Malformed("compressed plaintext is broken") from error
    if len(found) > limit:
        raise Malformed("compressed plaintext is too long")
    if not inflater.eof or inflater.unused_data:
        raise Malformed("compressed plaintext does not end where it should")
    return found
