"""Publishes one file as a key set on a loopback port, and says that it is fresh for some seconds.

Arguments: port, file, seconds. Ends with its standard input.
"""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def handler(file: Path, seconds: str) -> type[BaseHTTPRequestHandler]:
    """What answers."""

    class KeySet(BaseHTTPRequestHandler):
        """The file, as it is now."""

        def do_GET(self) -> None:
            """Of the key set; anything else is not there."""
            body = file.read_bytes() if self.path == "/jwks.json" else b""
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", f"max-age={seconds}")
            self.end_headers()
            self.wfile.write(body)
            print("asked", flush=True)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: standard output says enough."""

    return KeySet


def main(port: int, file: Path, seconds: str) -> None:
    """Until standard input ends."""
    server = ThreadingHTTPServer(("127.0.0.1", port), handler(file, seconds))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
