"""base64url: one spelling for every value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.errors import Malformed
from watchword.jose.b64 import b64url, unb64url


@given(st.binary(max_size=200))
def test_what_is_encoded_comes_back(data: bytes) -> None:
    """Encoding and decoding are each other's inverse, from text and from bytes."""
    text = b64url(data)
    assert "=" not in text
    assert unb64url(text) == data == unb64url(text.encode())


@given(st.one_of(st.text(max_size=12), st.text(alphabet='AQgwB-_+/= \n"\\', max_size=9)))
def test_every_value_has_one_spelling(text: str) -> None:
    """Whatever decodes at all is exactly what encoding gives (RFC 4648 §3.5)."""
    try:
        data = unb64url(text)
    except Malformed:
        return
    assert b64url(data) == text


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "AAAAA",
        "AB",
        "AAB",
        "AA==",
        "AA=",
        "AAA=",
        "A A",
        "AA\n",
        "\nAA",
        "+A",
        "/w",
        "AA.",
        '"AA"',
        "A\\n",
        "Ä",
        "\ud800",
    ],
)
def test_another_spelling_is_refused(text: str) -> None:
    """Padding, white space, the standard alphabet, unused bits, impossible lengths (RFC 7515 §2)."""
    with pytest.raises(Malformed):
        unb64url(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *((text, "^not base64url$") for text in ("A A=", "AA+A", "AAAAé", "AQ\n=", "AAAA\ud800")),
        *((text, "unused bits set, or of an impossible") for text in ("A", "AAAAX", "AAAA=", "AB", "AA.", "AAB")),
    ],
)
def test_a_refusal_says_whether_the_text_or_its_end_is_wrong(text: str, said: str) -> None:
    """Of the value itself it says nothing."""
    with pytest.raises(Malformed, match=said):
        unb64url(text)


@pytest.mark.parametrize("length", [2, 3, 4, 7, 8])
def test_no_byte_outside_the_alphabet_is_read_anywhere(length: int) -> None:
    """All 256 bytes at every position: 64 pass in front, and at the end those without unused bits."""
    passing = {1: 64, 2: 4, 3: 16, 0: 64}
    for position in range(length):
        read = [byte for byte in range(256) if _reads(b"A" * position + bytes([byte]) + b"A" * (length - position - 1))]
        assert len(read) == (passing[length % 4] if position == length - 1 else 64)


def _reads(raw: bytes) -> bool:
    try:
        unb64url(raw)
    except Malformed:
        return False
    return True
