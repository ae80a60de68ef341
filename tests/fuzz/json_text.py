"""JSON taken apart with nothing lost (members that occur twice, spellings of numbers), changed, and written again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Any, Final

Native = Callable[[bytes], bytes]
"""The engine's own change of bytes: flips, insertions, what the code under test was seen to compare with."""


Known = Mapping[str, Sequence[Any]]
"""Members worth trying, each with values worth trying."""


class Number(str):
    """A number as it is spelled: `1`, `1.0` and `1e0` are three."""


class Members(list[tuple[str, Any]]):
    """An object, in which a name may occur twice."""


# fmt: off
NUMBERS: Final = tuple(map(Number, (
    "0", "-0", "-0.0", "1", "-1", "1.5", "1e3", "1E400", "-1e400", "1e-400", "NaN", "Infinity", "-Infinity",
    "01", "+1", ".5", "1.",
    "2147483648", "253402300799", "253402300800", "9007199254740993", "9223372036854775807", "9223372036854775808",
    "18446744073709551615", "18446744073709551616", "-9223372036854775809", "1e30", "0x10", "1" * 400, "9" * 5000,
)))
TEXTS: Final = (
    "", " ", "\0", "none", "null", "JWT", "at+jwt", "A", "é", "\u212a", "\ud800", "\U0010ffff", "x" * 256, "x" * 257,
    "../../etc/passwd", "a\nb", "a b", " a", "a  b",
    "https://id.example.com", "https://id.example.com/", "HTTPS://ID.EXAMPLE.COM",
)
# fmt: on
NONE: Final[Known] = {}
PLAIN: Final = (True, False, None)
ABYSS: Final = Number("[" * 1_400 + "]" * 1_400)
"""Deeper than decoders go down."""


def gathered(pairs: Iterable[tuple[str, Any]]) -> Known:
    """Values by name: each name is tried as often as any other, however many values it has."""
    known: dict[str, list[Any]] = {}
    for name, value in pairs:
        known.setdefault(name, []).append(value)
    return known


def parse(text: bytes) -> Any:
    """The value in `text`, objects as Members and numbers as Number. Raises ValueError or RecursionError."""
    return json.loads(
        text.decode("utf-8", "surrogatepass"),
        object_pairs_hook=Members,
        parse_int=Number,
        parse_float=Number,
        parse_constant=Number,
    )


def write(value: Any) -> bytes:
    """`value` as compact UTF-8."""
    return _text(value).encode("utf-8", "surrogatepass")


def tree(value: Any) -> Any:
    """A Python value as `parse` would have read it."""
    return parse(json.dumps(value).encode())


def change(text: bytes, known: Known, chance: Random, native: Native) -> bytes:
    """Another text near `text`."""
    if chance.random() < 0.25:
        return _respelled(text, chance) if chance.random() < 0.5 else native(text)
    try:
        value = parse(text)
        for _ in range(1 + min(3, int(chance.expovariate(1.2)))):
            value = _changed(value, known, chance)
        return write(value)
    except (ValueError, RecursionError):  # no JSON, or nested deeper than Python itself goes
        return native(text)


