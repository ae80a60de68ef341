"""Languages: which one a person reads, and the catalogues (gettext) that `make catalogues` compiles."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from typing import Final

MOST: Final = 32
"""Ranges of an Accept-Language that are looked at."""
_RANGE: Final = re.compile(
    r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*|\*)\s*(?:;\s*q\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*)?"
)


class Locale(Enum):
    """A language that the pages speak. The value is its tag in `ui_locales`; `tag` is that of the document."""

    ENGLISH = "en"
    SPANISH = "es"
    CHINESE = "zh"

    @property
    def tag(self) -> str:
        """The language of the document (BCP 47): our Chinese is written in simplified characters."""
        return "zh-Hans" if self is Locale.CHINESE else self.value

    @property
    def own_name(self) -> str:
        """The language in itself."""
        return {"en": "English", "es": "Español", "zh": "中文"}[self.value]


def negotiated(ui_locales: Sequence[str], accept_language: str | None) -> Locale:
    """The first of `ui_locales` that we speak, or what the browser likes best, or English.

    A tag stands for its language: es-MX is Spanish, zh-Hans-CN is Chinese (RFC 4647 §3.4).
    """
    for tag in (*ui_locales, *_liked(accept_language or "")):
        found = spoken(tag)
        if found is not None:
            return found
    return Locale.ENGLISH


def spoken(tag: str) -> Locale | None:
    """The locale for a language tag, None where we do not speak it."""
    try:
        return Locale(tag.partition("-")[0].lower())
    except ValueError:
        return None


def _liked(accept_language: str) -> Iterator[str]:
    """Languages by weight, those of equal weight as they stand (RFC 9110 §12.5.4). What cannot be read is skipped."""
    matches = [_RANGE.fullmatch(part) for part in accept_language.split(",", MOST)[:MOST]]
    weighed = [(float(match[2] or 1), match[1]) for match in matches if match]
    return (tag for weight, tag in sorted(weighed, key=lambda pair: -pair[0]) if weight > 0)


@cache
def catalogue(locale: Locale) -> NullTranslations:
    """The translations of a locale. English stands in the templates."""
    if locale is Locale.ENGLISH:
        return NullTranslations()
    place = files(__package__) / "catalogues" / f"{locale.value}.mo"
    with place.open("rb") as file:
        return GNUTranslations(file)
