"""Asks an issuer for access tokens at an even rate, by client_credentials, for several APIs in turn.

One JSON object as the argument: `issuer`, `client` (id and secret), `audiences`, `rate` (a second), `hands`. On
standard output `= SECONDS API TOKEN` a line (SECONDS: the request took so long; API: its number), `! WORDS` for
whatever else came. Ends with standard input.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Mapping
from itertools import count
from typing import Any
from urllib.parse import urlencode, urlsplit


class Line:
    """A connection that is kept open."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        pair = ":".join(settings["client"]).encode()
        self._headers = {
            "Authorization": f"Basic {b64encode(pair).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        self._forms = [
            urlencode({"grant_type": "client_credentials", "resource": audience}) for audience in settings["audiences"]
        ]
        parts = urlsplit(settings["issuer"])
        self._http = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        self._http.connect()

    def ask(self, api: int) -> str:
        """One request; the line that tells what came."""
        began = time.perf_counter()
        try:
            self._http.request("POST", "/token", self._forms[api], self._headers)
            answer = self._http.getresponse()
            body = answer.read()
            token = json.loads(body)["access_token"]
        except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
            self._http.close()
            return f"! {type(error).__name__} {error}"
        return f"= {time.perf_counter() - began:.6f} {api} {token}"


def main(settings: Mapping[str, Any]) -> None:
    """Until standard input ends."""
    apis, rate, begin = len(settings["audiences"]), settings["rate"], time.perf_counter()
    turns, ended, lock = count(), threading.Event(), threading.Lock()

    def work() -> None:
        line = Line(settings)
        while not ended.is_set():
            with lock:
                turn = next(turns)
            if ended.wait(max(0.0, begin + turn / rate - time.perf_counter())):
                return
            told = line.ask(turn % apis)
            with lock:
                print(told, flush=True)

    hands = [threading.Thread(target=work) for _ in range(settings["hands"])]
    for hand in hands:
        hand.start()
    sys.stdin.read()
    ended.set()
    for hand in hands:
        hand.join()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
