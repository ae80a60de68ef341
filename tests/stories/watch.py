"""Calls an address again and again and keeps what was answered, how long it took, and why it was refused."""

from __future__ import annotations

import http.client
import json
import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import NamedTuple
from urllib.parse import urlsplit

PAUSE = 0.02
"""Seconds between two calls."""


class Call(NamedTuple):
    """One call; times are `time.monotonic`. Status 0: nobody answered."""

    sent: float
    received: float
    status: int
    headers: dict[str, str]
    error: str

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.received - self.sent


@dataclass
class Watch:
    """`with Watch(url, token) as watch:` calls until the block ends."""

    url: str
    token: str = ""
    pause: float = PAUSE
    calls: list[Call] = field(default_factory=list)
    _stop: Event = field(default_factory=Event)
    _thread: Thread | None = None

    def __enter__(self) -> Watch:
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(30)

    def wait_for(self, status: int, within: float, since: float = 0.0) -> Call:
        """The first call sent after `since` with this status; AssertionError when there is none within seconds."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            for call in self.between(since):
                if call.status == status:
                    return call
            self._stop.wait(self.pause / 2)
        raise AssertionError(f"no {status} within {within} s; the last were {[c.status for c in self.calls[-5:]]}")

    def between(self, since: float, until: float = float("inf")) -> Sequence[Call]:
        """The calls that were sent in this interval."""
        return [call for call in list(self.calls) if since <= call.sent < until]

    def statuses(self, since: float, until: float = float("inf")) -> set[int]:
        """What calls sent in this interval were answered."""
        return {call.status for call in self.between(since, until)}

    def _run(self) -> None:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        while not self._stop.wait(self.pause):
            self.calls.append(self._call(connection, parts.path))
        connection.close()

    def _call(self, connection: http.client.HTTPConnection, path: str) -> Call:
        sent = time.monotonic()
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"} if self.token else {})
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return Call(sent, time.monotonic(), 0, {}, "")
        received = time.monotonic()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Call(sent, received, response.status, headers, _error(body) if response.status >= 400 else "")


def _error(body: bytes) -> str:
    """The code and words of a refusal; empty where the body is something else."""
    with suppress(ValueError, AttributeError):
        found = json.loads(body)
        return f"{found.get('error', '')}: {found.get('error_description', '')}"
    return ""


def slowest(calls: Sequence[Call]) -> float:
    """Seconds."""
    return max(call.seconds for call in calls)


def spans(calls: Sequence[Call]) -> str:
    """How long calls took."""
    ms = sorted(call.seconds * 1000 for call in calls)
    p99 = min(statistics.quantiles(ms, n=100)[98], ms[-1]) if len(ms) > 1 else ms[0]
    return f"p50 {statistics.median(ms):.1f} ms, p99 {p99:.1f} ms, slowest {ms[-1]:.1f} ms of {len(ms)} calls"
