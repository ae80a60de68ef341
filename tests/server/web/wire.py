"""HTTP by hand: what goes over a connection byte by byte, and what comes back, answer by answer."""

from __future__ import annotations

import json
import re
import socket
import struct
from dataclasses import dataclass
from typing import Any

import jwt

from tests.server.web.served import FORM, Served, basic

TROUBLE = re.compile("Traceback|unexpected|Exception|died")
"""What a server must not say."""
GRANT = b"grant_type=client_credentials&scope=orders%3Aread"


@dataclass(frozen=True)
class Answer:
    """One response. Header names are in lower case, in the order in which they came."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body, which has to be a JSON object."""
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found

    @property
    def token(self) -> str:
        """The access token that was given."""
        assert self.status == 200, self
        found = self.json["access_token"]
        assert isinstance(found, str)
        return found

    @property
    def claims(self) -> dict[str, Any]:
        """What the access token says."""
        found: dict[str, Any] = jwt.decode(self.token, options={"verify_signature": False})
        return found

    @property
    def express(self) -> bool:
        """Whether it came by the express lane, which writes the length last; the door writes the request id last."""
        return self.headers[-1][0] == "content-length"

    def one(self, name: str) -> str | None:
        """A header that stands once or not at all."""
        found = [value for key, value in self.headers if key == name]
        assert len(found) <= 1, found
        return found[0] if found else None


class Wire:
    """A connection to a server of these tests."""

    def __init__(self, server: Served, within: float = 15.0, receive_buffer: int = 0) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(within)
        self.socket.connect(("127.0.0.1", server.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._came = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """In one write."""
        self.socket.sendall(data)

    def answer(self) -> Answer:
        """The next response. ConnectionError when there is none."""
        found = self._next()
        while found is None:
            part = self.socket.recv(65536)
            if not part:
                raise ConnectionError(f"the server hung up after {self._came!r}")
            self._came += part
            found = self._next()
        return found

    def ask(self, request: bytes) -> Answer:
        """Send a request in one write; its answer."""
        self.send(request)
        return self.answer()

    def rest(self) -> list[Answer]:
        """Every response until the server hangs up, which it must. What is left over at the end is an error."""
        found = []
        while True:
            try:
                found.append(self.answer())
            except ConnectionResetError:  # it hung up before it had read everything
                break
            except ConnectionError:
                break
        assert not self._came, self._came
        return found

    def quiet(self, seconds: float) -> bool:
        """Whether nothing comes, not even an end, for so long."""
        before = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            part = self.socket.recv(65536)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(before)
        self._came += part
        return False

    def reset(self) -> None:
        """Go away as a crashed program does: RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _next(self) -> Answer | None:
        head, end, rest = self._came.partition(b"\r\n\r\n")
        if not end:
            return None
        line, *lines = head.decode("latin-1").split("\r\n")
        version, status, *_ = line.split(" ")
        assert version == "HTTP/1.1", line
        headers = tuple((name.lower(), value) for name, _, value in (row.partition(": ") for row in lines))
        length = int(dict(headers).get("content-length", 0))
        if len(rest) < length:
            return None
        self._came = rest[length:]
        return Answer(int(status), headers, rest[:length])


def post(pair: tuple[str, str], *more: str, body: bytes = GRANT, version: str = "1.1") -> bytes:
    """`POST /token` of a client; `more` are header lines."""
    lines = [f"POST /token HTTP/{version}", "Host: x", f"Authorization: {basic(pair)}"]
    lines += [f"Content-Type: {FORM['content-type']}", f"Content-Length: {len(body)}", *more]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def get(path: str, *more: str) -> bytes:
    """`GET` of something."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *more, "", ""]).encode()


def known(server: Served) -> bytes:
    """A request that the express lane knows by now."""
    request = post(server.known.machine)
    with Wire(server) as wire:
        assert wire.ask(request).status == 200
        assert wire.ask(request).express
    return request
