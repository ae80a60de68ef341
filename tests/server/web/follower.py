"""A verifier by hand: it says who it is, listens, and acknowledges what it hears; without the SDK."""

from __future__ import annotations

import json
import secrets
import threading
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import httpx2

from tests.server.web.served import Served


@dataclass
class Follower:
    """One process of an API, as the issuer sees it."""

    server: Served
    api: tuple[str, str]
    name: str = "orders-1"
    refuse_after: int = 60
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    @property
    def header(self) -> dict[str, str]:
        """Who it is."""
        return {"Watchword-Verifier": f'{self.id}; name="{self.name}"; refuse-after={self.refuse_after}'}

    def read(self, **query: object) -> httpx2.Response:
        """`GET /revocations`."""
        return self.server.http.get("/revocations", params=query, headers=self.header, auth=self.api)

    def acknowledge(self, log: str, seq: int) -> httpx2.Response:
        """`POST /revocations/ack`."""
        body = {"verifier": self.id, "log": log, "seq": seq}
        return self.server.http.post("/revocations/ack", json=body, auth=self.api)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """On a thread: acknowledge every message of the stream, until the end."""
        url = f"http://127.0.0.1:{self.server.port}"
        with (
            httpx2.Client(base_url=url, trust_env=False, timeout=30) as http,
            http.stream("GET", "/revocations/stream", headers=self.header, auth=self.api) as answer,
        ):
            assert answer.status_code == 200, answer.read()
            thread = threading.Thread(target=self._follow, args=(answer,), daemon=True)
            thread.start()
            yield
        thread.join(10)

    def _follow(self, answer: httpx2.Response) -> None:
        with suppress(httpx2.HTTPError):
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    said = claims(line[6:])
                    assert self.acknowledge(str(said["log"]), int(str(said["seq"]))).status_code == 204


def claims(message: str) -> dict[str, object]:
    """What a message of the feed says; nobody checks its signature here."""
    part = message.split(".")[1]
    found: dict[str, object] = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found
