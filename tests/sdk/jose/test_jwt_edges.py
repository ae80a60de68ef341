"""Strict JSON at its edges: exactly how deep, which errors, and that the short way and the long way agree."""

from __future__ import annotations

import binascii
import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from watchword.errors import Malformed
from watchword.jose.jwt import BAD_BYTES, claims, must_be_unique

LEVELS = 32
"""Of nesting that are read, the outer object included."""


def nested(levels: int, front: str = "", opening: str = "[", closing: str = "]") -> bytes:
    """An object with exactly so many levels below its last member, after other members in front."""
    return ("{" + front + '"deep":' + opening * (levels - 1) + "0" + closing * (levels - 1) + "}").encode()


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")], ids=["lists", "objects"])
@pytest.mark.parametrize(
    "front",
    [
        pytest.param("", id="nothing in front"),
        pytest.param('"a":[],"b":{},"c":[[],[{}]],', id="siblings that are closed again"),
        pytest.param('"a":"[[[[{{{{",', id="brackets in a string"),
        pytest.param('"a":"\\"[[[[",', id="an escaped quote"),
        pytest.param('"a":"[[[[\\\\",', id="an escaped backslash at a string's end"),
        pytest.param('"a":"\\\\\\"]]]]",', id="an escaped backslash before an escaped quote"),
        pytest.param('"a":"\\u005b\\n",', id="escapes that are no quotes"),
        pytest.param('"[{\\"":1,', id="brackets in a name"),
    ],
)
def test_32_levels_are_read_and_33_are_not(front: str, opening: str, closing: str) -> None:
    """Whatever stands in front, and whether lists or objects are nested."""
    assert claims(nested(LEVELS, front, opening, closing))
    with pytest.raises(Malformed):
        claims(nested(LEVELS + 1, front, opening, closing))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(alphabet='a[]{}"\\\n', max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(alphabet='b[{"\\', max_size=2), inner, max_size=2)
    ),
    max_leaves=6,
)


def depth(value: object) -> int:
    """Levels of lists and dicts."""
    if isinstance(value, dict | list):
        return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)
    return 0


@given(JSON, JSON, st.lists(st.booleans(), min_size=LEVELS - 6, max_size=LEVELS + 1))
def test_depth_is_counted_as_a_reader_would(before: object, inside: object, wraps: list[bool]) -> None:
    """By the value that was read, not by its text: the two never differ."""
    value: Any = inside
    for as_list in wraps:
        value = [before, value] if as_list else {"before": before, "deep": value}
    value = {"all": value}
    payload = json.dumps(value).encode()
    if depth(value) <= LEVELS:
        assert claims(payload) == value
    else:
        with pytest.raises(Malformed):
            claims(payload)


def spelled(pairs: list[tuple[str, object]], compact: bool) -> bytes:
    """An object whose members come in this order, twice where they are given twice."""
    comma, colon = (",", ":") if compact else (" , ", " : ")
    members = comma.join(json.dumps(name) + colon + _value(value, compact) for name, value in pairs)
    return f"{{{members}}}".encode()


def _value(value: object, compact: bool) -> str:
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return spelled(value, compact).decode()
    return json.dumps(value, separators=(",", ":") if compact else None)


PAIRS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", "d"]),
        st.integers(0, 2) | st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 1)), max_size=3),
    ),
    max_size=4,
)


@given(PAIRS, st.booleans())
@example([("a", 1), ("a", 1)], True)
@example([("a", [("b", 1), ("b", 1)])], True)
def test_what_is_read_the_short_way_is_read_the_long_way(pairs: list[tuple[str, object]], compact: bool) -> None:
    """An object is refused exactly when one of its objects has a name twice, in our own spelling and in others'."""
    payload = spelled(pairs, compact)
    if _repeats(pairs):
        with pytest.raises(Malformed):
            claims(payload)
        with pytest.raises(BAD_BYTES):
            must_be_unique(payload)
    else:
        must_be_unique(payload)
        assert claims(payload) == json.loads(payload)


def _repeats(pairs: list[tuple[str, object]]) -> bool:
    names = [name for name, _ in pairs]
    inner = [value for _, value in pairs if isinstance(value, list)]
    return len(set(names)) != len(names) or any(map(_repeats, inner))


@pytest.mark.parametrize(
    "error",
    [
        *(ValueError, UnicodeDecodeError, UnicodeEncodeError, binascii.Error, json.JSONDecodeError),
        *(OverflowError, ZeroDivisionError, FloatingPointError, RecursionError, MemoryError),
        *(msgspec.MsgspecError, msgspec.DecodeError, msgspec.ValidationError),
    ],
)
def test_every_error_that_hostile_bytes_may_cause_is_foreseen(error: type[Exception]) -> None:
    """Whoever decodes catches BAD_BYTES, so that nothing but a refusal leaves the verifier."""
    assert issubclass(error, BAD_BYTES)


@pytest.mark.parametrize("bug", [AttributeError, KeyError, TypeError, NameError, AssertionError, KeyboardInterrupt])
def test_a_bug_of_ours_is_no_bad_bytes(bug: type[BaseException]) -> None:
    """It must not hide behind a refusal of the token."""
    assert not issubclass(bug, BAD_BYTES)
