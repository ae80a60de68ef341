"""What a person does on the issuer's pages."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.browser.app import App
from tests.stories.processes import User


def sign_in(page: Page, user: User, password: str | None = None) -> None:
    """Fill in the form of /login and send it."""
    must_be_at(page, "/login")
    page.fill("[name=email]", user.email)
    page.fill("[name=password]", user.password if password is None else password)
    page.locator("form:has([name=password]) [type=submit]").click()


def allow(page: Page, *, without: tuple[str, ...] = ()) -> None:
    """Consent to what is asked, but for some scopes."""
    must_be_at(page, "/consent")
    for scope in without:
        page.uncheck(f"[name=scope][value='{scope}']")
    page.click("[name=answer][value=allow]")


def deny(page: Page) -> None:
    """Consent to nothing."""
    must_be_at(page, "/consent")
    page.click("[name=answer][value=deny]")


def take_back(page: Page, app: App) -> None:
    """End an app's access, at /account: one press to ask for it, one to confirm."""
    must_be_at(page, "/account")
    confirmation = page.locator(f"[popover]:has([name=client_id][value='{app.client.client_id}'])")
    page.click(f"[popovertarget='{confirmation.get_attribute('id')}'] >> nth=0")
    confirmation.locator("[name=answer][value=end]").click()


def must_be_at(page: Page, path: str) -> None:
    """The page is the issuer's page of that name, with whatever parameters, or becomes it."""
    try:
        page.wait_for_url(lambda url: urlsplit(url).path == path)
    except PlaywrightTimeout:
        raise AssertionError(f"at {page.url}, not at {path}: {page.inner_text('body')}") from None
