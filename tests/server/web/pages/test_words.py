"""Languages: which one is chosen, and whether each says everything."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from watchword_server.web.pages import words
from watchword_server.web.pages.words import Locale, catalogue, negotiated, spoken

ROOM = Path(words.__file__).parent
CATALOGUES = ROOM / "catalogues"
OTHERS = [locale for locale in Locale if locale is not Locale.ENGLISH]
PLACEHOLDER = re.compile(r"%\(\w+\)s")

# fmt: off
NEGOTIATIONS = [
    ([],                 None,                              Locale.ENGLISH),
    ([],                 "",                                Locale.ENGLISH),
    ([],                 "es",                              Locale.SPANISH),
    ([],                 "ES-mx",                           Locale.SPANISH),
    ([],                 "zh-Hans-CN",                      Locale.CHINESE),
    ([],                 "de, fr;q=0.9",                    Locale.ENGLISH),
    ([],                 "de, es;q=0.2, zh;q=0.7",          Locale.CHINESE),
    ([],                 "de, zh;q=0.7, es;q=0.70",         Locale.CHINESE),
    ([],                 "en;q=0, es;q=0.001",              Locale.SPANISH),
    ([],                 "zh;q=0",                          Locale.ENGLISH),
    ([],                 "*",                               Locale.ENGLISH),
    ([],                 "zh;q=1.5, es;q=0.1",              Locale.SPANISH),
    ([],                 "zh;q=x, es ; q=0.4 , ",           Locale.SPANISH),
    ([],                 "zh_CN, es",                       Locale.SPANISH),
    ([],                 "x" * 100_000,                     Locale.ENGLISH),
    ([],                 "de," * 32 + "es",                 Locale.ENGLISH),
    (["es-419"],         "zh",                              Locale.SPANISH),
    (["de", "zh"],       "es",                              Locale.CHINESE),
    (["de"],             "es",                              Locale.SPANISH),
    (["", "-", "../es"], None,                              Locale.ENGLISH),
]
# fmt: on


@pytest.mark.parametrize(("asked", "header", "chosen"), NEGOTIATIONS)
def test_a_language_is_what_was_asked_for_or_what_the_browser_likes(
    asked: list[str], header: str | None, chosen: Locale
) -> None:
    """`ui_locales` first, then Accept-Language by weight; a tag stands for its language; else English."""
    assert negotiated(asked, header) is chosen


def test_a_tag_is_spoken_or_not() -> None:
    """What stands in a query is none of our languages until it is one."""
    assert (spoken("es"), spoken("zh-TW"), spoken("EN")) == (Locale.SPANISH, Locale.CHINESE, Locale.ENGLISH)
    assert [spoken(tag) for tag in ("", "*", "e", "esperanto", "es_ES", "es ")] == [None] * 6


def sentences() -> set[str | tuple[str, ...]]:
    """Every sentence of the templates."""
    method_map, options = [("**.html", "jinja2")], {"**.html": {"trimmed": "true"}}
    found = extract_from_dir(str(ROOM / "templates"), method_map, options)
    return {message for _, _, message, _, _ in found}


def written(locale: Locale) -> Catalog:
    """A catalogue as people write it."""
    with (CATALOGUES / f"{locale.value}.po").open("rb") as file:
        return read_po(file, locale=locale.value)


def said(messages: Catalog) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Every sentence with its translation, those with a plural with all of them."""
    both = [
        [tuple(text) if isinstance(text, list | tuple) else (text,) for text in (message.id, message.string)]
        for message in messages
        if message.id
    ]
    return dict(both)


@pytest.mark.parametrize("locale", OTHERS)
def test_a_catalogue_holds_every_sentence_and_no_other(locale: Locale) -> None:
    """`make catalogues` brings both together."""
    assert {message.id for message in written(locale) if message.id} == sentences()


@pytest.mark.parametrize("locale", OTHERS)
def test_every_sentence_is_translated(locale: Locale) -> None:
    """None is empty, none is a guess, none is left in English."""
    for message in written(locale):
        said = message.string if isinstance(message.string, tuple) else (message.string,)
        if not message.id:
            continue
        assert all(said), message.id
        assert not message.fuzzy, message.id
        if message.id != "%(day)s %(month)s %(year)s":
            assert message.id not in said, message.id
    assert len(list(written(locale).check())) == 0


@pytest.mark.parametrize("locale", OTHERS)
def test_the_placeholders_agree(locale: Locale) -> None:
    """A misspelt one would be a page that fails; a lost one would be a name that nobody reads."""
    for message in written(locale):
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        said = message.string if isinstance(message.string, tuple) else (message.string,)
        wanted = set(PLACEHOLDER.findall(ids[-1]))
        for place, text in enumerate(said):
            # One thing may be spelled out instead of counted; "%" stands for nothing else.
            spelled_out = len(said) > 1 and place == 0
            found = set(PLACEHOLDER.findall(text))
            assert found == wanted or (spelled_out and found == wanted - {"%(num)s"}), message.id
            assert "%" not in PLACEHOLDER.sub("", text), message.id


@pytest.mark.parametrize("locale", OTHERS)
def test_the_compiled_catalogue_is_the_written_one(locale: Locale) -> None:
    """Run time reads what `make catalogues` compiled, and needs no Babel."""
    with (CATALOGUES / f"{locale.value}.mo").open("rb") as file:
        compiled = read_mo(file)
    assert said(compiled) == said(written(locale))
    assert compiled.plural_expr == written(locale).plural_expr


@pytest.mark.parametrize(
    ("locale", "one", "five"),
    [
        (Locale.ENGLISH, "1 app", "5 apps"),
        (Locale.SPANISH, "1 aplicación", "5 aplicaciones"),
        (Locale.CHINESE, "1 个应用", "5 个应用"),
    ],
)
def test_plurals_follow_the_language(locale: Locale, one: str, five: str) -> None:
    """Each has its own rule."""
    said = catalogue(locale)
    assert [said.ngettext("%(num)s app", "%(num)s apps", num) % {"num": num} for num in (1, 5)] == [one, five]
