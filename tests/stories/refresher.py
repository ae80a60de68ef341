"""A client that goes on refreshing, wherever the issuer is: what it got, what it was refused, for how long nobody was.

    with Refresher(client, token, ["http://localhost:8001", "http://localhost:8002"]) as one:
        ...
    assert not one.refused

It is its own load balancer: where it gets no answer or a 503, it asks the next address for the same, with the same
token, as the answer said it may.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from threading import Event, Thread
from typing import Any
from urllib.parse import urlencode, urlsplit

PAUSE = 0.01
"""Seconds between two requests."""


@dataclass
class Refresher:
    """One family of refresh tokens. Times are of `time.monotonic`."""

    client_id: str
    token: str = field(repr=False)
    addresses: Sequence[str]
    answers: list[tuple[float, int]] = field(default_factory=list)
    """When, and the status; 0 where nobody answered."""
    tokens: list[str] = field(default_factory=list, repr=False)
    """Every refresh token of the line, the first one first."""
    refused: list[str] = field(default_factory=list)
    """What should never have been said."""
    access: str = field(default="", repr=False)
    _stop: Event = field(default_factory=Event)
    _thread: Thread | None = None
    _at: int = 0

    def __enter__(self) -> Refresher:
        self.tokens.append(self.token)
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join(30)

    def good_since(self, moment: float) -> bool:
        """Whether there was a new token after a moment."""
        return any(when > moment and status == 200 for when, status in self.answers)

    def gap(self, since: float = 0.0) -> float:
        """The longest time without a new token, in seconds."""
        good = [when for when, status in self.answers if status == 200 and when >= since]
        return max((after - before for before, after in pairwise(good)), default=0.0)

    def _run(self) -> None:
        while not self._stop.wait(PAUSE):
            status, document = self._ask(self.addresses[self._at % len(self.addresses)])
            self.answers.append((time.monotonic(), status))
            if status == 200:
                self.access, self.token = document["access_token"], document["refresh_token"]
                self.tokens.append(self.token)
            elif status in (0, 503):
                self._at += 1
            else:
                self.refused.append(f"{status} {document}")

    def _ask(self, address: str) -> tuple[int, dict[str, Any]]:
        form = {"grant_type": "refresh_token", "refresh_token": self.token, "client_id": self.client_id}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        parts = urlsplit(address)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=15)
        try:
            connection.request("POST", "/token", urlencode(form), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            return 0, {}
        finally:
            connection.close()