def _text(value: Any) -> str:
    if isinstance(value, Number):
        return value
    if isinstance(value, Members):
        return "{" + ",".join(f"{_quoted(name)}:{_text(member)}" for name, member in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    # What has no UTF-8 travels as an escape; everything else as itself, as issuers write it.
    return json.dumps(text, ensure_ascii=any("\ud800" <= letter <= "\udfff" for letter in text))


def _changed(value: Any, known: Known, chance: Random) -> Any:
    """`value` with one thing in it changed, at any depth."""
    if isinstance(value, Members) and (value or known):
        return _members_changed(value, known, chance)
    if isinstance(value, list) and value and chance.random() < 0.8:
        place = chance.randrange(len(value))
        return chance.choice((_replaced, _dropped, _doubled, _swapped))(value, place, known, chance)
    return anything(value, chance)


def _members_changed(members: Members, known: Known, chance: Random) -> Members:
    dice = chance.random()
    changed = Members(members)
    if dice < 0.25 and known:
        name = chance.choice(tuple(known))
        value = chance.choice(known[name])
        return _put(changed, name, tree(value) if not isinstance(value, Number) else value, chance)
    if not changed:
        return Members([("a", Number("1"))])
    place = chance.randrange(len(changed))
    name, value = changed[place]
    if dice < 0.65:
        changed[place] = name, _changed(value, NONE, chance)
    elif dice < 0.75:
        del changed[place]
    elif dice < 0.87:
        changed.insert(chance.randrange(len(changed) + 1), (name, anything(value, chance)))
    elif dice < 0.93:
        changed[place] = _renamed(name, chance), value
    else:
        chance.shuffle(changed)
    return changed


def _put(members: Members, name: str, value: Any, chance: Random) -> Members:
    """The member set where it is, or added, or (now and then) added once more."""
    there = [place for place, (other, _) in enumerate(members) if other == name]
    if there and chance.random() < 0.9:
        members[there[0]] = name, value
    else:
        members.insert(chance.randrange(len(members) + 1), (name, value))
    return members


def _renamed(name: str, chance: Random) -> str:
    return chance.choice((name.upper(), name + "\0", name + " ", " " + name, name[:-1], name + name, ""))


def _replaced(items: list[Any], place: int, known: Known, chance: Random) -> list[Any]:
    return [*items[:place], _changed(items[place], known, chance), *items[place + 1 :]]


def _dropped(items: list[Any], place: int, known: Known, chance: Random) -> list[Any]:
    return [*items[:place], *items[place + 1 :]]


def _doubled(items: list[Any], place: int, known: Known, chance: Random) -> list[Any]:
    times = chance.choice((1, 1, 1, 40, 400))
    return [*items[:place], *[items[place]] * times, *items[place:]]


def _swapped(items: list[Any], place: int, known: Known, chance: Random) -> list[Any]:
    other = chance.randrange(len(items))
    swapped = list(items)
    swapped[place], swapped[other] = items[other], items[place]
    return swapped


def anything(value: Any, chance: Random) -> Any:
    """A value of any type, rather often near `value`."""
    dice = chance.random()
    if dice < 0.3:
        return _near(value, chance)
    if dice < 0.5:
        return chance.choice(NUMBERS)
    if dice < 0.7:
        return chance.choice(TEXTS)
    if dice < 0.8:
        return chance.choice(PLAIN)
    if dice < 0.9:
        return chance.choice(([], Members(), [value], [value, value], Members([("a", value)])))
    return _deep(value, chance)


def _near(value: Any, chance: Random) -> Any:
    if isinstance(value, Number):
        return _near_number(value, chance)
    if isinstance(value, str) and value:
        return _near_text(value, chance)
    return value


def _near_number(number: Number, chance: Random) -> Any:
    try:
        whole = int(number)
    except ValueError:
        return Number(number + "0")
    step = chance.choice((1, -1, 5, -5, 60, -60, 900, 3_600, 86_400, -86_400, 10**9, -whole, -2 * whole, whole))
    spelled = (f"{whole + step}", f"{whole + step}", f"{whole + step}.5", f"{whole}.0", f"{whole}e0")
    return chance.choice((*map(Number, spelled), str(whole), [number]))


def _near_text(text: str, chance: Random) -> Any:
    place = chance.randrange(len(text))
    letter = chance.choice('A Z0/_-=.\0\n"\\é')
    return chance.choice(
        (
            text[:place] + letter + text[place + 1 :],
            text[:place] + letter + text[place:],
            text[:place],
            text[place:],
            text + letter,
            text.upper(),
            text.swapcase(),
            text * chance.choice((2, 2, 50, 300)),
        )
    )


def _deep(value: Any, chance: Random) -> Any:
    # Beyond what Python nests, the text is written by hand: `Number` goes out as it is.
    levels = chance.choice((2, 31, 32, 33, 64, 900, 1_400, 5_000))
    opening, closing = chance.choice((("[", "]"), ('{"a":', "}")))
    return Number(opening * levels + "1" + closing * levels)


def _respelled(text: bytes, chance: Random) -> bytes:
    """The same JSON in other bytes, or nearly JSON: what a lax reader would take."""
    place = chance.randrange(len(text) + 1)
    return chance.choice(
        (
            b"\xef\xbb\xbf" + text,
            text + chance.choice((b" ", b"\n", b"\0", b"{}", b",", b"}", b"//x", b"\xff")),
            b" " + text,
            text.replace(b":", b": ").replace(b",", b", "),
            text.decode("latin-1").encode("utf-16"),
            text[:place] + chance.choice((b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\\u0000", b"/**/")) + text[place:],
            text[:place],
            _escaped(text, chance),
            b"[" + text + b"]",
        )
    )


def _escaped(text: bytes, chance: Random) -> bytes:
    """One letter as its escape, which says the same: a member hidden behind its twin's other spelling."""
    letters = [place for place, byte in enumerate(text) if chr(byte).isalpha()]
    if not letters:
        return text
    place = chance.choice(letters)
    return text[:place] + b"\\u%04x" % text[place] + text[place + 1 :]
