"""Callers of an issuer at an even rate: programs that get tokens, people's devices that refresh, APIs that introspect.

One JSON object as the argument: `port` (on loopback), `rate` (a second, all together), `program` and `api`
(pairs of client_id and secret), `device` (a public client_id), `refresh_tokens` (one for each hand). A line for every
call on standard output: `= MOMENT SECONDS STATUS WHAT`; MOMENT, of `time.monotonic`, is when it was sent, status 0 says
that nobody answered, and WHAT ends with `:` and the code of an error, where there was one. A refresh that nobody
answered is sent again as it was. Ends with standard input.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Mapping
from itertools import count
from typing import Any, Final
from urllib.parse import urlencode

TURNS: Final = ("program", "refresh", "program", "refresh", "introspect")
"""What five calls are."""


class Hand:
    """One connection that is kept open, and what its device and program hold."""

    def __init__(self, settings: Mapping[str, Any], refresh_token: str) -> None:
        self._settings = settings
        self._http = http.client.HTTPConnection("localhost", settings["port"], timeout=10)
        self._refresh_token = refresh_token
        self._token = ""

    def call(self, what: str) -> str:
        """One call; the line that tells of it."""
        began = time.monotonic()
        status, found = self._post(*self._request(what))
        if status == 200 and "access_token" in found:
            self._token = found["access_token"]
            self._refresh_token = found.get("refresh_token", self._refresh_token)
        why = "" if status == 200 else found.get("error", "")
        return f"= {began:.6f} {time.monotonic() - began:.6f} {status} {f'{what}:{why}' if why else what}\n"

    def _request(self, what: str) -> tuple[str, Mapping[str, str], tuple[str, str] | None]:
        if what == "introspect" and self._token:
            return "/introspect", {"token": self._token}, self._settings["api"]
        if what != "refresh":
            return "/token", {"grant_type": "client_credentials"}, self._settings["program"]
        form = {"grant_type": "refresh_token", "refresh_token": self._refresh_token}
        return "/token", {**form, "client_id": self._settings["device"]}, None

    def _post(self, path: str, form: Mapping[str, str], who: tuple[str, str] | None) -> tuple[int, dict[str, Any]]:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if who:
            headers["Authorization"] = f"Basic {b64encode(':'.join(who).encode()).decode()}"
        try:
            self._http.request("POST", path, urlencode(form), headers)
            answer = self._http.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        except (OSError, http.client.HTTPException, ValueError):
            self._http.close()
            return 0, {}


def main(settings: Mapping[str, Any]) -> None:
    """Until standard input ends."""
    rate, begin = settings["rate"], time.monotonic()
    turns, ended, lock = count(), threading.Event(), threading.Lock()

    def work(hand: Hand) -> None:
        while not ended.is_set():
            with lock:
                turn = next(turns)
            if ended.wait(max(0.0, begin + turn / rate - time.monotonic())):
                return
            os.write(1, hand.call(TURNS[turn % len(TURNS)]).encode())

    hands = [
        threading.Thread(target=work, args=(Hand(settings, token),), daemon=True)
        for token in settings["refresh_tokens"]
    ]
    for hand in hands:
        hand.start()
    sys.stdin.read()
    ended.set()
    for hand in hands:
        hand.join(10)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
