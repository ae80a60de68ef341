"""Calls an API every few milliseconds with one token, and remembers when it was first refused."""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass, field
from threading import Event, Thread
from urllib.parse import urlsplit

PAUSE = 0.005
"""Seconds between two calls."""


@dataclass
class Prober:
    """`with Prober(url, token) as prober:` calls until the block ends. Times are `time.monotonic`."""

    url: str
    token: str
    answers: list[tuple[float, int]] = field(default_factory=list)
    """When each call was sent, and its status. A call that found nobody has status 0."""
    _stop: Event = field(default_factory=Event)
    _thread: Thread | None = None

    def __enter__(self) -> Prober:
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(10)

    def wait_for(self, status: int, seconds: float = 10.0, times: int = 1) -> float:
        """When the first of `times` answers in a row with this status was sent; AssertionError after `seconds`."""
        deadline = time.monotonic() + seconds
        start = len(self.answers)
        while time.monotonic() < deadline:
            seen = self.answers[start:]
            for at in range(len(seen) - times + 1):
                if all(code == status for _, code in seen[at : at + times]):
                    return seen[at][0]
            self._stop.wait(PAUSE)
        raise AssertionError(f"no {times} answers {status} in {seconds} s; the last were {self.answers[-5:]}")

    def after(self, moment: float) -> list[int]:
        """The statuses of all calls sent after a moment."""
        return [status for at, status in self.answers if at > moment]

    def _run(self) -> None:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        due = time.monotonic()
        while not self._stop.is_set():
            sent = time.monotonic()
            self.answers.append((sent, self._call(connection, parts.path)))
            due = max(due + PAUSE, time.monotonic() - PAUSE)
            self._stop.wait(max(0.0, due - time.monotonic()))
        connection.close()

    def _call(self, connection: http.client.HTTPConnection, path: str) -> int:
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return 0
        return response.status
