"""A web app that sends people to the issuer and notes what they come back with.

    with app(site) as shop:
        page.goto(shop.asks("openid orders:read"))
        ...
        tokens = shop.redeem(shop.answer())

Its host is 127.0.0.1 and the issuer's is localhost: two sites, for a browser.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2

from tests.servers.loopback import free_ports
from tests.stories.processes import Client, Site, until

DONE = (
    b"<!doctype html><html lang=en><title>The app</title><link rel=icon href='data:,'><h1>Back at the app</h1></html>"
)


@dataclass(frozen=True)
class Answer:
    """What came back to the redirect URI."""

    method: str
    values: dict[str, str]


@dataclass
class App:
    """A registered client with its callback. A verifier is kept for every question, by its `state`."""

    site: Site
    url: str
    client: Client
    answers: list[Answer] = field(default_factory=list)
    _verifiers: dict[str, str] = field(default_factory=dict)

    @property
    def redirect_uri(self) -> str:
        """Where answers come."""
        return f"{self.url}/callback"

    def asks(self, scope: str = "openid", **more: str) -> str:
        """A new question, as an address."""
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
        self._verifiers[state] = verifier
        digest = hashlib.sha256(verifier.encode()).digest()
        values = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": scope,
            "state": state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return f"{self.site.issuer}/authorize?{urlencode(values | more)}"

    def answer(self) -> dict[str, str]:
        """The next answer that nobody has taken, when it has come; it answers a question, and is the issuer's."""
        until(lambda: self.answers, within=30)
        found = self.answers.pop(0).values
        assert found["state"] in self._verifiers
        assert found["iss"] == self.site.issuer
        return found

    def redeem(self, answer: dict[str, str]) -> dict[str, Any]:
        """Tokens for an answer's code."""
        form = {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "redirect_uri": self.redirect_uri,
            "code_verifier": self._verifiers.pop(answer["state"]),
        }
        response = httpx2.post(f"{self.site.issuer}/token", data=form, auth=self.client.auth, trust_env=False)
        assert response.status_code == 200, response.text
        found = response.json()
        assert isinstance(found, dict)
        return found


@contextmanager
def app(site: Site, name: str = "The shop") -> Iterator[App]:
    """Register an app and listen for its answers."""
    port = free_ports()[0]
    url = f"http://127.0.0.1:{port}"
    client = site.new_client(name, "--redirect-uri", f"{url}/callback")
    found = App(site, url, client)
    with ThreadingHTTPServer(("127.0.0.1", port), _noting(found.answers)) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield found
        finally:
            server.shutdown()


def _noting(answers: list[Answer]) -> type[BaseHTTPRequestHandler]:
    class Callback(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._note("GET", urlsplit(self.path).query)

        def do_POST(self) -> None:
            self._note("POST", self.rfile.read(int(self.headers["Content-Length"])).decode())

        def _note(self, method: str, values: str) -> None:
            if urlsplit(self.path).path == "/callback":
                answers.append(Answer(method, dict(parse_qsl(values))))
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(DONE)))
            self.end_headers()
            self.wfile.write(DONE)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Callback
