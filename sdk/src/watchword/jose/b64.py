"""base64url without padding, in the one spelling that RFC 7515 §2 allows."""

from __future__ import annotations

from binascii import b2a_base64
from typing import Final

import msgspec

from watchword.errors import Malformed

_STANDARD: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_URL_SAFE: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# All that is outside the alphabet (white space, padding, + and /, quotes) becomes one character that is in none.
_DECODE: Final = bytes(_STANDARD[_URL_SAFE.index(byte)] if byte in _URL_SAFE else ord("!") for byte in range(256))

# Decoders ignore the bits that the last character has too many, so that a value would have up to 16 spellings:
# only the characters without any such bit may stand there. By length modulo 4; a length of 1 can never be.
_LAST: Final = (_URL_SAFE, b"", b"AQgw", b"AEIMQUYcgkosw048")
_CLOSE: Final = (b'"', b"", b'=="', b'="')

# msgspec's base64 is twice as fast as binascii's. It reads JSON strings; `_DECODE` leaves nothing to escape.
_decode: Final = msgspec.json.Decoder(bytes).decode


def b64url(data: bytes) -> str:
    """Bytes to base64url, no padding (RFC 7515 §2)."""
    return raw_b64url(data).decode("ascii")


def raw_b64url(data: bytes) -> bytes:
    """As `b64url`, as the bytes that get signed."""
    # Two searches beat one table here: few characters are to be replaced, and in the base64 of JSON hardly any.
    return b2a_base64(data, newline=False).rstrip(b"=").replace(b"+", b"-").replace(b"/", b"_")


def unb64url(text: str | bytes) -> bytes:
    """Canonical base64url to bytes (RFC 7515 §2, RFC 4648 §3.5).

    Raises Malformed for padding, white space, another alphabet, an impossible length, or unused bits that are set:
    every value has exactly one spelling.
    """
    try:
        raw = text.encode("ascii") if isinstance(text, str) else text
        rest = len(raw) & 3
        if not rest or raw[-1] in _LAST[rest]:
            return _decode(b'"' + raw.translate(_DECODE) + _CLOSE[rest])
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise Malformed("not base64url") from error
    raise Malformed("base64url with unused bits set, or of an impossible length")
