"""A page as a browser without JavaScript has it: forms, links, pictures, words."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

from tests.stories.oidf.wire import Got

SILENT = frozenset({"script", "style", "title"})


@dataclass
class Field:
    """What a form holds: an input or a button."""

    name: str
    value: str
    kind: str
    """The `type`; a button is `submit`."""
    checked: bool = False


@dataclass
class Form:
    """A form, with its action as a whole URL."""

    action: str
    method: str
    fields: list[Field] = field(default_factory=list)

    def names(self, kind: str = "") -> set[str]:
        """The names of its fields, of one kind or of all."""
        return {one.name for one in self.fields if kind in ("", one.kind)}

    def value(self, name: str) -> str:
        """What a field holds."""
        return next((one.value for one in self.fields if one.name == name), "")

    def untouched(self) -> list[tuple[str, str]]:
        """What is sent when nobody changes anything, without a button."""
        ticked = {"checkbox", "radio"}
        return [
            (one.name, one.value)
            for one in self.fields
            if one.name and one.kind != "submit" and (one.kind not in ticked or one.checked)
        ]


@dataclass
class Page:
    """What is shown at a URL."""

    url: str
    got: Got
    language: str = ""
    forms: list[Form] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    words: str = ""

    @property
    def path(self) -> str:
        """Where it is."""
        return urlsplit(self.url).path

    def form(self, *names: str) -> Form | None:
        """The first form that has all these fields."""
        return next((form for form in self.forms if set(names) <= form.names()), None)

    def policy(self, directive: str) -> list[str] | None:
        """The sources of a directive of its Content-Security-Policy; None where there is none."""
        for part in self.got.header("content-security-policy").split(";"):
            name, *sources = part.split() or [""]
            if name == directive:
                return sources
        return None


def page(url: str, got: Got) -> Page:
    """Read a page."""
    found = Page(url, got)
    reader = _Reader(found)
    reader.feed(got.text)
    reader.close()
    found.words = " ".join(" ".join(reader.said).split())
    return found


class _Reader(HTMLParser):
    def __init__(self, into: Page) -> None:
        super().__init__()
        self.page = into
        self.said: list[str] = []
        self.open: Form | None = None
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in SILENT:
            self.silent += 1
        if tag == "html":
            self.page.language = given.get("lang", "")
        elif tag == "form":
            action = urljoin(self.page.url, given.get("action", ""))
            self.open = Form(action, given.get("method", "get").upper())
            self.page.forms.append(self.open)
        elif tag in {"input", "button"} and "disabled" not in given:
            self._field(tag, given)
        elif tag == "a" and "href" in given:
            self.page.links.append(urljoin(self.page.url, given["href"]))
        elif tag == "img" and "src" in given:
            self.page.pictures.append(urljoin(self.page.url, given["src"]))
        elif tag == "script" and "src" in given:
            self.page.scripts.append(urljoin(self.page.url, given["src"]))

    def _field(self, tag: str, given: dict[str, str]) -> None:
        usual = "submit" if tag == "button" else "text"
        made = Field(given.get("name", ""), given.get("value", ""), given.get("type", usual), "checked" in given)
        if made.kind in {"checkbox", "radio"} and "value" not in given:
            made.value = "on"
        if self.open is not None:
            self.open.fields.append(made)

    def handle_endtag(self, tag: str) -> None:
        if tag in SILENT:
            self.silent -= 1
        if tag == "form":
            self.open = None

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.said.append(data)
