"""POST /par, and what becomes of pushed and signed requests at GET /authorize, over HTTP."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.server.request_objects import ASKS, CALLBACK, claims, key, signed, unsigned
from tests.server.web.served import AUDIENCE, FORM, SCOPES, Served, basic
from watchword_server.flows import clients
from watchword_server.flows.administration import Operator
from watchword_server.flows.issuer import Caller
from watchword_server.main import load_settings, open_issuer
from watchword_server.protocol.values import ClientMetadata

KEY, THIEF = key(), key()
PUSHED = "urn:ietf:params:oauth:request_uri:"
GRANTS = frozenset({"authorization_code", "refresh_token"})


@dataclass(frozen=True)
class App:
    """A client of the server, and how it asks."""

    server: Served
    client_id: str
    secret: str

    def push(self, **form: str) -> httpx2.Response:
        """`POST /par`, by its secret if it has one."""
        if self.secret:
            return self.server.http.post("/par", data=form, auth=(self.client_id, self.secret))
        return self.server.http.post("/par", data={"client_id": self.client_id, **form})

    def ask(self, **query: str) -> httpx2.Response:
        """`GET /authorize`, by a browser that nobody is signed in at."""
        return httpx2.get(
            f"http://127.0.0.1:{self.server.port}/authorize",
            params={"client_id": self.client_id, **query},
            trust_env=False,
        )

    def object(self, by: object = None, **changes: object) -> str:
        """A request object."""
        return signed(by or KEY, claims(self.client_id, self.server.issuer, int(time.time()), **changes))


def app(server: Served, kind: str = "public", **metadata: object) -> App:
    """A new client, whose keys are registered."""
    told = {"jwks": {"keys": [KEY.public_jwk()]}, **metadata}
    new = clients.NewClient(
        "App", kind, GRANTS, {AUDIENCE: SCOPES}, redirect_uris=(CALLBACK,), metadata=ClientMetadata(**told)
    )

    async def add() -> App:
        async with open_issuer(load_settings(None, {"issuer": server.issuer, "data": server.data})) as issuer:
            added, secret = await clients.add(issuer, Operator("test", Caller()), new, int(time.time()))
            return App(server, added.client_id, secret or "")

    return asyncio.run(add())


@pytest.fixture(scope="module")
def public(server: Served) -> App:
    """A client without a secret."""
    return app(server)


@pytest.fixture(scope="module")
def confidential(server: Served) -> App:
    """A client with a secret."""
    return app(server, "confidential")


def waits(answer: httpx2.Response) -> bool:
    """Whether a person is asked now: the request was taken."""
    place = urlsplit(answer.headers.get("location", ""))
    return answer.status_code == 303 and place.path == "/login" and "interaction" in parse_qs(place.query)


def told(answer: httpx2.Response) -> dict[str, str]:
    """What the client is told through the browser: at its own redirect URI, and nowhere else."""
    assert answer.status_code == 303, answer
    place = urlsplit(answer.headers["location"])
    assert f"{place.scheme}://{place.netloc}{place.path}" == CALLBACK
    found = {name: value for name, (value,) in parse_qs(place.query).items()}
    found.pop("error_description", None)
    return found


def shown(answer: httpx2.Response) -> bool:
    """Whether only the person is told, and the browser stays."""
    return (
        answer.status_code == 400
        and "location" not in answer.headers
        and answer.headers["content-type"].startswith("text/html")
    )


@pytest.mark.parametrize("who", ["public", "confidential"])
def test_a_pushed_request_gets_a_name_that_is_good_once(who: str, request: pytest.FixtureRequest) -> None:
    """RFC 9126 §2.2 and §4: what stands beside it counts for nothing."""
    one: App = request.getfixturevalue(who)
    answer = one.push(**ASKS)
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body.keys() == {"request_uri", "expires_in"}
    assert body["expires_in"] == 60
    assert body["request_uri"].startswith(PUSHED)
    assert len(body["request_uri"]) == len(PUSHED) + 43
    assert waits(one.ask(request_uri=body["request_uri"], redirect_uri="https://evil.example", prompt="none"))
    assert shown(one.ask(request_uri=body["request_uri"]))
    again = told(one.ask(request_uri=body["request_uri"], redirect_uri=CALLBACK, state="outside"))
    assert again == {"error": "invalid_request_uri", "state": "outside", "iss": one.server.issuer}


def test_what_a_pushed_request_asks_is_what_is_answered(public: App) -> None:
    """Its state, and its redirect URI."""
    pushed = public.push(**ASKS, prompt="none").json()["request_uri"]
    answer = told(public.ask(request_uri=pushed, state="outside"))
    assert answer == {"error": "login_required", "state": "inside", "iss": public.server.issuer}


def test_another_clients_pushed_request_is_no_use_and_is_not_used_up(public: App, confidential: App) -> None:
    """And a guess tells nothing more."""
    pushed = public.push(**ASKS).json()["request_uri"]
    stolen = confidential.ask(request_uri=pushed, redirect_uri=CALLBACK)
    guessed = confidential.ask(request_uri=PUSHED + "a" * 43, redirect_uri=CALLBACK)
    assert stolen.headers["location"] == guessed.headers["location"]
    assert told(stolen)["error"] == "invalid_request_uri"
    assert waits(public.ask(request_uri=pushed))


# fmt: off
BAD_FORMS = [
    ("no body",                {},                                                         400, "invalid_request"),
    ("no redirect URI",        {**ASKS, "redirect_uri": ""},                               400, "invalid_request"),
    ("another redirect URI",   {**ASKS, "redirect_uri": "https://evil.example"},           400, "invalid_request"),
    ("a request_uri",          {**ASKS, "request_uri": PUSHED + "a" * 43},                 400, "invalid_request"),
    ("no challenge",           {**ASKS, "code_challenge": "", "code_challenge_method": ""}, 400, "invalid_request"),
    ("plain",                  {**ASKS, "code_challenge_method": "plain"},                 400, "invalid_request"),
    ("an implicit flow",       {**ASKS, "response_type": "token"},                         400,
     "unsupported_response_type"),
    ("an unknown scope alone", {**ASKS, "scope": "root"},                                  400, "invalid_scope"),
    ("a bad object",           {"request": "x"},                                           400,
     "invalid_request_object"),
    ("an unsigned object",     {"request": unsigned({})},                                  400,
     "invalid_request_object"),
    ("another secret",         {**ASKS, "client_secret": "x"},                             401, "invalid_client"),
    ("nobody",                 {**ASKS, "client_id": "nobody"},                            401, "invalid_client"),
    ("too much",               {**ASKS, "state": "x" * 65536},                             413, "invalid_request"),
]
# fmt: on


@pytest.mark.parametrize(("form", "status", "error"), [row[1:] for row in BAD_FORMS], ids=[row[0] for row in BAD_FORMS])
def test_a_bad_request_is_refused_at_once(public: App, form: dict[str, str], status: int, error: str) -> None:
    """As JSON to the client (RFC 9126 §2.3), before anybody is sent here with it."""
    answer = public.push(**{name: value for name, value in form.items() if value})
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.headers["cache-control"] == "no-store"


def test_only_forms_are_posted_here(confidential: App) -> None:
    """The method, the kind of body, the place of parameters, and none twice."""
    http = confidential.server.http
    headers = {"authorization": basic((confidential.client_id, confidential.secret))}
    wrong = http.get("/par")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert http.post("/par", json=ASKS, headers=headers).status_code == 415
    assert http.post("/par?scope=openid", data=ASKS, headers=headers).status_code == 400
    assert http.post("/par", content="scope=openid&scope=email", headers=FORM | headers).status_code == 400
    denied = http.post("/par", data=ASKS, auth=(confidential.client_id, "wrong"))
    assert (denied.status_code, denied.json()["error"]) == (401, "invalid_client")
    assert denied.headers["www-authenticate"].startswith("Basic ")


def test_all_may_stand_inside_a_signed_object(public: App) -> None:
    """Also where people return to (OpenID Connect Core §6.1); a wrong one outside is not looked at."""
    assert waits(public.ask(request=public.object()))
    assert waits(public.ask(request=public.object(), redirect_uri="https://evil.example", response_type="token"))
    answer = told(public.ask(request=public.object(prompt="none", max_age=60), state="outside"))
    assert answer == {"error": "login_required", "state": "inside", "iss": public.server.issuer}


# fmt: off
BAD_OBJECTS = [
    ("for another issuer",  {"aud": "https://other.example"}),
    ("expired",             {"exp": 1_000_000_000}),
    ("good for an hour",    {"exp": 4_000_000_000}),
    ("not good yet",        {"nbf": 4_000_000_000}),
    ("of another client",   {"iss": "other"}),
    ("for another client",  {"client_id": "other"}),
    ("an assertion",        {"sub": ...}),
    ("an object inside",    {"request": "x"}),
    ("by another's key",    {"by": THIEF}),
]
# fmt: on


@pytest.mark.parametrize("changes", [row[1] for row in BAD_OBJECTS], ids=[row[0] for row in BAD_OBJECTS])
def test_a_bad_object_is_refused_and_nobody_sent_where_it_says(public: App, changes: dict[str, object]) -> None:
    """The refusal goes to a registered place that stands outside, or to the person."""
    if "sub" in changes:
        changes = {"sub": public.client_id}
    text = public.object(**changes)
    outside = {"redirect_uri": CALLBACK, "state": "outside", "response_type": "code", "scope": "openid"}
    answer = told(public.ask(request=text, **outside))
    assert answer == {"error": "invalid_request_object", "state": "outside", "iss": public.server.issuer}
    assert shown(public.ask(request=text))
    assert shown(public.ask(request=text, **{**outside, "redirect_uri": "https://evil.example"}))


def test_an_unsigned_object_is_refused(public: App, server: Served) -> None:
    """Also of a client that has no keys at all, which is told that none is read."""
    bare = app(server, jwks=None)
    own = claims(public.client_id, server.issuer, int(time.time()))
    assert told(public.ask(request=unsigned(own), redirect_uri=CALLBACK))["error"] == "invalid_request_object"
    assert told(bare.ask(request=unsigned(own), redirect_uri=CALLBACK))["error"] == "request_not_supported"
    assert told(bare.ask(request_uri="https://app.example/r", redirect_uri=CALLBACK)) == {
        "error": "request_uri_not_supported",
        "iss": server.issuer,
    }


def test_clients_that_have_to_push_or_to_sign_are_held_to_it(server: Served) -> None:
    """RFC 9126 §6, RFC 9101 §10.5."""
    pushes = app(server, require_pushed_authorization_requests=True)
    signs = app(server, require_signed_request_object=True)
    for one in (pushes, signs):
        assert told(one.ask(**ASKS))["error"] == "invalid_request"
    assert told(pushes.ask(request=pushes.object(), redirect_uri=CALLBACK))["error"] == "invalid_request"
    assert waits(pushes.ask(request_uri=pushes.push(**ASKS).json()["request_uri"]))
    assert signs.push(**ASKS).json()["error"] == "invalid_request"
    assert waits(signs.ask(request=signs.object()))
    assert waits(signs.ask(request_uri=signs.push(request=signs.object()).json()["request_uri"]))


class Page(BaseHTTPRequestHandler):
    """What a client publishes: an object, or its keys."""

    bodies: dict[str, bytes]

    def do_GET(self) -> None:
        body = self.bodies.get(self.path)
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: pytest shows it."""


