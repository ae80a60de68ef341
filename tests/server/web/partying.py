"""A program that lets people in by a running server: registered with it, with a real listener for logout tokens."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
from joserfc import jws
from joserfc.jwk import KeySet

from tests.server.web.served import EMAIL, PASSWORD, Served
from watchword.jose import jws as ours
from watchword.jose.b64 import unb64url
from watchword_server.flows import clients
from watchword_server.flows.administration import Operator
from watchword_server.flows.issuer import Caller
from watchword_server.main import load_settings, open_issuer
from watchword_server.protocol.values import ClientMetadata

CALLBACK = "https://shop.example/callback"
AFTER = "https://shop.example/after"
BY = Operator("test", Caller())
BROWSER, ACCOUNT = "__Host-watchword-browser", "__Host-watchword-account"
HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


@dataclass(frozen=True)
class Party:
    """A registered client, and what it got for a person."""

    client_id: str
    secret: str


def registered(server: Served, name: str = "Shop", **metadata: Any) -> Party:
    """A confidential client for signing in. ES256, whose keys are quick to make, unless it says otherwise."""
    chosen = {"id_token_signed_response_alg": "ES256", "post_logout_redirect_uris": (AFTER,), **metadata}

    async def add() -> Party:
        async with open_issuer(load_settings(None, {"issuer": server.issuer, "data": server.data})) as issuer:
            new = clients.NewClient(
                name,
                "confidential",
                frozenset({"authorization_code", "refresh_token"}),
                {},
                redirect_uris=(CALLBACK,),
                metadata=ClientMetadata(**chosen),
            )
            client, secret = await clients.add(issuer, BY, new, int(time.time()))
            return Party(client.client_id, secret or "")

    return asyncio.run(add())


@dataclass
class Visitor:
    """A browser, as far as these pages need one: cookies of one host, forms, and no redirect followed by itself."""

    server: Served
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **query: str) -> httpx2.Response:
        """A link that somebody follows."""
        return self._kept(self.server.http.get(self._url(path), params=query or None, headers=self._headers()))

    def post(self, path: str, form: dict[str, str], **headers: str) -> httpx2.Response:
        """A form of our own pages; `origin` says of which site it is."""
        sent = {**self._headers(), "origin": f"http://localhost:{self.server.port}", **headers}
        return self._kept(self.server.http.post(self._url(path), data=form, headers=sent))

    def submit(self, page: httpx2.Response, **fields: str) -> httpx2.Response:
        """The form of a page that was just shown, with what the person puts into it."""
        hidden = {name: unescape(value) for name, value in HIDDEN.findall(page.text)}
        return self.post(page.request.url.path, {**hidden, **fields})

    def sign_in(self, party: Party, email: str = EMAIL, **asked: str) -> dict[str, Any]:
        """Let the person in to a client; what the client gets for the code."""
        verifier = secrets.token_urlsafe(32)
        challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "client_id": party.client_id,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": "openid",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **asked,
        }
        at = self.get("/authorize", **query)
        while (place := at.headers["location"]).startswith("/"):
            at = self._through(place, email)
        code = parse_qs(urlsplit(place).query)["code"][0]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": verifier}
        answer = self.server.http.post("/token", data=form, auth=(party.client_id, party.secret))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def is_signed_in(self) -> bool:
        """Whether the account page is shown, or where to sign in."""
        return self.get("/account").status_code == 200

    def _through(self, place: str, email: str) -> httpx2.Response:
        page = self.get(place)
        if page.status_code == 303:
            return page
        fields = {
            "login": {"email": email, "password": PASSWORD},
            "consent": {"answer": "allow", "scope": "openid", "remember": "1"},
            "select-account": {"account": "other"},
        }[urlsplit(place).path.rpartition("/")[2]]
        return self.submit(page, **fields)

    def _url(self, path: str) -> str:
        """Also where a redirect led, which has the issuer's path in it."""
        base = urlsplit(self.server.issuer).path
        return f"http://127.0.0.1:{self.server.port}{path if base and path.startswith(base + '/') else base + path}"

    def _headers(self) -> dict[str, str]:
        return {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}

    def _kept(self, answer: httpx2.Response) -> httpx2.Response:
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return answer


@dataclass
class Heard:
    """What came to a listener. `answers` are statuses to answer with, one after the other; then 200."""

    uri: str = ""
    answers: list[int] = field(default_factory=list)
    forms: list[dict[str, list[str]]] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    hangs: threading.Event = field(default_factory=threading.Event)
    """Not set: every request waits for it."""

    @property
    def tokens(self) -> list[str]:
        """The logout tokens, in their order."""
        return [form["logout_token"][0] for form in self.forms]


@contextmanager
def listening(port: int = 0, hangs: bool = False) -> Iterator[Heard]:
    """A client's listener on loopback."""
    heard = Heard()
    if not hangs:
        heard.hangs.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            heard.forms.append(parse_qs(body))
            heard.kinds.append(self.headers["content-type"])
            heard.hangs.wait()
            self.send_response(heard.answers.pop(0) if heard.answers else 200)
            self.send_header("location", "http://127.0.0.1:1/elsewhere")
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"no")

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: tests read what was heard."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that does not wait for the whole answer is no failure."""

    server = Server(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    heard.uri = f"http://127.0.0.1:{server.server_address[1]}/told?of=logout"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        heard.hangs.set()
        server.shutdown()
        server.server_close()
        thread.join()


def verified(server: Served, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, as a client reads them that knows only the issuer's key set and another library than ours."""
    keys = KeySet.import_key_set(server.http.get("/jwks.json").json())
    read = jws.deserialize_compact(token, keys, algorithms=["RS256", "ES256"])
    return dict(read.headers()), json.loads(read.payload)


def link(party: Party, hint: str | None = None, **more: str) -> str:
    """The path of a client's own sign-out link."""
    return "/logout?" + urlencode({**({"id_token_hint": hint} if hint is not None else {}), **more})


def signed(server: Served, claims: dict[str, Any], typ: str) -> str:
    """A JWT that the issuer's own key has signed, whatever it says."""

    async def sign() -> str:
        async with open_issuer(load_settings(None, {"issuer": server.issuer, "data": server.data})) as issuer:
            stored = await issuer.stores.keys.all()
            key = next(key for key in stored if key.use == "access" and key.alg == "ES256" and key.active_at)
            return ours.signer(issuer.key_store.open(key), typ)(json.dumps(claims).encode())

    return asyncio.run(sign())


def said(token: str) -> dict[str, Any]:
    """The claims of a JWT, unverified."""
    found: dict[str, Any] = json.loads(unb64url(token.split(".")[1]))
    return found
