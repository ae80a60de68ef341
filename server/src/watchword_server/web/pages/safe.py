"""What others wrote, made fit to be shown. Jinja escapes it besides: this is about what reads as something else."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import urlsplit

LONGEST: Final = 100
"""Characters of a name that are shown."""
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_BLANK: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and signs that nobody sees."""
_JOINERS: Final = frozenset("\u200c\u200d")
"""Some scripts cannot be written without them, and neither can many emoji."""
_STACK: Final = 3
"""Marks on one letter; more would paint over the lines above."""

_CODE: Final = frozenset({"javascript", "data", "vbscript", "blob", "file", "about", "filesystem"})
"""Schemes that run or read something in the browser itself. Nobody can register one; here is the second lock."""
_SOURCE: Final = re.compile(r"[a-z][a-z0-9+.-]*:(//[A-Za-z0-9._-]+(:[0-9]{1,5})?)?")


def plain(text: str) -> str:
    """One line without anything that turns its direction around, hides, or leaves it. Never empty."""
    line = " ".join("".join(_visible(" ".join(text[: 8 * LONGEST].split()))).split())
    if all(letter in _JOINERS or letter.isspace() for letter in line):
        return "–"
    return line if len(line) <= LONGEST else line[: LONGEST - 1].rstrip() + "…"


def initials(name: str) -> str:
    """One or two letters for the face of a person or a program."""
    words = [found for word in plain(name).split() if (found := next(filter(str.isalnum, word), ""))]
    chosen = words if len(words) < 2 else [words[0], words[-1]]
    return "".join(chosen).upper()[:2] or "·"


def _visible(text: str) -> Iterator[str]:
    marks = 0
    for letter in text:
        kind = unicodedata.category(letter)
        marks = marks + 1 if kind in ("Mn", "Me") else 0
        shows = kind not in _INVISIBLE and letter not in _BLANK
        if marks <= _STACK and (shows or letter in _JOINERS):
            yield letter


class Place(NamedTuple):
    """An address that a browser is sent to, in parts: the host is what a person should read."""

    before: str
    host: str
    after: str

    @property
    def is_here(self) -> bool:
        """Whether it is the person's own device."""
        return self.host in ("localhost", "[::1]") or re.fullmatch(r"127(\.[0-9]{1,3}){3}", self.host) is not None

    @property
    def is_web(self) -> bool:
        """Whether a host stands in it; else it is an app's own scheme."""
        return bool(self.before)


def place(uri: str) -> Place:
    """Where a redirect URI leads. A host is in ASCII, so that no letter can pass for another."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return Place("", f"{parts.scheme}:", "")
    host = _ascii(parts.hostname or "")
    port = f":{parts.port}" if parts.port else ""
    return Place(f"{parts.scheme}://", f"[{host}]" if ":" in host else host, port)


def after_host(uri: str) -> str:
    """What follows the host in an address that was checked."""
    return f"{place(uri).after}{urlsplit(uri).path}"


def origin(uri: str) -> str:
    """The source expression for it in a Content-Security-Policy."""
    if urlsplit(uri).scheme in _CODE:
        return "'none'"
    found = place(uri)
    # The grammar of CSP knows no IPv6 address (CSP3 §2.3.1): browsers would ignore it, and refuse the redirect.
    source = found.before.partition("/")[0] if "[" in found.host else "".join(found)
    return source if _SOURCE.fullmatch(source) else "'none'"


def https(uri: str | None) -> str | None:
    """A link that may be shown: https with a host, nothing that scripts, and no user who looks like a host."""
    if uri is None or not uri.startswith("https://") or not re.fullmatch(r"[!-~]{9,2000}", uri):
        return None
    try:
        parts = urlsplit(uri)
        sound = bool(parts.hostname) and "@" not in parts.netloc and "\\" not in uri and parts.port != 0
    except ValueError:
        return None
    return uri if sound else None


def link(uri: str | None) -> str | None:
    """A validated address as a link: https, or http on the person's own device."""
    if uri is not None and uri.startswith("http://") and re.fullmatch(r"[!-~]+", uri) and place(uri).is_here:
        return uri
    return https(uri)


def _ascii(host: str) -> str:
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host.encode("ascii", "backslashreplace").decode("ascii")
