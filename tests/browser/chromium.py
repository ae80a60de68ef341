"""Debian's Chromium, driven by Playwright; and a watch over what its pages must never do.

    with chromium() as browser, visit(browser) as page:
        page.goto(url)

Who has no JavaScript is `visit(browser, java_script_enabled=False)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

EXECUTABLE = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 30_000
"""Milliseconds that anything on a page may take."""
LISTEN = """
addEventListener("securitypolicyviolation", event =>
  console.error(`Content Security Policy: ${event.violatedDirective} stopped ${event.blockedURI}`));
"""
"""Chromium tells most violations to the console by itself, but not all: this tells the rest."""
BROKEN = ("content security policy", "content-security-policy", "refused to", "uncaught")
"""What a line of the console holds when a page broke its own rules, or its script failed."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without windows. It ends with this block, and with this process however that ends."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visit(browser: Browser, **options: Any) -> Iterator[Page]:
    """A page of a person with no history, in English. At the end, what its pages broke is an AssertionError."""
    with somebody(browser, **options) as person:
        yield person.new_page()


@contextmanager
def somebody(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    """A person with no history, who may open several pages. `options` are those of Playwright's `new_context`."""
    person = browser.new_context(**{"locale": "en-US", **options})
    person.set_default_timeout(PATIENCE)
    person.add_init_script(LISTEN)
    broken = watch(person)
    try:
        yield person
    finally:
        person.close()
    assert not broken, "\n".join(broken)


def watch(person: BrowserContext) -> list[str]:
    """What the pages of this person break from now on; the list grows."""
    broken: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if any(sign in message.text.lower() for sign in BROKEN):
            broken.append(f"{message.location['url']}: {message.text}")

    person.on("console", note)
    person.on("weberror", lambda failed: broken.append(str(failed.error)))
    return broken
