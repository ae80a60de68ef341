"""A deployment's own name, logo and colours, and the small sheet that they become."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

INK: Final = "#17150d"
PAPER: Final = "#ffffff"
NIGHT_INK: Final = "#14191a"
NIGHT_PAPER: Final = "#f2f5f4"
LEAST: Final = 4.5
"""Contrast of text on the lamp (WCAG 2.2, 1.4.3)."""
LEAST_AT_NIGHT: Final = 7.0
"""The second voice of a challenge is a quarter paler than the first, and must still reach LEAST."""
MOST_LOGO: Final = 256 * 1024
"""Bytes of a logo."""
_COLOUR: Final = re.compile(r"#[0-9a-fA-F]{6}")
_KINDS: Final = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"<svg", "svg"),
    (b"<?xml", "svg"),
)


class UnfitBrand(ValueError):
    """It cannot be shown; the message is one sentence for the operator that names the setting."""


class Logo(Struct, frozen=True):
    """A picture, and its kind: svg, png or jpg."""

    content: bytes
    kind: str


class Brand(Struct, frozen=True, kw_only=True):
    """What makes the pages a deployment's own. Colours are #rrggbb, by day and by night; None: ours."""

    name: str = "Watchword"
    logo: Logo | None = None
    color: str | None = None
    """The lamp: the next step."""
    color_dark: str | None = None
    """The lamp by night; None: the same."""
    night: str | None = None
    """The challenge: the upper half of a card."""
    night_dark: str | None = None
    help: str | None = None
    privacy: str | None = None
    terms: str | None = None


def logo(content: bytes) -> Logo:
    """A logo by what it is, not by what its file is called. Raises UnfitBrand."""
    if len(content) > MOST_LOGO:
        raise UnfitBrand(f"pages.logo has {len(content)} bytes: {MOST_LOGO} are allowed")
    begin = content.removeprefix(b"\xef\xbb\xbf").lstrip()
    for sign, kind in _KINDS:
        if begin.startswith(sign):
            return Logo(content, kind)
    raise UnfitBrand("pages.logo must be a file in SVG, PNG or JPEG")


def sheet(brand: Brand) -> str:
    """The sheet that stands after ours; empty where every colour is ours. Raises UnfitBrand."""
    lamp = _pair("color", brand.color, brand.color_dark, (INK, PAPER), LEAST)
    night = _pair("night", brand.night, brand.night_dark, (NIGHT_PAPER, NIGHT_INK), LEAST_AT_NIGHT)
    pairs = [(name, pair) for name, pair in (("brand", lamp), ("brand-night", night)) if pair is not None]
    if not pairs:
        return ""
    by_day = [line for name, (day, _) in pairs for line in (f"--{name}: {day[0]};", f"--{name}-on: {day[1]};")]
    both = [
        line
        for name, (day, dark) in pairs
        for line in (f"--{name}: light-dark({day[0]}, {dark[0]});", f"--{name}-on: light-dark({day[1]}, {dark[1]});")
    ]
    # A variable takes any text, so a browser that knows no light-dark() must not read of it.
    known = "@supports (color: light-dark(#000, #fff))"
    return f":root {{ {' '.join(by_day)} }}\n{known} {{ :root {{ {' '.join(both)} }} }}\n"


def contrast(one: str, other: str) -> float:
    """From 1 to 21 (WCAG 2.2, contrast ratio)."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


_Pair = tuple[tuple[str, str], tuple[str, str]]


def _pair(name: str, day: str | None, night: str | None, inks: tuple[str, str], least: float) -> _Pair | None:
    """The colour by day and by night, each with its text."""
    if day is None and night is None:
        return None
    if day is None:
        raise UnfitBrand(f"pages.{name}_dark is set without pages.{name}")
    dark = (f"{name}_dark", night) if night is not None else (name, day)
    return _with_ink(name, day, inks, least), _with_ink(*dark, inks, least)


def _with_ink(name: str, colour: str, inks: tuple[str, str], least: float) -> tuple[str, str]:
    if not _COLOUR.fullmatch(colour):
        raise UnfitBrand(f"pages.{name} must be a colour such as #0e6b5c")
    best = max(inks, key=lambda ink: contrast(ink, colour))
    reached = contrast(best, colour)
    if reached < least:
        raise UnfitBrand(
            f"pages.{name} {colour} leaves text on it a contrast of {reached:.2f}: it needs {least},"
            " so choose a lighter or a darker one"
        )
    return colour.lower(), best


def _luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