@contextmanager
def published(bodies: dict[str, bytes]) -> Iterator[str]:
    """A client's own server on this machine, where an issuer for development may fetch from."""
    site = ThreadingHTTPServer(("127.0.0.1", 0), type("Site", (Page,), {"bodies": bodies}))
    thread = threading.Thread(target=site.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{site.server_port}"
    finally:
        site.shutdown()
        site.server_close()
        thread.join()


def test_a_registered_reference_is_read_with_keys_that_are_published(server: Served) -> None:
    """OpenID Connect Core §6.2: the dynamic certification plan asks for both; any other reference is refused."""
    bodies: dict[str, bytes] = {"/jwks.json": b'{"keys":[]}'}
    with published(bodies) as site:
        one = app(server, jwks=None, jwks_uri=f"{site}/jwks.json", request_uris=(f"{site}/request.jwt",))
        rsa = key("RS256")
        bodies["/request.jwt"] = one.object(rsa, exp=...).encode()
        bodies["/other.jwt"] = bodies["/request.jwt"]
        bodies["/jwks.json"] = b'{"keys":[' + httpx2.Response(200, json=rsa.public_jwk()).content + b"]}"
        outside = {"response_type": "code", "scope": "openid", "redirect_uri": CALLBACK}
        assert waits(one.ask(request_uri=f"{site}/request.jwt", **outside))
        assert waits(one.ask(request_uri=f"{site}/request.jwt#2"))
        assert told(one.ask(request_uri=f"{site}/other.jwt", **outside))["error"] == "invalid_request_uri"
        bodies["/request.jwt"] = one.object(THIEF).encode()
        assert told(one.ask(request_uri=f"{site}/request.jwt", **outside))["error"] == "invalid_request_object"
        del bodies["/request.jwt"]
        assert told(one.ask(request_uri=f"{site}/request.jwt", **outside))["error"] == "invalid_request_uri"
