"""Strict JSON: one value for one text, or Malformed."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.errors import Malformed
from watchword.jose.jwt import MAX_DEPTH, claims

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=6), JSON, max_size=5), st.sampled_from([None, 1]), st.booleans())
def test_a_plain_object_is_read_however_it_is_spelled(
    value: dict[str, object], indent: int | None, ascii: bool
) -> None:
    """White space, escapes and number formats are free (RFC 8259 §2)."""
    text = json.dumps(value, indent=indent, ensure_ascii=ascii)
    try:
        payload = text.encode()
    except UnicodeEncodeError:  # a lone surrogate is no text
        return
    try:
        assert claims(payload) == value
    except Malformed:
        assert "\\ud" in text  # an escaped lone surrogate is not UTF-8 either


@given(st.binary(max_size=60))
def test_any_bytes_end_in_a_dict_or_in_malformed(payload: bytes) -> None:
    """No other exception, whatever the bytes."""
    with suppress(Malformed):
        assert isinstance(claims(payload), dict)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b'{"a":1,"a":1}', id="duplicate member"),
        pytest.param(b'{"a":1,"\\u0061":2}', id="duplicate member, spelled otherwise"),
        pytest.param(b'{"a" :1,"a" :2}', id="duplicate member, with white space"),
        pytest.param(b'{"x":{"a":1,"a":2}}', id="duplicate member inside"),
        pytest.param(b'{"x":[[{"a":1,"b":2,"a":3}]]}', id="duplicate member deep inside"),
        pytest.param(b'{"a":NaN}', id="NaN"),
        pytest.param(b'{"a":Infinity}', id="Infinity"),
        pytest.param(b'{"a":-Infinity}', id="-Infinity"),
        pytest.param(b'{"a":1e400}', id="1e400"),
        pytest.param(b'{"a":' + b"9" * 10_000 + b"}", id="10,000-digit integer"),
        pytest.param(b'{"a":1} x', id="trailing data"),
        pytest.param(b'{"a":1}{}', id="two values"),
        pytest.param(b'{"a":1}\0', id="trailing NUL"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', id="BOM"),
        pytest.param('{"a":1}'.encode("utf-16"), id="UTF-16"),
        pytest.param('{"a":1}'.encode("utf-16-le"), id="UTF-16 without BOM"),
        pytest.param(b'{"a":"\xff"}', id="bad UTF-8"),
        pytest.param(b'{"a":"\xc0\x80"}', id="overlong UTF-8"),
        pytest.param(b'{"a":"\xed\xa0\x80"}', id="UTF-8 surrogate"),
        pytest.param(b'{"a":"\\ud800"}', id="lone surrogate"),
        pytest.param(b'{"a":"\n"}', id="raw control character"),
        pytest.param(b'{"a":1/**/}', id="comment"),
        pytest.param(b"{'a':1}", id="single quotes"),
        pytest.param(b'{"a":01}', id="leading zero"),
        pytest.param(b'{"a":1,}', id="trailing comma"),
        pytest.param(b'["a"]', id="list"),
        pytest.param(b'"a"', id="string"),
        pytest.param(b"1", id="number"),
        pytest.param(b"null", id="null"),
        pytest.param(b"", id="nothing"),
        pytest.param(b'{"a":' * 20_000 + b"1" + b"}" * 20_000, id="nested 20,000 levels"),
        pytest.param(b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}", id="20,000 lists"),
        pytest.param(b"[" * 100_000, id="100,000 open lists"),
    ],
)
def test_what_is_not_strict_json_is_malformed(payload: bytes) -> None:
    """Each in one typed error (RFC 8259, RFC 7519 §4)."""
    with pytest.raises(Malformed):
        claims(payload)


def test_nesting_is_read_up_to_its_bound() -> None:
    """The bound is a number of ours, not the stack that happens to be left; brackets in strings are no levels."""
    lists = MAX_DEPTH - 1
    assert claims(b'{"a":' + b"[" * lists + b"]" * lists + b"}")
    assert claims(b'{"a":"' + b"[{" * 100 + b'\\"' + b"[" * 100 + b'","b":[]}')
    assert claims(b'{"a":[' + b"[]," * 100 + b"1]}")
    with pytest.raises(Malformed):
        claims(b'{"a":' + b"[" * (lists + 1) + b"]" * (lists + 1) + b"}")
