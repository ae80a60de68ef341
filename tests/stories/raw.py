"""HTTP by hand: requests as bytes and one socket, for stories in which the very moment counts."""

from __future__ import annotations

import http.client
import select
import socket
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import urlencode

import msgspec

from tests.stories.processes import Client, Site

PATIENCE = 20.0
"""Seconds for an answer."""


@dataclass(frozen=True)
class Whole:
    """An answer that arrived to its last byte."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, object]:
        """Its body, a JSON object."""
        return msgspec.json.decode(self.body, type=dict[str, object])


class Line:
    """One connection to the issuer: `with Line(site) as line:`."""

    def __init__(self, site: Site) -> None:
        self._socket = socket.create_connection(("127.0.0.1", site.port), timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port: int = self._socket.getsockname()[1]

    def __enter__(self) -> Line:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def send(self, request: bytes) -> None:
        """All of it, in one segment."""
        self._socket.sendall(request)

    def has_news(self) -> bool:
        """Whether bytes, or the end, have come."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def answer(self) -> Whole | None:
        """The answer; None when the connection ended before the last byte of it."""
        response = http.client.HTTPResponse(self._socket)
        try:
            response.begin()
            return Whole(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        except (http.client.HTTPException, OSError):
            return None
        finally:
            response.close()


def sign_out(site: Site, access_token: str) -> bytes:
    """`DELETE /session`."""
    return _request(site, "DELETE", "/session", {"Authorization": f"Bearer {access_token}"})


def revoke(site: Site, client: Client, token: str) -> bytes:
    """`POST /revoke` by a public client (RFC 7009)."""
    return _form(site, "/revoke", {"token": token, "client_id": client.client_id})


def refresh(site: Site, client: Client, refresh_token: str) -> bytes:
    """`POST /token` by a public client."""
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": client.client_id}
    return _form(site, "/token", form)


def token(site: Site, client: Client, form: Mapping[str, str]) -> bytes:
    """`POST /token` of a confidential client."""
    return _form(site, "/token", form, Authorization=_basic(client))


def token_by_form(site: Site, form: Mapping[str, str]) -> bytes:
    """`POST /token` of a client that says in the form who it is."""
    return _form(site, "/token", form)


def client_token(site: Site, client: Client, **headers: str) -> bytes:
    """`POST /token` with client_credentials."""
    return _form(site, "/token", {"grant_type": "client_credentials"}, Authorization=_basic(client), **headers)


def _basic(client: Client) -> str:
    return "Basic " + b64encode(f"{client.client_id}:{client.secret}".encode()).decode()


def _form(site: Site, path: str, form: Mapping[str, str], **headers: str) -> bytes:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return _request(site, "POST", path, {**kind, **headers}, urlencode(form).encode())


def _request(site: Site, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    every = {"Host": f"localhost:{site.port}", **headers, "Content-Length": str(len(body))}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in every.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
