"""Masking what must not be in a log: by the name it stands under, and by how it looks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

MASK: Final = "[redacted]"
DEPTH: Final = 6
"""How deep nested values are looked at; what lies deeper is masked whole."""

SECRET_NAMES: Final = re.compile(
    r"pass(word|phrase|wd)|secret|token|authorization|cookie|credential|assertion|(master|private|api)_?key|sealed",
    re.IGNORECASE,
)
# fmt: off
SECRET_TEXTS: Final = (
    # a JWS or JWE, or most of one
    (re.compile(r"eyJ[A-Za-z0-9_-]{5,}(\.[A-Za-z0-9_-]*)+"), MASK),
    # our refresh tokens, client secrets and API keys
    (re.compile(r"\bww[a-z]?_[A-Za-z0-9_-]+"), MASK),
    (re.compile(r"\$argon2[a-z]{1,2}\$[^\s\"']+"), MASK),
    (re.compile(r"(?i)\b(basic|bearer|dpop)(\s+)[A-Za-z0-9+/=._~-]{8,}"), rf"\1\2{MASK}"),
    # a form, a query, a cookie
    (re.compile(r"(?i)((?:password|secret|token|assertion|-access|-refresh)=)[^\s&;\"']+"), rf"\1{MASK}"),
    # JSON, or the repr of a dict
    (re.compile(r"(?i)([\"']\w*(?:password|secret|token)[\"']\s*:\s*)([\"']).*?(?<!\\)\2"), rf"\1\2{MASK}\2"),
    # a URL
    (re.compile(r"(\w://[^\s:/@]*:)[^\s/@]+@"), rf"\1{MASK}@"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL), MASK),
)
# fmt: on


def redacted(value: Any, depth: int = DEPTH) -> Any:
    """The value with every secret masked; texts, lists and maps are looked through."""
    match value:
        case str():
            return redacted_text(value)
        case bytes():
            return redacted_text(value.decode("utf-8", "replace"))
        case bool() | int() | float() | None:
            return value
        case _ if depth == 0:
            return MASK
        case Mapping():
            return {str(name): redacted_member(str(name), inner, depth - 1) for name, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [redacted(inner, depth - 1) for inner in value]
        case _:
            return redacted_text(str(value))


def redacted_member(name: str, value: Any, depth: int = DEPTH) -> Any:
    """A value under its name."""
    return MASK if SECRET_NAMES.search(name) else redacted(value, depth)


def redacted_text(text: str) -> str:
    """A text with everything masked that looks like a secret."""
    for pattern, mask in SECRET_TEXTS:
        text = pattern.sub(mask, text)
    return text
