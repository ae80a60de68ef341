"""A person at a browser: signs in, allows or denies what is asked, confirms a logout."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from tests.stories.oidf.browser import Arrival, Browser, Stuck, same_origin
from tests.stories.oidf.page import Form, Page

PATIENCE: Final = 8
"""Pages in a row."""


@dataclass
class Person:
    """Who has an account. `answers` is what this person says when asked for consent."""

    browser: Browser
    email: str
    password: str = field(repr=False)
    answers: str = "allow"
    remembers: bool = True
    """Whether this person wants to be asked no more."""

    def finish(self, shown: Page | Arrival) -> Page | Arrival:
        """Do what each page asks for until the browser leaves, or a page asks for nothing."""
        for _ in range(PATIENCE):
            if isinstance(shown, Arrival) or shown.got.status != 200:
                return shown
            form = onward(shown, self.browser) or shown.form("csrf")
            if form is None:
                return shown
            shown = self.browser.submit(shown, form, self._filled(form))
        raise Stuck(f"page after page: {[page.path for page in self.browser.seen[-PATIENCE:]]}")

    def authorize(self, url: str) -> Page | Arrival:
        """Follow the relying party's link, and do what is asked."""
        return self.finish(self.browser.visit(url))

    def _filled(self, form: Form) -> list[tuple[str, str]]:
        """What is sent: each room of the issuer has a form of its own, and one that leads away needs nothing."""
        room = urlsplit(form.action).path.rpartition("/")[2] if same_origin(form.action, self.browser.home) else ""
        typed = {
            "": {},
            "login": {"email": self.email, "password": self.password},
            "select-account": {"account": form.value("account")},
            "consent": {"answer": self.answers},
            "device": {},
            "confirm": {"answer": self.answers},
            "logout": {"answer": "out"},
        }
        if room not in typed:
            raise Stuck(f"nobody knows what to do with a form to {form.action}")
        filled = over(form, typed[room]) + (unticked(form) if room == "consent" else [])
        return [pair for pair in filled if self.remembers or pair[0] != "remember"]


def idle(browser: Browser, url: str) -> Page | Arrival:
    """Follow a link, and do nothing: where the issuer does not let the browser go by itself, its page stays."""
    shown = browser.visit(url)
    form = None if isinstance(shown, Arrival) else onward(shown, browser)
    return browser.submit(shown, form, form.untouched()) if isinstance(shown, Page) and form else shown


def onward(shown: Page, browser: Browser) -> Form | None:
    """A form that leaves the issuer, which a script of the page submits (OAuth 2.0 Form Post Response Mode §2)."""
    return next((form for form in shown.forms if not same_origin(form.action, browser.home)), None)


def over(form: Form, typed: dict[str, str]) -> list[tuple[str, str]]:
    """What the form holds, with this in place of it."""
    return [pair for pair in form.untouched() if pair[0] not in typed] + list(typed.items())


def unticked(form: Form) -> list[tuple[str, str]]:
    """The boxes that a person ticks who allows everything, and wants to be asked no more."""
    return [(one.name, one.value) for one in form.fields if one.kind == "checkbox" and not one.checked]
