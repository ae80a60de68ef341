"""Clients by metadata document at a real server: from its document, over TLS, to tokens and back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

import httpx2
import pytest

from tests.server.assertions import assertion, claims, shown
from tests.server.web.asking import VERIFIER, answer, challenge
from tests.server.web.served import EMAIL, PASSWORD, Served, basic, served
from tests.servers.documents import Shelf, shelf
from tests.stories.oidf.browser import Arrival, Browser, origin
from tests.stories.oidf.page import Page
from tests.stories.oidf.person import Person
from tests.stories.oidf.wire import Wire
from watchword.jose.jwk import SigningKey
from watchword_server.flows import clients
from watchword_server.flows.administration import Operator
from watchword_server.flows.issuer import Caller
from watchword_server.main import load_settings, open_issuer

NOTES = "https://notes.example/mcp"
SCOPES = ("notes:read", "notes:write")
BACK = "http://127.0.0.1:33418/callback"


@dataclass(frozen=True)
class Place:
    """A server, and where documents lie that it can read."""

    served: Served
    shelf: Shelf
    transport: httpx2.BaseTransport

    def person(self) -> Person:
        """Somebody before a browser of their own."""
        browser = Browser(Wire(self.transport), origin(self.served.issuer))
        return Person(browser, EMAIL, PASSWORD, remembers=True)

    def url(self, client_id: str, **more: str) -> str:
        """A request that is in order."""
        plain = {
            "client_id": client_id,
            "redirect_uri": BACK,
            "response_type": "code",
            "scope": "notes:read",
            "resource": NOTES,
            "state": "st4te",
            "code_challenge": challenge(VERIFIER),
            "code_challenge_method": "S256",
        }
        return f"{self.served.issuer}/authorize?{urlencode({**plain, **more})}"

    def token(self, **form: str) -> httpx2.Response:
        """`POST /token`."""
        return self.served.http.post("/token", data=form)

    def redeem(self, client_id: str, code: str) -> httpx2.Response:
        """A code for tokens."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
        return self.token(client_id=client_id, resource=NOTES, **form)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server that trusts the certificate of the shelf, and none other."""
    folder = tmp_path_factory.mktemp("documents")
    with pytest.MonkeyPatch.context() as patch, shelf(folder) as lying:
        patch.setenv("SSL_CERT_FILE", str(lying.certificate))
        with served(folder, REGISTRATION__MODE="open") as running, httpx2.HTTPTransport(trust_env=False) as transport:
            asyncio.run(_opened(running))
            yield Place(running, lying, transport)


async def _opened(running: Served) -> None:
    """An API that serves itself."""
    by, now = Operator("test", Caller()), int(time.time())
    async with open_issuer(load_settings(None, {"issuer": running.issuer, "data": running.data})) as issuer:
        await clients.add_api(issuer, by, NOTES, "Notes", SCOPES, now, None, None, True)


def consenting(person: Person) -> Page:
    """The last page on which this person was asked."""
    return next(page for page in reversed(person.browser.seen) if page.path == "/consent")


def test_from_a_document_to_tokens_with_a_person_who_sees_whose_it_is(place: Place) -> None:
    """Nobody registered it; what it gets is for the API that it named, and for no other."""
    client_id, person = place.shelf.put("/agent.json", BACK, client_name="Watchword Security"), place.person()
    code = answer(person.authorize(place.url(client_id)))
    assert (code["iss"], code["state"]) == (place.served.issuer, "st4te")
    words = consenting(person).words
    assert words.index("localhost") < words.index("Watchword Security")
    assert "Any program here could pose as it" in words
    assert "notes.example" in words
    tokens = place.redeem(client_id, code["code"]).json()
    assert tokens["scope"] == "notes:read"
    again = place.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"], client_id=client_id).json()
    assert again["refresh_token"] != tokens["refresh_token"], "rotated, as for every public client"
    assert place.shelf.seen == ["/agent.json"]


def test_consent_is_asked_for_each_time(place: Place) -> None:
    """Though the person wants to be asked no more; so prompt=none gets nothing, ever."""
    client_id, person = place.shelf.put("/again.json", BACK), place.person()
    for _ in range(2):
        before = len(person.browser.seen)
        answer(person.authorize(place.url(client_id)))
        assert "/consent" in [page.path for page in person.browser.seen[before:]]
        assert "remember" not in consenting(person).forms[0].names()
    assert answer(person.authorize(place.url(client_id, prompt="none")))["error"] == "consent_required"


def test_of_a_web_app_too(place: Place) -> None:
    """An https address says who gets the answer, and not what the document will say tomorrow."""
    back = "https://agent.example/cb"
    client_id, person = place.shelf.put("/web.json", back), place.person()
    for _ in range(2):
        answer(person.authorize(place.url(client_id, redirect_uri=back)))
    assert [page.path for page in person.browser.seen].count("/consent") == 2


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/missing.json", None),
        ("/other.json", {"client_id": "https://bank.example/client.json"}),
        ("/secret.json", {"client_secret": "x"}),
        ("/basic.json", {"token_endpoint_auth_method": "client_secret_basic"}),
        ("/large.json", {"x": "x" * 5120}),
    ],
)
def test_without_a_document_in_order_the_person_goes_nowhere(
    place: Place, path: str, said: dict[str, str] | None
) -> None:
    """The page says why; nobody is redirected; a program at /par hears invalid_client, and at /token too."""
    client_id = place.shelf.origin + path if said is None else place.shelf.put(path, BACK, **said)
    client_id = place.shelf.origin + path
    shown = place.person().authorize(place.url(client_id))
    assert isinstance(shown, Page)
    assert shown.got.status == 400
    assert "no_client_document" in shown.words
    form = {"client_id": client_id, "redirect_uri": BACK, "response_type": "code"}
    pushed = place.served.http.post("/par", data=form)
    assert (pushed.status_code, pushed.json()["error"]) == (401, "invalid_client")
    told = place.token(grant_type="refresh_token", refresh_token="x", client_id=client_id)
    assert (told.status_code, told.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("end", ["", "/", "/a/../b.json", "/a.json?x=1", "/a.json#x"])
def test_an_address_that_is_none_is_refused_and_not_visited(place: Place, end: str) -> None:
    """No path, dot segments, a query, a fragment; and http."""
    seen = len(place.shelf.seen)
    for client_id in (place.shelf.origin + end, place.shelf.origin.replace("https:", "http:") + "/a.json"):
        shown = place.person().authorize(place.url(client_id))
        assert isinstance(shown, Page)
        assert (shown.got.status, len(place.shelf.seen)) == (400, seen)


def test_only_addresses_of_the_document_get_answers(place: Place) -> None:
    """Letter by letter, but for the port of a program on the person's device (RFC 8252 §7.3)."""
    client_id, person = place.shelf.put("/back.json", BACK), place.person()
    for uri in ("http://127.0.0.1:33418/callback/x", "http://localhost:33418/callback", "https://bank.example/cb"):
        shown = person.authorize(place.url(client_id, redirect_uri=uri))
        assert isinstance(shown, Page)
        assert "unregistered_redirect" in shown.words
    shown = person.authorize(place.url(client_id, redirect_uri="http://127.0.0.1:50001/callback"))
    assert isinstance(shown, Arrival)
    assert shown.url.startswith("http://127.0.0.1:50001/callback?")


