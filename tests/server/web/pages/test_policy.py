"""The headers of a page."""

from __future__ import annotations

import pytest

from tests.browser.pages.samples import FORM, SAMPLES
from watchword_server.web.pages.policy import content_security_policy, headers
from watchword_server.web.pages.views import Account, Form, FormPost, SignedOut, SignIn, View

STRICT = "default-src 'none'; style-src 'self'; img-src 'self'; "
END = "; frame-ancestors 'none'; base-uri 'none'"

# fmt: off
POLICIES: list[tuple[View, str]] = [
    (SignIn(form=FORM),                     f"{STRICT}form-action 'self' https://berthplanner.example{END}"),
    (SignIn(form=Form(csrf="c")),           f"{STRICT}form-action 'self'{END}"),
    (SignedOut(),                           f"{STRICT}form-action 'none'{END}"),
    (FormPost(redirect_uri="https://a.example:1/cb", fields=()),
                                            f"{STRICT}script-src 'self'; form-action https://a.example:1{END}"),
    (FormPost(redirect_uri="javascript:alert(1)", fields=()),
                                            f"{STRICT}script-src 'self'; form-action 'none'{END}"),
]
# fmt: on


@pytest.mark.parametrize(("view", "policy"), POLICIES)
def test_a_policy_allows_what_its_page_needs_and_no_more(view: View, policy: str) -> None:
    """A script only where there is one; forms only to us and to where the answer is sent."""
    assert content_security_policy(view) == policy


@pytest.mark.parametrize("name", SAMPLES)
def test_no_page_may_be_framed_kept_or_leave_traces(name: str) -> None:
    """Whatever it shows."""
    view = SAMPLES[name].view
    found = dict(headers(view))
    assert len(found) == len(headers(view))
    assert found[b"cache-control"] == b"no-store"
    assert found[b"x-frame-options"] == b"DENY"
    assert found[b"content-type"] == b"text/html; charset=utf-8"
    assert b"frame-ancestors 'none'" in found[b"content-security-policy"]
    for word in (b"unsafe", b"*", b"data:"):
        assert word not in found[b"content-security-policy"]
    # `no-referrer` would make browsers send `Origin: null` with our own forms (Fetch, "serializing a request origin").
    assert found[b"referrer-policy"] == (b"strict-origin" if isinstance(view, FormPost) else b"same-origin")


def test_a_page_that_leads_back_to_an_app_may_stand_in_its_window() -> None:
    """A window that the app opened must find its opener again; the account page has none to find."""
    account = Account(form=Form(csrf="c"), person=SAMPLES["account"].view.person)  # type: ignore[union-attr] # is one
    assert b"cross-origin-opener-policy" not in dict(headers(SignIn(form=FORM)))
    assert b"cross-origin-opener-policy" not in dict(headers(FormPost(redirect_uri="https://a.example", fields=())))
    assert dict(headers(account))[b"cross-origin-opener-policy"] == b"same-origin"
    assert dict(headers(SignIn(form=Form(csrf="c"))))[b"cross-origin-opener-policy"] == b"same-origin"
