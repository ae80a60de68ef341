"""Clients that refresh and clients that revoke, as fast as they are answered, while the issuer is treated badly.

    with load(site, app) as found:
        ...
    assert not found.refused()

Who gets no answer, or a 503, asks for the same again until there is one: so everything that was sent is acknowledged
in the end, and what was acknowledged must never be missing.
"""

from __future__ import annotations

import http.client
import json
import random
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any, Final
from urllib.parse import urlencode

from tests.servers.loopback import until
from tests.stories.grounds import Ground
from tests.stories.processes import Client, Site
from tests.stories.refresher import Refresher
from watchword.jose import jwt
from watchword.jose.b64 import unb64url

REFRESHERS: Final = 3
REVOKERS: Final = 3
PAUSE: Final = 0.01
"""Seconds between two requests of one of them."""


@dataclass
class Revoker:
    """A program that gets tokens and revokes each of them (RFC 7009)."""

    port: int
    client: Client
    sent: list[str] = field(default_factory=list)
    """The `jti` of each, before it is revoked."""
    acknowledged: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """What should never have been said."""
    _stop: Event = field(default_factory=Event)

    def run(self) -> None:
        """Until it is told to stop."""
        while not self._stop.is_set():
            answer = self._answer("/token", {"grant_type": "client_credentials"})
            if answer is None:
                return
            token = answer["access_token"]
            jti = str(claims_of(token)["jti"])
            self.sent.append(jti)
            if self._answer("/revoke", {"token": token}) is not None:
                self.acknowledged.append(jti)

    def stop(self) -> None:
        """After the request that is under way."""
        self._stop.set()

    def _answer(self, path: str, form: dict[str, str]) -> dict[str, Any] | None:
        """The body of a 200; None when it was told to stop before there was one."""
        while not self._stop.wait(PAUSE):
            status, body = self._ask(path, form)
            if status == 200:
                found: dict[str, Any] = json.loads(body or b"{}")
                return found
            if status not in (0, 503):
                self.refused.append(f"{path}: {status} {body!r}")
        return None

    def _ask(self, path: str, form: dict[str, str]) -> tuple[int, bytes]:
        """The status, 0 where nobody answered to the end."""
        basic = b64encode(f"{self.client.client_id}:{self.client.secret}".encode()).decode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Basic {basic}"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request("POST", path, urlencode(form), headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()


@dataclass(frozen=True)
class Load:
    """All of them."""

    app: Client
    refreshers: Sequence[Refresher]
    revokers: Sequence[Revoker]

    @property
    def sent(self) -> set[str]:
        """The `jti` of every token that somebody has tried to revoke, whatever became of it."""
        return {jti for each in self.revokers for jti in tuple(each.sent)}

    @property
    def acknowledged(self) -> set[str]:
        """The `jti` of every token whose revocation was answered."""
        return {jti for each in self.revokers for jti in tuple(each.acknowledged)}

    @property
    def refreshes(self) -> int:
        """How many were answered with a new token."""
        return sum(len(each.tokens) - 1 for each in self.refreshers)

    def refused(self) -> list[str]:
        """What should never have been said to anybody."""
        everybody = (*(each.refused for each in self.refreshers), *(each.refused for each in self.revokers))
        return [said for refused in everybody for said in refused]

    def must_not_have_lost(self, acknowledged: Set[str], dead: Set[tuple[str, str]], ground: Ground) -> None:
        """What was acknowledged is in the log, which is `dead`; each family has just one token that is not spent."""
        assert not self.refused()
        lost = {("token", jti) for jti in acknowledged} - dead
        assert not lost, f"acknowledged, and not in the log: {lost}"
        for each in self.refreshers:
            unspent = "SELECT count(*) FROM refresh_tokens WHERE gid = $1 AND spent_at IS NULL"
            assert ground.value(unspent, _gid(each)) == 1

    def must_be_lines(self, site: Site, ground: Ground) -> None:
        """All have stopped: each family has the tokens that were answered and the next one; a spent one ends it."""
        for each in self.refreshers:
            last = site.refresh(self.app, each.token)
            assert last.status_code == 200, last.text
            made = ground.value("SELECT count(*) FROM refresh_tokens WHERE gid = $1", _gid(each))
            assert made == len(set(each.tokens)) + 1
            for token in (random.choice(each.tokens), last.json()["refresh_token"]):
                again = site.refresh(self.app, token)
                assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")

    def figures(self) -> str:
        """For people."""
        unanswered = sum(status != 200 for each in self.refreshers for _, status in each.answers)
        return (
            f"  beside it: {len(self.acknowledged)} revocations acknowledged, {self.refreshes} refreshes answered,"
            f" {unanswered} not; none lost, one line of descent for each of {len(self.refreshers)} families"
        )


def claims_of(token: str) -> Mapping[str, Any]:
    """What a token says, unverified."""
    return jwt.claims(unb64url(token.split(".")[1]))


def _gid(refresher: Refresher) -> str:
    return str(claims_of(refresher.access)["gid"])


@contextmanager
def load(site: Site, app: Client) -> Iterator[Load]:
    """Until the end of the block; each has been answered when it begins. `app` is a first-party public client."""
    user, machine = site.new_user(), site.new_client("Machine")
    tokens = [site.sign_in(user, app)["refresh_token"] for _ in range(REFRESHERS)]
    found = Load(
        app,
        [Refresher(app.client_id, token, [site.issuer]) for token in tokens],
        [Revoker(site.port, machine) for _ in range(REVOKERS)],
    )
    with ExitStack() as stack:
        for refresher in found.refreshers:
            stack.enter_context(refresher)
        for revoker in found.revokers:
            thread = Thread(target=revoker.run, daemon=True)
            thread.start()
            stack.callback(thread.join, 30)
            stack.callback(revoker.stop)
        until(lambda: all(each.access for each in found.refreshers) and found.acknowledged, within=60)
        yield found
