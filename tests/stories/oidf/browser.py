"""A small strict browser: it follows redirects until it leaves the issuer, keeps cookies by the rules, and obeys the
`form-action` of a page's policy, which browsers check for the redirects that follow a form too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from tests.stories.oidf.cookies import Jar
from tests.stories.oidf.page import Form, Page, page
from tests.stories.oidf.wire import FORM, Sent, Wire

MOST: Final = 20
"""Redirects."""
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class Stuck(AssertionError):
    """A browser, or the person before it, cannot go on."""


@dataclass(frozen=True)
class Arrival:
    """Where the browser left the issuer for, and what it carries there."""

    method: str
    url: str
    media_type: str = ""
    body: str = ""

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the URL."""
        return dict(parse_qsl(urlsplit(self.url).query, keep_blank_values=True))

    @property
    def form(self) -> dict[str, str]:
        """The fields of the body."""
        return dict(parse_qsl(self.body, keep_blank_values=True))


@dataclass
class Browser:
    """One browser, that of one person. `home` is the issuer's origin: everything else is somewhere else."""

    wire: Wire
    home: str
    jar: Jar = field(default_factory=Jar)
    seen: list[Page] = field(default_factory=list)

    def visit(self, url: str) -> Page | Arrival:
        """Follow a link of the relying party's page."""
        return self._go(Sent("GET", url), from_elsewhere=True, sources=None)

    def post(self, url: str, form: dict[str, str]) -> Page | Arrival:
        """Submit a form of the relying party's page."""
        sent = Sent("POST", url, {"Content-Type": FORM}, urlencode(form).encode())
        return self._go(sent, from_elsewhere=True, sources=None)

    def submit(self, at: Page, form: Form, values: list[tuple[str, str]]) -> Page | Arrival:
        """Submit a form of the issuer's page with these fields, as a click on its button does."""
        sources = at.policy("form-action")
        if sources is not None and not permits(sources, form.action, self.home):
            raise Stuck(f"{at.path}: its own policy keeps its form from {form.action}: {sources}")
        if not same_origin(form.action, self.home):
            return Arrival(form.method, form.action, FORM, urlencode(values))
        headers = {"Content-Type": FORM, "Origin": self.home, "Referer": at.url}
        sent = Sent(form.method, form.action, headers, urlencode(values).encode())
        return self._go(sent, from_elsewhere=False, sources=sources)

    def fetch(self, url: str) -> bytes:
        """A picture or a sheet of a page."""
        got = self.wire.send(Sent("GET", url, {"Cookie": self.jar.header(url, from_elsewhere=False, safe=True)}))
        return got.body if got.status == 200 else b""

    def _go(self, sent: Sent, *, from_elsewhere: bool, sources: list[str] | None) -> Page | Arrival:
        for _ in range(MOST):
            safe = sent.method == "GET"
            cookies = self.jar.header(sent.url, from_elsewhere=from_elsewhere, safe=safe)
            language = {"Accept": "text/html", "Accept-Language": "en"}
            headers = {**language, **sent.headers, **({"Cookie": cookies} if cookies else {})}
            got = self.wire.send(Sent(sent.method, sent.url, headers, sent.body))
            self.jar.take(sent.url, got.all("set-cookie"))
            if got.status not in REDIRECTS:
                shown = page(sent.url, got)
                self.seen.append(shown)
                return shown
            target = urljoin(sent.url, got.header("location"))
            if sources is not None and not permits(sources, target, self.home):
                raise Stuck(f"{sent.path}: form-action {sources} keeps a browser from {target.partition('?')[0]}")
            if not same_origin(target, self.home):
                return Arrival("GET", target)
            again = got.status in {307, 308}
            sent = Sent(sent.method, target, sent.headers, sent.body) if again else Sent("GET", target)
        raise Stuck("redirected for ever")


def origin(url: str) -> str:
    """Scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def same_origin(url: str, other: str) -> bool:
    """Whether both have one origin."""
    return origin(url) == origin(other)


def permits(sources: list[str], url: str, own: str) -> bool:
    """Whether a list of sources of a policy holds a URL (CSP Level 3 §6.7.2)."""
    ours = {"'self'": origin(own), f"{urlsplit(url).scheme}:": origin(url), "*": origin(url)}
    return origin(url) in {ours.get(source, origin(source)) for source in sources}
