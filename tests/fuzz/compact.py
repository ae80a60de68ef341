"""Compact serialisation taken apart and spelled otherwise (RFC 7515 §7.1, RFC 7516 §7.1)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from random import Random
from typing import Final

from tests.fuzz.json_text import Native

_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def spelled(data: bytes) -> bytes:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def read(segment: bytes) -> bytes:
    """What a lax decoder reads; nothing where even that fails."""
    try:
        return base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    except (binascii.Error, ValueError):
        return b""


def respelled(segment: bytes, chance: Random, native: Native) -> bytes:
    """The same bytes in another spelling, or nearly the same bytes."""
    place = chance.randrange(len(segment) + 1)
    return chance.choice(
        (
            segment + b"=" * chance.choice((1, 2, 3)),
            segment[:place] + chance.choice((b"\n", b" ", b"=", b"\0", b".", b"\xc3\xa9")) + segment[place:],
            segment.replace(b"-", b"+").replace(b"_", b"/"),
            _with_unused_bits(segment, chance),
            segment[:-1],
            segment + b"A",
            b"",
            native(segment),
        )
    )


def signature_changed(signature: bytes, chance: Random, native: Native) -> bytes:
    """Another signature: zeros, halves, other forms, one bit."""
    half = len(signature) // 2
    return chance.choice(
        (
            b"",
            bytes(len(signature)),
            bytes(half) + signature[half:],
            signature[:half] + bytes(half),
            signature[:-1],
            signature + b"\0",
            b"\0" + signature,
            b"\xff" * len(signature),
            signature[half:] + signature[:half],
            native(signature),
        )
    )


def rebuilt(segments: Sequence[bytes]) -> bytes:
    """The text of segments."""
    return b".".join(segments)


def _with_unused_bits(segment: bytes, chance: Random) -> bytes:
    """Another last letter that differs in the bits which a lax decoder drops."""
    if len(segment) % 4 not in (2, 3) or segment[-1] not in _LETTERS:
        return segment
    spare = 4 if len(segment) % 4 == 2 else 2
    value = _LETTERS.index(segment[-1])
    return segment[:-1] + bytes([_LETTERS[value & -1 << spare | chance.randrange(1 << spare)]])