def test_what_is_not_open_to_all_it_may_not_ask_for(place: Place) -> None:
    """Neither by name nor as a scope."""
    client_id, person = place.shelf.put("/curious.json", BACK), place.person()
    asked = answer(person.authorize(place.url(client_id, resource="https://orders.example", scope="orders:read")))
    assert asked["error"] == "invalid_target"


def test_it_may_push_its_request(place: Place) -> None:
    """RFC 9126: nobody has allowed it anything yet, so it is known by its document alone."""
    client_id, person = place.shelf.put("/pushing.json", BACK), place.person()
    form = dict(httpx2.URL(place.url(client_id)).params)
    pushed = place.served.http.post("/par", data=form)
    assert pushed.status_code == 201, pushed.text
    request = urlencode({"client_id": client_id, "request_uri": pushed.json()["request_uri"]})
    code = answer(person.authorize(f"{place.served.issuer}/authorize?{request}"))["code"]
    assert place.redeem(client_id, code).status_code == 200


def test_one_that_has_a_key_proves_it_and_gets_nothing_without(place: Place) -> None:
    """`private_key_jwt` by the key in its document (draft §6.2): at /par, at /token and when it refreshes."""
    key = SigningKey.generate("ES256")
    said = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [key.public_jwk()]}}
    client_id, person = place.shelf.put("/keyed.json", BACK, **said), place.person()

    def proof(by: SigningKey = key) -> dict[str, str]:
        return shown(assertion(by, claims(client_id, place.served.issuer, int(time.time())), kid=key.kid))

    plain = dict(httpx2.URL(place.url(client_id)).params)
    for bad in ({}, proof(SigningKey.generate("ES256")), {"client_secret": "x"}):
        refused = place.served.http.post("/par", data={**plain, **bad})
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    pushed = place.served.http.post("/par", data={**plain, **proof()})
    assert pushed.status_code == 201, pushed.text
    request = urlencode({"client_id": client_id, "request_uri": pushed.json()["request_uri"]})
    code = answer(person.authorize(f"{place.served.issuer}/authorize?{request}"))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
    for bad in ({"client_id": client_id}, {"client_id": client_id, **proof(SigningKey.generate("ES256"))}):
        refused = place.token(**form, **bad)
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    tokens = place.token(**form, client_id=client_id, **proof()).json()
    again = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": client_id}
    assert place.token(**again).status_code == 401
    assert place.token(**again, **proof()).status_code == 200


