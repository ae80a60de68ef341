"""How an encrypted token is kept: found by its whole text, and opened by nothing else."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from watchword_server.protocol.encrypted_token import NONCE, is_encrypted, kept, record, signed_inside
from watchword_server.protocol.errors import InvalidSession

TOKEN, SIGNED, NONCE_BYTES = "a.b.c.d.e", "x.y.z", b"n" * NONCE


@given(st.text("abc._-", min_size=5), st.text("abc._-"), st.binary(min_size=NONCE, max_size=NONCE))
def test_what_was_put_in_comes_out_for_the_same_text(token: str, signed: str, nonce: bytes) -> None:
    """And it stands there in no readable form."""
    found = record(token, signed, nonce, 7)
    assert signed_inside(found, token) == signed
    assert (found.hash, found.expires_at) == (kept(token), 7)
    assert len(signed) < 5 or signed.encode() not in found.sealed


def test_another_text_opens_nothing() -> None:
    """Not one letter may differ."""
    found = record(TOKEN, SIGNED, NONCE_BYTES, 7)
    for other in ("a.b.c.d.f", "A.b.c.d.e", "a.b.c.d.e ", "", SIGNED):
        with pytest.raises(InvalidSession):
            signed_inside(found, other)


@pytest.mark.parametrize("place", [0, NONCE - 1, NONCE, NONCE + 3, -1])
def test_a_changed_record_opens_nothing(place: int) -> None:
    """Whoever changed it."""
    found = record(TOKEN, SIGNED, NONCE_BYTES, 7)
    changed = bytearray(found.sealed)
    changed[place] ^= 1
    for sealed in (bytes(changed), b"", found.sealed[:NONCE], found.sealed[:-1]):
        with pytest.raises(InvalidSession):
            signed_inside(type(found)(found.hash, sealed, 7), TOKEN)


def test_what_is_kept_by_is_not_what_opens() -> None:
    """The hash is in the file; the key that it stands beside is not made of it."""
    found = record(TOKEN, SIGNED, NONCE_BYTES, 7)
    with pytest.raises(InvalidTag):
        AESGCM(found.hash).decrypt(found.sealed[:NONCE], found.sealed[NONCE:], found.hash)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a.b.c.d.e", True), ("....", True), ("a.b.c", False), ("a.b.c.d", False), ("a.b.c.d.e.f", False), ("", False)],
)
def test_five_segments_are_an_encrypted_token(text: str, expected: bool) -> None:
    """Its form alone says where to look; nothing is believed for it."""
    assert is_encrypted(text) is expected
