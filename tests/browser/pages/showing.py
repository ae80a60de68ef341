"""A small server on loopback that shows the samples with their real headers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from tests.browser.pages.samples import HALYARD, OURS, Sample
from watchword_server.web.asgi import Answer
from watchword_server.web.pages.rendering import Pages

REQUEST_ID = "req_7fQ2mXw9TzK4"


@contextmanager
def shown(samples: Mapping[str, Sample], sends_to: str = "") -> Iterator[str]:
    """Serve them; yields the address, at which each stands under its name. Forms are answered with a redirect."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    address = f"http://127.0.0.1:{server.server_port}"
    server.RequestHandlerClass = _handler(samples, sends_to)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield address
    finally:
        server.shutdown()
        server.server_close()


def _handler(samples: Mapping[str, Sample], sends_to: str) -> type[BaseHTTPRequestHandler]:
    pages = {brand.name: Pages(brand, "https://id.fairlead.example") for brand in (OURS, HALYARD)}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(_answer(samples, pages, self.path))

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self._send(Answer(303, headers=((b"location", sends_to.encode()),)))

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers:
                self.send_header(name.decode(), value.decode())
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_args: object) -> None:
            """Nothing: what went wrong shows in the browser."""

    return Handler


def _answer(samples: Mapping[str, Sample], pages: Mapping[str, Pages], path: str) -> Answer:
    name = path.partition("?")[0].strip("/")
    if name.startswith("assets/"):
        found = (each.asset(name.removeprefix("assets/")) for each in pages.values())
        return next((answer for answer in found if answer is not None), Answer(404))
    if name not in samples:
        return Answer(404)
    sample = samples[name]
    return pages[sample.brand.name].answer(sample.view, sample.locale, REQUEST_ID)