def test_the_person_finds_it_by_its_host_and_takes_it_back(place: Place) -> None:
    """On the account page."""
    client_id, person = place.shelf.put("/found.json", BACK, client_name="Found agent"), place.person()
    tokens = place.redeem(client_id, answer(person.authorize(place.url(client_id)))["code"]).json()
    account = person.browser.visit(f"{place.served.issuer}/account")
    assert isinstance(account, Page)
    assert "Found agent" in account.words
    form = next(one for one in account.forms if one.value("client_id") == client_id)
    person.browser.submit(account, form, [*form.untouched(), ("answer", "end")])
    told = place.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"], client_id=client_id)
    assert (told.status_code, told.json()["error"]) == (400, "invalid_grant")


def test_a_page_where_people_return_to_may_trade_their_codes(place: Place) -> None:
    """Its origin may read what the token endpoint answers; others may not."""
    client_id, person = place.shelf.put("/page.json", BACK), place.person()
    answer(person.authorize(place.url(client_id)))
    form = {"grant_type": "authorization_code", "code": "x", "client_id": client_id}
    for page, may in (("http://127.0.0.1:33418", True), ("https://bank.example", False)):
        told = place.served.http.post("/token", data=form, headers={"origin": page})
        assert told.headers.get("access-control-allow-origin") == (page if may else None)


def test_it_is_not_taken_for_somebody_who_has_a_secret(place: Place) -> None:
    """Whatever secret is shown: it has none, and the empty one is none either."""
    client_id, person = place.shelf.put("/none.json", BACK), place.person()
    code = answer(person.authorize(place.url(client_id)))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
    for secret in ("", "x"):
        header = {"authorization": basic((client_id.replace(":", "%3A"), secret))}
        told = place.served.http.post("/token", data=form, headers=header)
        assert (told.status_code, told.json()["error"]) == (401, "invalid_client")
    assert place.redeem(client_id, code).status_code == 200
