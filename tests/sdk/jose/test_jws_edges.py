"""Compact JWS at its edges: exactly how long, how many segments, and in which order things are refused."""

from __future__ import annotations

import json
from types import MappingProxyType

import pytest

from tests.sdk.minting import header, key, sealed, token, trusted
from watchword.errors import BadSignature, Malformed, UnknownKey, WrongType
from watchword.jose import jws
from watchword.jose.b64 import b64url, unb64url
from watchword.jose.jwk import secret_key

TYPES = ("at+jwt",)
LIMIT = 16 * 1024
KEYS = MappingProxyType({key().kid: trusted()})
LONGEST = 2048
"""Characters of the longest header."""


def long_header(characters: int) -> bytes:
    """A good header of exactly so many characters, encoded."""
    plain = json.dumps(header(pad=""))
    padded = json.dumps(header(pad="x" * (characters * 3 // 4 - len(plain))))
    encoded = b64url(padded.encode())
    assert len(encoded) == characters
    return encoded.encode()


def test_a_header_of_2048_characters_is_read() -> None:
    """By the reader, and in a token."""
    assert jws.read_header(long_header(LONGEST), KEYS, TYPES) == ("at+jwt", trusted())
    text = sealed(unb64url(long_header(LONGEST)), b"{}")
    assert jws.verify(text, KEYS, TYPES, LIMIT) == ("at+jwt", b"{}")


@pytest.mark.parametrize("segment", [b"A" * (LONGEST + 1), long_header(LONGEST + 2)])
def test_a_longer_header_is_refused_for_its_length(segment: bytes) -> None:
    """Before anything in it is decoded."""
    with pytest.raises(Malformed, match="header is too long"):
        jws.read_header(segment, KEYS, TYPES)


@pytest.mark.parametrize(
    ("text", "segments"),
    [("a.b.c", (b"a", b"b", b"a.b", b"c")), (b"a.b.c", (b"a", b"b", b"a.b", b"c")), ("..", (b"", b"", b".", b""))],
)
def test_a_token_comes_apart_at_its_two_dots(text: str | bytes, segments: tuple[bytes, ...]) -> None:
    """Header, payload, what was signed, signature; text and bytes alike."""
    assert jws.segments(text, LIMIT) == segments


@pytest.mark.parametrize("text", ["", ".", "abc", "a.b", "a.b.c.d", "...", "a.b.c.", ".a.b.c", "a..b.c", "a.b.c.d.e"])
def test_any_other_number_of_dots_is_refused_as_such(text: str) -> None:
    """Whether they stand together, in front or at the end."""
    for spelled in (text, text.encode()):
        with pytest.raises(Malformed, match="not three segments"):
            jws.segments(spelled, LIMIT)


def test_a_limit_counts_the_last_character() -> None:
    """As long as the limit is not too long."""
    assert jws.segments("aa.bb.cc", 8)
    with pytest.raises(Malformed, match="token is too long"):
        jws.segments("aa.bb.cc", 7)
    with pytest.raises(Malformed, match="token is too long"):
        jws.segments("é" * 8, 7)  # the length is looked at first


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        pytest.param({"alg": ...}, WrongType, id="no alg"),
        pytest.param({"alg": ""}, WrongType, id="alg empty"),
        pytest.param({"alg": "XXXX"}, WrongType, id="alg unknown"),
        pytest.param({"kid": ...}, UnknownKey, id="no kid"),
        pytest.param({"kid": "XXXX"}, UnknownKey, id="kid unknown"),
        pytest.param({"typ": ...}, WrongType, id="no typ"),
        pytest.param({"crit": None}, WrongType, id="crit null"),
        pytest.param({"crit": []}, WrongType, id="crit empty"),
        pytest.param({"b64": None}, WrongType, id="b64 null"),
        pytest.param({"b64": True}, WrongType, id="b64 as it is anyway"),
        pytest.param({"alg": None}, Malformed, id="alg null"),
        pytest.param({"kid": 7}, Malformed, id="kid a number"),
        pytest.param({"typ": ["at+jwt"]}, Malformed, id="typ a list"),
    ],
)
def test_a_header_is_refused_before_its_signature_is_looked_at(
    change: dict[str, object], refusal: type[Exception]
) -> None:
    """Even where the signature is no base64url at all: a forgery is cheap to refuse."""
    text = token(header(**change), b"{}").rpartition(".")[0] + ".!"
    with pytest.raises(refusal):
        jws.verify(text, KEYS, TYPES, LIMIT)


def test_a_member_twice_is_refused_only_under_a_good_signature() -> None:
    """The closer look costs time, so it is for what the key's holder wrote."""
    twice = json.dumps(header()).encode()[:-1] + b', "typ": "at+jwt"}'
    text = sealed(twice, b"{}")
    with pytest.raises(Malformed):
        jws.verify(text, KEYS, TYPES, LIMIT)
    with pytest.raises(BadSignature):
        jws.verify(text.rpartition(".")[0] + "." + "A" * 86, KEYS, TYPES, LIMIT)


def test_without_kid_nothing_but_the_empty_kid_is_found() -> None:
    """A header says nothing: then only what the caller listed for it is meant."""
    text = token(header(kid=...), b"{}")
    assert jws.verify(text, {"": trusted()}, TYPES, LIMIT) == ("at+jwt", b"{}")
    with pytest.raises(UnknownKey):
        jws.verify(text, {"XXXX": trusted()}, TYPES, LIMIT)
    bare = token(header(typ=...), b"{}")
    assert jws.verify(bare, KEYS, ("",), LIMIT) == ("", b"{}")
    with pytest.raises(WrongType):
        jws.verify(bare, KEYS, ("XXXX", "xxxx"), LIMIT)


def test_a_signer_writes_exactly_this() -> None:
    """Three segments over known bytes, by a key whose signature is no secret of chance."""
    seal = jws.signer(secret_key(bytes(32), "HS256", "the-kid"), "at+jwt")
    head = b64url(b'{"alg":"HS256","kid":"the-kid","typ":"at+jwt"}')
    signed = f"{head}.{b64url(b'payload')}"
    expected = secret_key(bytes(32), "HS256", "x").sign(signed.encode())
    assert seal(b"payload") == f"{signed}.{b64url(expected)}"
