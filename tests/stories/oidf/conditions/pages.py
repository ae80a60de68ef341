"""What is shown to the person, where the suite asks for a picture of it."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.stories.oidf.browser import Arrival
from tests.stories.oidf.judge import Judge, condition, must
from tests.stories.oidf.page import Page

SHORT = 20
"""Characters that a sentence has at least."""


def _is_an_error(came: Page | Arrival, *words: str) -> None:
    must(isinstance(came, Page), "the browser was sent away")
    assert isinstance(came, Page)
    must(came.got.status == 400, f"the status is {came.got.status}")
    must(came.got.media_type == "text/html" and len(came.words) > SHORT, "there is no page to read")
    must(came.form("password") is None, "it asks to sign in")
    must(any(re.search(word, came.words, re.IGNORECASE) for word in words), f"it does not say why: {came.words}")


def _error(condition_name: str, *words: str) -> Callable[[Judge, Page | Arrival], None]:
    @condition(condition_name)
    def asserted(came: Page | Arrival) -> None:
        _is_an_error(came, *words)

    return asserted


bad_redirect_uri = _error("ExpectRedirectUriErrorPage", "redirect", "address", "return")
bad_request_uri = _error("ExpectInvalidRequestUriErrorPage", "request", "link", "expired", "return")
no_redirect_uri = _error("ExpectRedirectUriMissingErrorPage", "redirect", "address", "return")


def _asks_or_refuses(condition_name: str) -> Callable[[Judge, Page | Arrival], None]:
    @condition(condition_name)
    def asserted(came: Page | Arrival) -> None:
        must(isinstance(came, Page), "the browser was sent away")
        assert isinstance(came, Page)
        must(came.got.media_type == "text/html" and len(came.words) > SHORT, "there is no page to read")
        must(came.got.status == 400 or came.form("csrf", "answer"), "it neither refuses nor asks")

    return asserted


bad_post_logout_redirect_uri = _asks_or_refuses("ExpectPostLogoutRedirectUriNotRegisteredErrorPage")
bad_hint = _asks_or_refuses("ExpectInvalidIdTokenHintErrorPage")
no_hint = _asks_or_refuses("ExpectIdTokenHintRequiredErrorPage")


@condition("ExpectSuccessfulLogoutPage")
def says_signed_out(came: Page | Arrival) -> None:
    """Of one who is signed out."""
    must(isinstance(came, Page), "the browser was sent away")
    assert isinstance(came, Page)
    must(came.got.status == 200 and came.got.media_type == "text/html", f"the status is {came.got.status}")
    must(re.search(r"signed out", came.words, re.IGNORECASE), f"it does not say so: {came.words}")


@condition("ExpectSecondLoginPage")
def asked_again(seen: list[Page]) -> None:
    """The person had to sign in although a session was there."""
    must(any(page.form("password") for page in seen), f"nobody was asked to sign in: {[page.path for page in seen]}")


@condition("ExpectLoginPageWithLogo")
def shows_the_logo(login: Page | None, pictures: list[bytes], logo: bytes) -> None:
    """The relying party's, from the issuer and not from where the relying party keeps it."""
    must(login is not None, "there was no page to sign in at")
    must(logo in pictures, "none of the pictures is the logo")


def _links(condition_name: str) -> Callable[[Judge, Page | None, str], None]:
    @condition(condition_name)
    def asserted(login: Page | None, url: str) -> None:
        must(login is not None, "there was no page to sign in at")
        assert login is not None
        must(url in login.links, f"there is no link to {url} among {login.links}")

    return asserted


links_the_policy = _links("ExpectLoginPageWithPolicyLink")
links_the_terms = _links("ExpectLoginPageWithTosLink")


@condition("ExpectRedirectUriHasBeenCalled")
def came_back(came: Page | Arrival) -> None:
    """The person is at the relying party again."""
    must(isinstance(came, Arrival), "the browser stayed")


@condition("EnsureOPDoesNotUseDefaultRedirectUriInCaseOfInvalidRedirectUri")
def stays(came: Page | Arrival) -> None:
    """An address that is not registered is not replaced by one that is."""
    must(isinstance(came, Page), "the browser was sent to another address than the one asked for")
