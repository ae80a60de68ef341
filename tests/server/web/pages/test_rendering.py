"""Documents: whole, escaped, in one language, with nothing inline."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

import pytest
from msgspec.structs import replace

from tests.browser.pages.samples import (
    ACCOUNT,
    AGENT,
    APPS,
    CONSENT,
    FORM,
    INES,
    PLANNER,
    SAMPLES,
    SIGN_IN,
    STRANGER,
)
from watchword_server.web.pages.brand import Brand
from watchword_server.web.pages.problems import Problem, Reason
from watchword_server.web.pages.rendering import TEMPLATES, Pages
from watchword_server.web.pages.views import (
    Asked,
    Choice,
    DeviceCode,
    Ended,
    Failure,
    Form,
    FormPost,
    Person,
    SelectAccount,
    SignedOut,
    SignOut,
    SignUp,
    View,
)
from watchword_server.web.pages.words import Locale

PAGES = Pages(Brand(name="Fairlead"), "https://id.fairlead.example/t")
EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}%(name)s\u202e"
VOID = {"meta", "link", "input", "img", "path", "circle", "rect"}
URLS = ("href", "src", "action")


class Document(HTMLParser):
    """A page as a browser would find it: its elements, and whether each is closed where it was opened."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        assert len(dict(attrs)) == len(attrs), (tag, attrs)
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Shapes of an icon."""
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        """It must be the last that was opened."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """What a person reads."""
        self.text += data

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        """Elements of a kind."""
        wanted = attributes.items()
        return [found for name, found in self.elements if name == tag and wanted <= found.items()]

    def fields(self) -> list[tuple[str, str]]:
        """What hidden fields send."""
        return [(one["name"], one["value"]) for one in self.all("input", type="hidden")]


def page(view: View, locale: Locale = Locale.ENGLISH, pages: Pages = PAGES) -> Document:
    """A page, read."""
    return Document(pages.render(view, locale, "req_1").decode())


def test_every_view_has_a_template() -> None:
    """And every template that is no part of another has a view."""
    assert set(TEMPLATES) == {type(sample.view) for sample in SAMPLES.values()}


@pytest.mark.parametrize("name", SAMPLES)
def test_every_page_is_whole(name: str) -> None:
    """One title, one h1, ids that stand once and are there when something names them, no inline code, no dead link."""
    sample = SAMPLES[name]
    found = page(sample.view, sample.locale)
    assert [one["lang"] for one in found.all("html")] == [sample.locale.tag]
    assert [len(found.all(tag)) for tag in ("title", "h1", "main", "body")] == [1, 1, 1, 1]
    ids = Counter(attributes["id"] for _, attributes in found.elements if "id" in attributes)
    assert set(ids.values()) <= {1}
    for tag, attributes in found.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
        assert all(attributes.get(name) not in ("", "#") for name in URLS if tag != "form" and name in attributes)
        for name in ("aria-describedby", "aria-labelledby", "for", "popovertarget"):
            assert set(attributes.get(name, "").split()) <= set(ids), (name, attributes)
    assert not found.all("style")
    assert all("src" in one for one in found.all("script"))
    assert len(found.all("script")) == isinstance(sample.view, FormPost)


@pytest.mark.parametrize("locale", [Locale.SPANISH, Locale.CHINESE])
def test_a_page_speaks_one_language(locale: Locale) -> None:
    """No sentence of an English page stands in one of another language, but for names and what machines say."""
    for name, sample in SAMPLES.items():
        english, other = (set(re.split(r"\s{2,}|\n", page(sample.view, one).text)) for one in (Locale.ENGLISH, locale))
        left = {line.strip() for line in english & other if re.search(r"[a-z]{3} [a-z]{2}", line)}
        assert {line for line in left if "request" not in line} == set(), name


@pytest.mark.parametrize("locale", Locale)
@pytest.mark.parametrize("problem", Problem)
def test_every_problem_is_said_where_it_is(problem: Problem, locale: Locale) -> None:
    """At its field, named by it, or above the form."""
    view = DeviceCode if problem.field == "user_code" else SignUp
    found = page(view(form=FORM, problems=(problem,), wait=70), locale)
    if problem.field:
        (field,) = found.all("input", name=problem.field)
        assert field["aria-invalid"] == "true"
        assert f"{problem.field}-error" in field["aria-describedby"].split()
        assert "autofocus" in field
    else:
        assert len(found.all("div", role="alert")) == 1
    quiet = page(view(form=FORM), locale)
    assert len(found.text.split() + list(found.text)) > len(quiet.text.split() + list(quiet.text)) + 8


@pytest.mark.parametrize("locale", Locale)
@pytest.mark.parametrize("reason", Reason)
def test_every_failure_has_a_sentence_a_request_id_and_a_way_on(reason: Reason, locale: Locale) -> None:
    """Whatever went wrong."""
    found = page(Failure(reason=reason, at=0, client_id="a-client", wait=61), locale)
    for said in ("req_1", "1970-01-01 00:00:00 UTC", "a-client", reason.value):
        assert said in found.text
    assert found.all("a", href="/t/account")
    (title,) = re.findall(r"<title>(.+) · Fairlead</title>", PAGES.render(
        Failure(reason=reason, at=0), locale, "r").decode())  # fmt: skip
    assert title.strip()


def evil_views() -> list[View]:
    """Everything that somebody else may write, written by an attacker."""
    form = Form(csrf=EVIL, interaction=EVIL, chosen=Locale.SPANISH, redirect_uri="https://a.example/cb")
    asking = replace(PLANNER, name=EVIL, home="javascript:alert(1)", policy_uri="data:text/html,x", tos_uri=EVIL)
    person = Person(EVIL, EVIL)
    scopes = (Asked(scope=EVIL), Asked(scope="profile"), Asked(scope=EVIL, api=EVIL))
    app = replace(APPS[0], client_id=EVIL, name=EVIL, host=EVIL, scopes=scopes)
    return [
        replace(SIGN_IN, form=form, client=asking, email=EVIL),
        SignUp(form=form, client=asking, email=EVIL, name=EVIL),
        SelectAccount(form=form, client=asking, choices=(Choice(key=EVIL, name=EVIL, email=EVIL),)),
        replace(CONSENT, form=form, client=asking, person=person, scopes=scopes),
        SignOut(form=form, client=asking, person=person, apps=(EVIL,), carried=((EVIL, EVIL),)),
        SignOut(form=form, person=person),
        SignedOut(apps=(Ended(name=EVIL),), onward="javascript:alert(1)"),
        Failure(reason=Reason.UNKNOWN_CLIENT, at=0, client_id=EVIL, home="javascript:alert(1)"),
        FormPost(redirect_uri="https://a.example/cb", fields=((EVIL, EVIL),), client=asking),
        replace(ACCOUNT, form=form, person=person, apps=(app,), ended=EVIL),
    ]


@pytest.mark.parametrize("view", evil_views(), ids=lambda view: type(view).__name__)
@pytest.mark.parametrize("locale", Locale)
def test_what_others_write_is_never_markup(view: View, locale: Locale) -> None:
    """No element, no attribute, no address of theirs; and no template in a template."""
    html = PAGES.render(view, locale, "req_1").decode()
    found = Document(html)
    assert "<script>" not in html
    assert "49" not in re.sub(r"[0-9a-f]{16}|\d+\.\d+|[\d ]+[hvlMc]", "", found.text)
    assert not [one for one in found.all("img") if one["src"] == "x"]
    for tag, attributes in found.elements:
        assert not any(name.startswith("on") for name in attributes), tag
        for name in URLS:
            assert attributes.get(name, "/").startswith(("/", "?", "https://", "#main")), attributes
    assert len(found.all("script")) == isinstance(view, FormPost)


def test_hidden_fields_arrive_as_they_were() -> None:
    """Escaped for the document, unchanged for the client."""
    found = page(FormPost(redirect_uri="https://a.example/cb?a=1&b=2", fields=(("code", EVIL), ("state", "&amp;"))))
    assert found.fields() == [("code", EVIL), ("state", "&amp;")]
    assert [one["action"] for one in found.all("form")] == ["https://a.example/cb?a=1&b=2"]


def test_every_form_carries_what_belongs_to_it() -> None:
    """The token, the interaction, and the language that was picked, which links carry as well."""
    form = replace(FORM, chosen=Locale.CHINESE)
    carried = [("csrf", "c"), ("interaction", "i"), ("ui_locales", "zh")]
    for view in (SIGN_IN, CONSENT, SignUp(form=FORM), SelectAccount(form=FORM), SignOut(form=FORM)):
        found = page(replace(view, form=form))
        assert found.fields() == carried
        assert all(one["method"] == "post" and one["action"].startswith("/t/") for one in found.all("form"))
    assert page(replace(SIGN_IN, form=form)).all("a", href="/t/sign-up?interaction=i&ui_locales=zh")
    assert page(replace(CONSENT, form=form)).all("a", href="/t/select-account?interaction=i&ui_locales=zh")
    assert page(replace(ACCOUNT, form=Form(csrf="c"))).fields()[0] == ("csrf", "c")


def test_a_language_is_a_link_to_the_same_page() -> None:
    """With all that the page was asked for."""
    found = page(SignOut(form=FORM, carried=(("state", "a b"), ("id_token_hint", "x.y.z"))), Locale.SPANISH)
    links = [one for one in found.all("a") if "hreflang" in one]
    assert [one["href"] for one in links] == [
        f"?state=a+b&id_token_hint=x.y.z&interaction=i&ui_locales={tag}" for tag in ("en", "es", "zh")
    ]
    assert [one.get("aria-current") for one in links] == [None, "true", None]


def test_consent_shows_who_asks_for_what_and_where_one_returns_to() -> None:
    """What must stay has no checkbox, what is not ticked is not ticked."""
    found = page(CONSENT)
    boxes = {one["value"]: "checked" in one for one in found.all("input", name="scope")}
    assert boxes == {
        "profile": True,
        "email": True,
        "address": False,
        "phone": True,
        "offline_access": True,
        "shipments:read": True,
    }
    assert [one["value"] for one in found.all("button", name="answer")] == ["deny", "allow"]
    assert "https://berthplanner.example" in found.text
    assert INES.email in found.text
    for uri in (PLANNER.home, PLANNER.policy_uri, PLANNER.tos_uri):
        assert uri is not None
        (link,) = found.all("a", href=uri)
        assert set(link["rel"].split()) == {"noreferrer", "noopener"}


@pytest.mark.parametrize(
    ("uri", "warnings"),
    [
        ("http://127.0.0.1:51763/cb", 1),
        ("http://localhost/cb", 1),
        ("com.example.app:/cb", 1),
        ("https://pilot.example/cb", 0),
    ],
)
def test_of_an_agent_the_host_comes_first_and_its_name_is_its_own_word(uri: str, warnings: int) -> None:
    """Only the host of its metadata document is sure; a program on the device could be any."""
    client = replace(AGENT, calls_itself="bank.example")
    found = page(replace(CONSENT, form=replace(FORM, redirect_uri=uri), client=client, can_remember=False))
    words = " ".join(found.text.split())
    assert words.index("pilot.example") < words.index("calls itself “bank.example”")
    assert "Let pilot.example act for you?" in words
    assert "It says who it is at pilot.example/oauth/client.json. Nobody at Fairlead has checked it." in words
    assert len(found.all("div", **{"class": "notice caution"})) == warnings
    assert not found.all("input", name="remember")


def test_the_host_of_an_agent_is_whole_however_long_it_is() -> None:
    """Its end says whose it is: cut off, it could pass for the host that it begins like."""
    host = "bank.example." + "a." * 100 + "evil.example"
    client = replace(AGENT, name=host, document=f"https://{host}/client.json")
    found = page(replace(CONSENT, client=client, can_remember=False))
    assert found.text.count(host) == 3, "title, first line, and where it says so"


@pytest.mark.parametrize(
    ("stranger", "uri", "warnings"),
    [
        (False, "https://a.example/cb", 0),
        (True, "https://a.example/cb", 1),
        (False, "http://localhost:1/cb", 1),
        (False, "http://[::1]:1/cb", 1),
        (True, "http://127.0.0.1:1/cb", 2),
        (False, "https://localhost.evil.example/cb", 0),
    ],
)
def test_consent_warns_of_strangers_and_of_ones_own_device(stranger: bool, uri: str, warnings: int) -> None:
    """Anybody can give an app any name, and any program can listen on loopback."""
    client = replace(STRANGER, is_stranger=stranger)
    found = page(replace(CONSENT, client=client, form=replace(FORM, redirect_uri=uri)))
    assert len([one for one in found.all("div") if one.get("class") == "notice caution"]) == warnings


def test_only_what_exists_is_shown() -> None:
    """No way to sign up where nobody can; no help where no setting names it; no other account where there is none."""
    assert not page(replace(SIGN_IN, can_sign_up=False)).all("a", href="/t/sign-up?interaction=i")
    assert page(SIGN_IN).all("a", href="/t/sign-up?interaction=i")
    assert not page(SIGN_IN).all("nav", **{"aria-label": "About this service"})
    helped = Pages(Brand(help="mailto:help@a.example"), "https://id.example")
    assert [one["href"] for one in page(SIGN_IN, pages=helped).all("a") if "hreflang" not in one][-1:] == [
        "mailto:help@a.example"
    ]
    alone, two = (page(SignOut(form=FORM, accounts=count)).all("button", value="all") for count in (1, 2))
    assert (len(alone), len(two)) == (0, 1)


def test_an_answer_has_the_status_the_language_and_what_is_added() -> None:
    """Cookies, for example."""
    answer = PAGES.answer(SIGN_IN, Locale.CHINESE, "r", 403, (b"set-cookie", b"a=b"))
    assert answer.status == 403
    assert dict(answer.headers)[b"content-language"] == b"zh-Hans"
    assert answer.headers[-1] == (b"set-cookie", b"a=b")
    assert answer.body.startswith(b"<!doctype html>")


def test_no_password_is_ever_written_into_a_page() -> None:
    """Whatever else a form brings back."""
    for view in (replace(SIGN_IN, email="a@b.example"), SignUp(form=FORM, email="a@b.example", name="A")):
        (field,) = page(view).all("input", name="password")
        assert "value" not in field
        assert field["autocomplete"] in ("current-password", "new-password")
