"""A deployment's own colours, and its logo."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword_server.web.pages.brand import (
    LEAST,
    LEAST_AT_NIGHT,
    MOST_LOGO,
    Brand,
    UnfitBrand,
    contrast,
    logo,
    sheet,
)

COLOURS = st.from_regex(r"#[0-9a-f]{6}", fullmatch=True)


def test_ours_needs_no_sheet() -> None:
    """Nothing is set, nothing is sent."""
    assert sheet(Brand()) == ""


def test_a_sheet_says_the_colours_twice() -> None:
    """Once for browsers that know day and night, once for the others."""
    made = sheet(Brand(color="#0E6B5C", color_dark="#3fbfa6", night="#0a2e36"))
    assert made == (
        ":root { --brand: #0e6b5c; --brand-on: #ffffff; --brand-night: #0a2e36; --brand-night-on: #f2f5f4; }\n"
        "@supports (color: light-dark(#000, #fff)) { :root {"
        " --brand: light-dark(#0e6b5c, #3fbfa6); --brand-on: light-dark(#ffffff, #17150d);"
        " --brand-night: light-dark(#0a2e36, #0a2e36); --brand-night-on: light-dark(#f2f5f4, #f2f5f4); } }\n"
    )


@pytest.mark.parametrize(
    ("brand", "said"),
    [
        (Brand(color="#777777"), "pages.color #777777 leaves text on it a contrast of 4.48: it needs 4.5"),
        (Brand(color="#000000", color_dark="#787878"), "pages.color_dark #787878 leaves text on it a contrast of 4."),
        (Brand(night="#5a5a5a"), "pages.night #5a5a5a leaves text on it a contrast of 6."),
        (Brand(night="#000000", night_dark="#888888"), "pages.night_dark #888888 leaves"),
        (Brand(color_dark="#000000"), "pages.color_dark is set without pages.color"),
        (Brand(night_dark="#000000"), "pages.night_dark is set without pages.night"),
        (Brand(color="red"), "pages.color must be a colour such as #0e6b5c"),
        (Brand(color="#fff"), "pages.color must be a colour"),
        (Brand(color="#000000;}"), "pages.color must be a colour"),
        (Brand(color="#000000\n"), "pages.color must be a colour"),
    ],
)
def test_colours_that_nobody_could_read_on_are_refused(brand: Brand, said: str) -> None:
    """In one sentence that names the setting and the figure, before anything is served."""
    assert sheet(Brand(color="#757575"))  # the nearest grey that is good
    with pytest.raises(UnfitBrand) as refused:
        sheet(brand)
    assert str(refused.value).startswith(said)


@given(COLOURS, COLOURS)
def test_whatever_is_not_refused_can_be_read(lamp: str, night: str) -> None:
    """Text on the lamp has 4.5:1, the first voice of a challenge 7:1."""
    for brand, least in ((Brand(color=lamp), LEAST), (Brand(night=night), LEAST_AT_NIGHT)):
        try:
            made = sheet(brand)
        except UnfitBrand:
            continue
        ground, ink = re.findall(r"#[0-9a-f]{6}", made)[:2]
        assert contrast(ground, ink) >= least


def test_contrast_is_that_of_wcag() -> None:
    """Its own examples, and symmetric."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#ffffff", "#ffffff") == pytest.approx(1)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)
    assert contrast("#0000ff", "#ffffff") == contrast("#ffffff", "#0000ff") == pytest.approx(8.592, abs=0.001)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n...", "png"),
        (b"\xff\xd8\xff\xe0...", "jpg"),
        (b"<svg xmlns=''/>", "svg"),
        (b"\xef\xbb\xbf <?xml version='1.0'?><svg/>", "svg"),
    ],
)
def test_a_logo_is_known_by_what_it_is(content: bytes, kind: str) -> None:
    """Whatever its file is called."""
    assert logo(content).kind == kind


@pytest.mark.parametrize("content", [b"", b"<html><script>", b"GIF89a", b"RIFF", b"<svg" + b" " * MOST_LOGO])
def test_what_is_no_picture_is_no_logo(content: bytes) -> None:
    """It would be served from our own origin."""
    with pytest.raises(UnfitBrand, match="pages.logo"):
        logo(content)
