"""Verifies what it is given, as an API does: `NUMBER API TOKEN` a line on standard input, a verdict a line back.

One JSON object as the argument: `issuer`, `apis` (of each `audience`, `alg`, `client_id`, `secret`), and either
`refuse_after` (seconds), for `watchword.Verifier` with a cache and a feed of its own (and if need be `leeway`, and by
how many seconds its clock is `ahead` of this machine's), or `other`: then PyJWT on the key set, which is fetched again
when its `max-age` has passed and not a moment earlier, whatever `kid` comes.

A verdict is `= NUMBER MOMENT WORD DETAIL`: accepted by the `kid`, refused or undecided for what; MOMENT is of
`time.monotonic`. Ends with standard input.
"""

from __future__ import annotations

import json
import re
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import jwt

from watchword import CannotDecide, InvalidToken, Verifier
from watchword.freshness import Clocks

Verify = Callable[[str], str]
"""From a token to a verdict."""


def own(settings: Mapping[str, Any], stack: ExitStack) -> Sequence[Verify]:
    """A verifier of ours for each API."""
    refuse = timedelta(seconds=settings["refuse_after"])
    leeway, ahead = timedelta(seconds=settings.get("leeway", 5)), settings.get("ahead", 0.0)

    def one(api: Mapping[str, str]) -> Verify:
        verifier = Verifier(
            issuer=settings["issuer"],
            audience=api["audience"],
            credentials=(api["client_id"], api["secret"]),
            stale_after=refuse / 2,
            refuse_after=refuse,
            leeway=leeway,
            clocks=Clocks(time.monotonic, lambda: time.time() + ahead),
        )
        stack.enter_context(verifier)

        def verify(token: str) -> str:
            try:
                return f"accepted {verifier.verify_sync(token).key_id}"
            except InvalidToken as error:
                return f"refused {type(error).__name__}: {error}"
            except CannotDecide as error:
                return f"undecided {type(error).__name__}: {error}"

        return verify

    return [one(api) for api in settings["apis"]]


class KeptSet:
    """A key set that is kept for as long as its server allows."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._until = 0.0
        self._keys: dict[str, jwt.PyJWK] = {}

    def key(self, kid: str) -> jwt.PyJWK:
        """Raises KeyError for one that was not there when the set was fetched."""
        now = time.monotonic()
        if now >= self._until:
            with urllib.request.urlopen(self._url, timeout=10) as answer:
                found = jwt.PyJWKSet.from_json(answer.read().decode())
                age = re.search(r"max-age=(\d+)", answer.headers["cache-control"])
            assert age
            self._keys, self._until = {key.key_id or "": key for key in found.keys}, now + int(age[1])
        return self._keys[kid]


def others(settings: Mapping[str, Any]) -> Sequence[Verify]:
    """PyJWT for each API, which takes the algorithm that was chosen for it and no other."""
    keys = KeptSet(f"{settings['issuer']}/jwks.json")

    def one(api: Mapping[str, str]) -> Verify:
        def verify(token: str) -> str:
            kid = jwt.get_unverified_header(token)["kid"]
            try:
                jwt.decode(
                    token, keys.key(kid), algorithms=[api["alg"]], audience=api["audience"], issuer=settings["issuer"]
                )
            except (jwt.InvalidTokenError, KeyError) as error:
                return f"refused {type(error).__name__}: {error}"
            return f"accepted {kid}"

        return verify

    return [one(api) for api in settings["apis"]]


def main(settings: Mapping[str, Any]) -> None:
    """Until standard input ends."""
    with ExitStack() as stack:
        verifiers = others(settings) if settings.get("other") else own(settings, stack)
        print("ready", flush=True)
        for line in sys.stdin:
            number, api, token = line.split()
            verdict = verifiers[int(api)](token)
            print(f"= {number} {time.monotonic():.6f} {verdict}", flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
