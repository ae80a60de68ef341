"""A little web server with a certificate of its own, for what the issuer reads of clients: on loopback, in a thread."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.server.adapters.hosts import identity


@dataclass
class Shelf:
    """What lies there by path: a document, or nothing. `seen` are the paths that were asked for."""

    origin: str
    certificate: Path
    """Who trusts this file, as by SSL_CERT_FILE, trusts this server and no other."""
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    def put(self, path: str, redirect_uri: str, **more: Any) -> str:
        """A client's metadata document; its address."""
        plain = {
            "client_id": self.origin + path,
            "client_name": "An agent",
            "redirect_uris": [redirect_uri],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        }
        self.documents[path] = {**plain, **more}
        return self.origin + path


@contextmanager
def shelf(folder: Path) -> Iterator[Shelf]:
    """A running one at https://localhost:PORT."""
    who = identity(folder / "shelf", "localhost")
    found = Shelf("", folder / "shelf" / "certificate.pem")

    class Handler(BaseHTTPRequestHandler):  # the standard library takes nothing else
        def do_GET(self) -> None:
            found.seen.append(self.path)
            document = found.documents.get(self.path)
            body = b"" if document is None else json.dumps(document).encode()
            self.send_response(404 if document is None else 200)
            for name, value in {"Content-Type": "application/json", **found.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal of a test."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def finish_request(self, request: Any, client_address: Any) -> None:
            super().finish_request(who.serving().wrap_socket(request, server_side=True), client_address)

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Who does not trust it hangs up."""

    with Server(("127.0.0.1", 0), Handler) as server:
        found.origin = f"https://localhost:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
