"""Every page in Chromium, in both themes and at every width: nothing that a person could stumble over."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from tests.browser.pages.samples import FORM, SAMPLES, SIGN_IN, Sample
from watchword_server.web.pages.views import FormPost
from watchword_server.web.pages.words import Locale

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.browser.pages.visiting import Window

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

AXE = Path(__file__).parents[2] / "node" / "node_modules" / "axe-core" / "axe.min.js"
RUN_AXE = """
async () => {
  const { violations } = await axe.run(document, { resultTypes: ['violations'] })
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) =>
    `${id} at ${target.join(' ')}: ${failureSummary}`))
}
"""
OVERFLOW = """
() => {
  const width = document.documentElement.clientWidth
  const wide = [...document.querySelectorAll('body *')].filter(each =>
    each.getBoundingClientRect().right > width + 0.5 || each.getBoundingClientRect().left < -98 * 16 - 1)
  return document.documentElement.scrollWidth > width
    ? wide.map(each => `${each.tagName}.${each.className}`) : []
}
"""
SMALL = """
() => [...document.querySelectorAll('a, button, input:not([type=hidden]), label.check, .pick label')].filter(each => {
  const { width, height } = each.getBoundingClientRect()
  if (!each.checkVisibility() || each.matches('.skip') || (each.matches('input') && each.closest('label'))) return false
  if (each.matches('a') && getComputedStyle(each).display === 'inline') return false  // WCAG 2.5.8: within a sentence
  return Math.min(width, height) < 43.5
}).map(each => `${each.tagName} "${each.textContent.trim().slice(0, 30)}"`)
"""
INLINE = """
() => [...document.querySelectorAll('[style], style, script:not([src]), [href^="javascript:"], [href="#"]')].length
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the samples are shown."""
    from tests.browser.pages.showing import shown

    with shown(SAMPLES) as found:
        yield found


def windows() -> Iterator[Window]:
    """Every width and theme."""
    from tests.browser.pages.visiting import WINDOWS

    return iter(WINDOWS)


def is_worth_it(sample: Sample, size: Window) -> bool:
    """Colours do not depend on the language: what is translated is looked at in one theme at each width."""
    return sample.locale is Locale.ENGLISH or size in ((390, "light"), (820, "dark"), (1440, "light"))


def look(page: Page, address: str, name: str, sample: Sample, size: Window) -> Iterator[str]:
    """What is wrong with a page."""
    from tests.browser.pages.visiting import show

    show(page, address, name, sample)
    page.evaluate(AXE.read_text())
    checks = [RUN_AXE, OVERFLOW, *([SMALL] if size.is_phone else [])]
    yield from (f"{name} {size}: {found}" for check in checks for found in page.evaluate(check))
    if page.evaluate(INLINE):
        yield f"{name}: inline code or a dead link"


@pytest.mark.parametrize("part", range(4))
def test_no_page_has_a_fault_in_any_window(browser: Browser, address: str, part: int) -> None:
    """No violation of axe, no sideways scroll, no small target for fingers, nothing that the policy had to stop."""
    from tests.browser.pages.visiting import window

    found: list[str] = []
    for size in windows():
        with window(browser, size) as page:
            for name, sample in list(SAMPLES.items())[part::4]:
                if is_worth_it(sample, size):
                    found += look(page, address, name, sample, size)
    assert found == []


def test_no_page_scrolls_sideways_on_the_smallest_phone(browser: Browser, address: str) -> None:
    """320 px: what a page of 1280 px shows at 400 % (WCAG 2.2, 1.4.10)."""
    from tests.browser.pages.visiting import Window, show, window

    with window(browser, Window(320, "light")) as page:
        for name, sample in SAMPLES.items():
            show(page, address, name, sample)
            assert page.evaluate(OVERFLOW) == [], name


def test_the_policy_is_really_in_force(browser: Browser, address: str) -> None:
    """A script that somebody smuggled in does not run, and the watch that every test here keeps notices."""
    from tests.browser.chromium import LISTEN, watch

    person = browser.new_context()
    person.add_init_script(LISTEN)
    broken = watch(person)
    page = person.new_page()
    page.goto(f"{address}/sign-in")
    assert broken == []
    with page.expect_console_message(lambda said: "Content Security Policy" in said.text):
        page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'smuggled = 1'}))")
    assert page.evaluate("typeof smuggled") == "undefined"
    assert broken
    person.close()


def test_a_form_can_be_filled_in_by_keyboard_alone(browser: Browser, address: str) -> None:
    """The first field has the focus, then the next, then the button, then what is beside the point."""
    from tests.browser.chromium import visit

    with visit(browser) as page:
        page.goto(f"{address}/sign-in")
        focus = "document.activeElement.name || document.activeElement.textContent.trim()"
        seen = [page.evaluate(focus)]
        for _ in range(5):
            page.keyboard.press("Tab")
            seen.append(page.evaluate(focus))
        assert seen == ["email", "password", "Sign in", "Privacy", "Terms", "Create an account"]


def test_an_error_has_the_focus_and_is_read_with_its_field(browser: Browser, address: str) -> None:
    """Who cannot see the red line hears the sentence."""
    from tests.browser.chromium import visit

    with visit(browser) as page:
        page.goto(f"{address}/sign-in-wrong")
        field = page.locator(":focus")
        assert field.get_attribute("name") == "password"
        assert field.get_attribute("aria-invalid") == "true"
        said = page.locator(f"#{field.get_attribute('aria-describedby')}").text_content()
        assert said is not None
        assert said.strip() == "That password and e-mail do not belong together."


def test_languages_and_questions_open_without_a_script(browser: Browser, address: str) -> None:
    """A popover needs none; the links lead to the same interaction."""
    from tests.browser.chromium import visit

    with visit(browser, java_script_enabled=False) as page:
        page.goto(f"{address}/sign-in")
        page.click("[popovertarget=languages]")
        assert page.locator("#languages a").nth(2).is_visible()
        assert (
            page.locator("#languages a").nth(2).get_attribute("href")
            == f"?interaction={FORM.interaction}&ui_locales=zh"
        )
        page.goto(f"{address}/account")
        page.click("[popovertarget=end-2]")
        assert page.locator("#end-2 [value=end]").is_visible()


@contextmanager
def listening(host: str = "127.0.0.1") -> Iterator[tuple[str, list[str]]]:
    """An app: its origin, and what it heard."""
    heard: list[str] = []

    class App(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/callback"):
                heard.append(f"GET {self.path}")
            self._thank()

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["content-length"])).decode()
            heard.append(f"POST {self.path} {sent} from {self.headers['origin']}")
            self._thank()

        def _thank(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>the app</title>")

        def log_message(self, *_args: object) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if "[" in host else socket.AF_INET

    with Server((host.strip("[]"), 0), App) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{host}:{server.server_port}", heard
        server.shutdown()


@pytest.mark.parametrize("scripted", [True, False])
def test_a_form_post_reaches_the_app(browser: Browser, scripted: bool) -> None:
    """By itself where there is a script, by its button where there is none; the Origin is ours and no `null`."""
    from tests.browser.chromium import visit
    from tests.browser.pages.showing import shown

    with listening() as (app, heard):
        view = FormPost(redirect_uri=f"{app}/cb", fields=(("code", "a&b"), ("state", '"<>')))
        with shown({"post": Sample(view)}) as address, visit(browser, java_script_enabled=scripted) as page:
            page.goto(f"{address}/post", wait_until="commit")
            if not scripted:
                page.click("text=Continue")
            page.wait_for_url("**/cb")
    assert heard == [f"POST /cb code=a%26b&state=%22%3C%3E from {address}"]


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_a_form_may_end_at_the_app_and_nowhere_else(browser: Browser, host: str, allowed: bool) -> None:
    """`form-action` holds for where the answer redirects to: Chromium goes there, or stays."""
    from tests.browser.chromium import watch
    from tests.browser.pages.showing import shown

    with listening(host) as (app, heard):
        named = f"{app}/callback" if allowed else "https://berthplanner.example/callback"
        view = replace(SIGN_IN, form=replace(FORM, redirect_uri=named), email="a@b.example")
        with shown({"login": Sample(view)}, sends_to=f"{app}/callback?code=c") as address:
            person = browser.new_context()
            broken = watch(person)
            page = person.new_page()
            page.goto(f"{address}/login")
            page.fill("[name=password]", "x")
            if allowed:
                page.click("[type=submit]")
                page.wait_for_url("**/callback?code=c")
            else:
                with page.expect_console_message(lambda said: "form-action" in said.text):
                    page.click("[type=submit]", no_wait_after=True)
            person.close()
    assert heard == (["GET /callback?code=c"] if allowed else [])
    assert bool(broken) is not allowed
