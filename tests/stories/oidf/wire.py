"""Everything that goes between the tests and the server, and the one who may stand in between and change it."""

from __future__ import annotations

import json
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

import httpx2

FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Sent:
    """A request."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        """Without the query."""
        return urlsplit(self.url).path

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the URL."""
        return dict(parse_qsl(urlsplit(self.url).query, keep_blank_values=True))

    @property
    def form(self) -> dict[str, str]:
        """The fields of the body."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass(frozen=True)
class Got:
    """A response. Header names are in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """The header, or nothing."""
        return next((value for found, value in self.headers if found == name), "")

    def all(self, name: str) -> list[str]:
        """The header as often as it came."""
        return [value for found, value in self.headers if found == name]

    @property
    def media_type(self) -> str:
        """The content type without its parameters."""
        return self.header("content-type").partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def document(self) -> dict[str, Any]:
        """The body as a JSON object; an empty one where it is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def as_it_is(sent: Sent) -> Sent:
    """Nothing is changed on the way."""
    return sent


def as_it_came(sent: Sent, got: Got) -> Got:
    """Nothing is changed on the way back."""
    return got


@dataclass(frozen=True)
class Fault:
    """A planted one: how the server would be wrong, seen from outside, and the condition that has to notice."""

    notices: str
    sent: Callable[[Sent], Sent] = as_it_is
    """What the server is asked instead."""
    got: Callable[[Sent, Got], Got] = as_it_came
    """What it answers instead."""
    told: Callable[[Sent], Sent] = as_it_is
    """What the relying party hears from the server instead."""


NONE: Final = Fault("")


@dataclass
class Wire:
    """The way to the server. Follows no redirect and keeps no cookie: that is a browser's work."""

    transport: httpx2.HTTPTransport
    fault: Fault = NONE

    def send(self, sent: Sent) -> Got:
        """One exchange."""
        asked = self.fault.sent(sent)
        request = httpx2.Request(asked.method, asked.url, headers=dict(asked.headers), content=asked.body)
        response = self.transport.handle_request(request)
        try:
            body = response.read()
        finally:
            response.close()
        headers = tuple((name.lower(), value) for name, value in response.headers.multi_items())
        return self.fault.got(sent, Got(response.status_code, headers, body))

    def get(self, url: str, **headers: str) -> Got:
        """GET."""
        return self.send(Sent("GET", url, headers))

    def post(self, url: str, form: Mapping[str, str], **headers: str) -> Got:
        """POST a form."""
        return self.send(Sent("POST", url, {"Content-Type": FORM, **headers}, urlencode(form).encode()))


def transport(trust: ssl.SSLContext) -> httpx2.HTTPTransport:
    """Connections that trust the certificates of this test and no other."""
    return httpx2.HTTPTransport(verify=trust, trust_env=False)


def basic(client_id: str, secret: str) -> str:
    """The value of an Authorization header (RFC 6749 §2.3.1)."""
    pair = ":".join(quote_plus(text) for text in (client_id, secret))
    return "Basic " + b64encode(pair.encode()).decode()
