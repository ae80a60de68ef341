"""What others wrote, made fit to be shown."""

from __future__ import annotations

import pytest

from watchword_server.web.pages.safe import LONGEST, https, initials, link, origin, place, plain

# fmt: off
NAMES = [
    ("Berth Planner",                       "Berth Planner"),
    ("  Berth \n\t Planner\r\n",            "Berth Planner"),
    ("a\x00b\x1b[31mc",                     "ab[31mc"),
    ("photo\u202egnp.exe",                  "photognp.exe"),
    ("\u2066\u2067\u2068x\u2069\u200e\u200f", "x"),
    ("Water\u200bmark\ufeff\u00ad",         "Watermark"),
    ("क्\u200dष",                            "क्\u200dष"),
    ("\u200d\u200c",                        "–"),
    ("\u3164\u115f\u2800",                  "–"),
    ("",                                    "–"),
    ("\ud800x",                             "x"),
    ("\U000e0041\ue000x",                   "x"),
    ("Z" + "\u0353" * 30 + "algo",          "Z" + "\u0353" * 3 + "algo"),
    ("Ine\u0301s",                          "Ine\u0301s"),
    ("王小明",                               "王小明"),
    ("<b>&amp;\"'",                         "<b>&amp;\"'"),
    ("x" * 100,                             "x" * 100),
    ("x" * 101,                             "x" * 99 + "…"),
    ("x" * 10_000_000,                      "x" * 99 + "…"),
]
# fmt: on


@pytest.mark.parametrize(("text", "shown"), NAMES)
def test_a_name_is_one_visible_line(text: str, shown: str) -> None:
    """Nothing turns its direction around, hides, or climbs out of its line."""
    assert plain(text) == shown
    assert 0 < len(plain(text)) <= LONGEST


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Berth Planner", "BP"), ("Rates", "R"), ("a b c", "AC"), ("王小明", "王"), ("<&> ()", "·"), ("ßa b", "SS")],
)
def test_a_face_has_two_letters_at_most(name: str, letters: str) -> None:
    """Those of the first and the last word."""
    assert initials(name) == letters


PLACES = [
    ("https://app.example/cb?x=1", ("https://", "app.example", ""), "https://app.example", False),
    ("https://APP.example:8443/cb", ("https://", "app.example", ":8443"), "https://app.example:8443", False),
    ("https://bücher.example/cb", ("https://", "xn--bcher-kva.example", ""), "https://xn--bcher-kva.example", False),
    ("https://\u0430pple.example/", ("https://", "xn--pple-43d.example", ""), "https://xn--pple-43d.example", False),
    ("http://localhost:49152/cb", ("http://", "localhost", ":49152"), "http://localhost:49152", True),
    ("http://127.0.0.1:1/", ("http://", "127.0.0.1", ":1"), "http://127.0.0.1:1", True),
    ("http://[::1]:1/", ("http://", "[::1]", ":1"), "http:", True),
    (
        "https://127.0.0.1.evil.example/",
        ("https://", "127.0.0.1.evil.example", ""),
        "https://127.0.0.1.evil.example",
        False,
    ),
    ("com.example.app:/cb", ("", "com.example.app:", ""), "com.example.app:", False),
    ("https://a;script-src *.example/", ("https://", "a;script-src *.example", ""), "'none'", False),
    ("https://*.example/", ("https://", "*.example", ""), "'none'", False),
    ("javascript:alert(1)", ("", "javascript:", ""), "'none'", False),
    ("data:text/html,x", ("", "data:", ""), "'none'", False),
]


@pytest.mark.parametrize(("uri", "parts", "source", "is_here"), PLACES)
def test_an_address_is_read_by_its_host(uri: str, parts: tuple[str, ...], source: str, is_here: bool) -> None:
    """In ASCII for people; as a source that holds nothing else for the policy."""
    assert place(uri) == parts
    assert place(uri).is_here is is_here
    assert origin(uri) == source


BAD_LINKS = [
    None,
    "",
    "javascript:alert(1)",
    "JAVASCRIPT:alert(1)",
    "http://a.example",
    "//a.example",
    "https://",
    "https:///x",
    "https://google.com@evil.example",
    "https://a.example\\@b.example",
    "https://a.example/\n",
    "https://a.example/ x",
    "https://a.example:99999/",
    "https://[::1",
    "https://\u0430pple.example",
    "https://a.example/" + "x" * 2000,
]


@pytest.mark.parametrize("uri", BAD_LINKS)
def test_a_link_that_is_not_plain_https_is_not_shown(uri: str | None) -> None:
    """Clients name them; a person would click."""
    assert https(uri) is None
    assert link(uri) is None


def test_a_link_is_https_or_leads_to_ones_own_device() -> None:
    """The second only where an address was validated before."""
    assert https("https://a.example/privacy?x=1#y") == "https://a.example/privacy?x=1#y"
    assert (https("http://localhost/"), link("http://localhost/")) == (None, "http://localhost/")
    assert link("http://localhost.evil.example/") is None
