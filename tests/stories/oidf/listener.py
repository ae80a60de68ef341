"""A relying party's own server: what it publishes, and what the issuer tells it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from tests.servers.loopback import until
from tests.stories.oidf.certificates import HOST, Certificates
from tests.stories.oidf.wire import Sent

MOST: Final = 100_000
"""Bytes of a body."""


@dataclass(frozen=True)
class Document:
    """What is published at a path."""

    media_type: str
    body: bytes


@dataclass(frozen=True)
class Heard:
    """A request of the issuer, and the TLS that it came by."""

    sent: Sent
    version: str
    cipher: str


@dataclass
class Listener:
    """Listens on loopback, by https."""

    origin: str
    documents: dict[str, Document] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)

    def publish(self, path: str, media_type: str, body: bytes) -> str:
        """Publish a document; its URL."""
        self.documents[path] = Document(media_type, body)
        return self.origin + path

    def at(self, path: str) -> list[Heard]:
        """What was heard at a path so far."""
        return [one for one in self.heard if one.sent.path == path]

    def wait(self, path: str, within: float = 30.0) -> Heard | None:
        """What was heard first at a path; None when nothing comes within these seconds."""
        with suppress(AssertionError):
            until(lambda: self.at(path), within)
        return next(iter(self.at(path)), None)


@contextmanager
def listening(certificates: Certificates) -> Iterator[Listener]:
    """A listener; it ends with the test, and with the process at the latest."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler())
    server.daemon_threads = True
    # Without a handshake here: one that never comes would hold up everybody who connects later.
    server.socket = certificates.identity().wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    listener = Listener(f"https://{HOST}:{server.server_address[1]}")
    server.listener = listener  # type: ignore[attr-defined]  # the handlers find it by their server
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        server.shutdown()
        server.server_close()


def _handler() -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            listener = self._hear(b"")
            found = listener.documents.get(self.path.partition("?")[0])
            self._answer(200 if found else 404, found or Document("text/plain", b"nothing here"))

        def do_POST(self) -> None:
            self._hear(self.rfile.read(min(int(self.headers.get("Content-Length", 0)), MOST)))
            self._answer(200, Document("text/plain", b""))

        def _hear(self, body: bytes) -> Listener:
            listener: Listener = self.server.listener  # type: ignore[attr-defined]  # see listening()
            headers = {name.lower(): value for name, value in self.headers.items()}
            sent = Sent(self.command, listener.origin + self.path, headers, body)
            name, version, _ = self.connection.cipher()
            listener.heard.append(Heard(sent, self.connection.version() or version, name))
            return listener

        def _answer(self, status: int, document: Document) -> None:
            self.send_response(status)
            self.send_header("Content-Type", document.media_type)
            self.send_header("Content-Length", str(len(document.body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(document.body)

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    return Handler
