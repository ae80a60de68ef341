"""The browser of these tests is as strict as it says, and the one in between changes what he says."""

from __future__ import annotations

import pytest

from tests.stories.oidf import faults
from tests.stories.oidf.browser import Arrival, permits
from tests.stories.oidf.case import HOME
from tests.stories.oidf.cookies import Jar, covers, read
from tests.stories.oidf.faults import GONE
from tests.stories.oidf.page import page
from tests.stories.oidf.person import over, unticked
from tests.stories.oidf.wire import Got, Sent, basic

HERE = "https://op.example/login"


@pytest.mark.parametrize(("header", "taken"), [
    ("__Host-a=1; Secure; Path=/",                              True),
    ("__Host-a=1; Path=/",                                      False),
    ("__Host-a=1; Secure",                                      False),
    ("__Host-a=1; Secure; Path=/login",                         False),
    ("__Host-a=1; Secure; Path=/; Domain=op.example",           False),
    ("__Secure-a=1; Path=/",                                    False),
    ("a=1; SameSite=None",                                      False),
    ("a=1; SameSite=None; Secure",                              True),
    ("a=1; Domain=example",                                     False),
    ("a=1; Domain=other.example",                               False),
    ("nothing",                                                 False),
    ("=1",                                                      False),
])  # fmt: skip
def test_a_cookie_is_taken_by_the_rules(header: str, taken: bool) -> None:
    """RFC 6265bis §5.6."""
    assert (read(HERE, header) is not None) is taken


def test_a_secure_cookie_is_not_taken_without_tls() -> None:
    """Nor is it sent."""
    assert read("http://op.example/", "a=1; Secure") is None


@pytest.mark.parametrize(("same_site", "from_elsewhere", "safe", "sent"), [
    ("Lax",    False, False, True),
    ("Lax",    True,  True,  True),
    ("Lax",    True,  False, False),
    ("Strict", True,  True,  False),
    ("Strict", False, True,  True),
    ("None",   True,  False, True),
])  # fmt: skip
def test_who_began_decides_what_is_sent(same_site: str, from_elsewhere: bool, safe: bool, sent: bool) -> None:
    """RFC 6265bis §5.5."""
    jar = Jar()
    jar.take(HERE, [f"a=1; Secure; Path=/; SameSite={same_site}"])
    assert (jar.header(HERE, from_elsewhere=from_elsewhere, safe=safe) == "a=1") is sent
    assert jar.header("https://other.example/", from_elsewhere=False, safe=True) == ""


def test_a_cookie_goes_when_it_is_told_to() -> None:
    """And what is refused is remembered for the test."""
    jar = Jar()
    jar.take(HERE, ["a=1; Path=/", "__Host-b=1"])
    assert jar.header(HERE, from_elsewhere=False, safe=True) == "a=1"
    assert jar.refused == ["__Host-b=1"]
    jar.take(HERE, ["a=; Path=/; Max-Age=0"])
    assert jar.header(HERE, from_elsewhere=False, safe=True) == ""
    assert covers("/login", "/login/2")
    assert not covers("/log", "/login")


@pytest.mark.parametrize(("sources", "url", "may"), [
    (["'self'"],                     "https://op.example/x",     True),
    (["'self'"],                     "https://rp.example/x",     False),
    (["https://rp.example"],         "https://rp.example/x",     True),
    (["https://rp.example"],         "https://rp.example:8443/", False),
    (["https:"],                     "https://rp.example/x",     True),
    (["https:"],                     "http://rp.example/x",      False),
    (["'none'"],                     "https://op.example/x",     False),
    ([],                             "https://op.example/x",     False),
])  # fmt: skip
def test_a_policy_keeps_a_form(sources: list[str], url: str, may: bool) -> None:
    """CSP Level 3 §6.7.2."""
    assert permits(sources, url, HERE) is may


def test_a_page_is_read() -> None:
    """Forms with what a browser would send, words without what is not shown."""
    text = """<html lang="en"><title>No</title>
    <form method="post" action="/consent"><input name="csrf" value="c" type="hidden">
    <input type="checkbox" name="scope" value="email" checked><input type="checkbox" name="scope" value="phone">
    <input name="gone" disabled><button name="answer" value="allow">Allow</button></form>
    <p>Words</p><script>no</script>"""
    found = page(HERE, Got(200, (("content-security-policy", "form-action 'self'; script-src 'none'"),), text.encode()))
    form = found.form("csrf", "answer")
    assert form is not None
    assert (form.action, form.method) == ("https://op.example/consent", "POST")
    assert form.untouched() == [("csrf", "c"), ("scope", "email")]
    assert over(form, {"answer": "deny"})[-1] == ("answer", "deny")
    assert unticked(form) == [("scope", "phone")]
    assert found.words == "Allow Words"
    assert found.policy("form-action") == ["'self'"]
    assert found.policy("img-src") is None
    assert found.form("password") is None


def test_a_fault_changes_one_thing() -> None:
    """In a redirect as in a page that is posted, and nothing elsewhere."""
    fault = faults.parameter("any", "state", GONE)
    sent = Sent("GET", HERE)
    redirect = Got(303, (("location", f"{HOME}/cb?code=c&state=s"),), b"")
    assert fault.got(sent, redirect).header("location") == f"{HOME}/cb?code=c"
    fields = '<input name="code" value="c"><input name="state" value="s">'
    form = f'<form method="post" action="{HOME}/cb">{fields}</form>'
    posted = fault.got(sent, Got(200, (("content-type", "text/html"),), form.encode()))
    assert page(HERE, posted).forms[0].untouched() == [("code", "c")]
    elsewhere = Got(303, (("location", f"{HERE}?state=s"),), b"")
    assert fault.got(sent, elsewhere) == elsewhere


def test_an_answer_is_read_where_it_is() -> None:
    """In the query or in the body."""
    came = Arrival("POST", "https://rp.example/cb?a=1", body="b=2&c=")
    assert came.query == {"a": "1"}
    assert came.form == {"b": "2", "c": ""}
    assert basic("a:b", "c d") == "Basic YSUzQWI6Yytk"
