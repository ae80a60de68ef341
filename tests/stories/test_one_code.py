"""One code, fifty times at once at two nodes, of which one is killed: at most one success, and it does not last.

A second use ends what the first one got (RFC 6749 §4.1.2), so the tokens of the one that won are dead as well. On both
databases. `WATCHWORD_TEST_ROUNDS` says how many rounds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.server.web.asking import VERIFIER, answer, challenge
from tests.stories import raw
from tests.stories.at_once import AT_ONCE, Pair, Request, answers_of, pair
from tests.stories.grounds import GROUNDS
from tests.stories.load import claims_of
from tests.stories.oidf.browser import Browser
from tests.stories.oidf.person import Person
from tests.stories.oidf.wire import Wire
from tests.stories.processes import Client
from tests.stories.raw import Whole

ROUNDS = int(os.environ.get("WATCHWORD_TEST_ROUNDS", "5"))
BACK = "https://app.example/cb"

pytestmark = [pytest.mark.fault, pytest.mark.timeout(120 + 30 * ROUNDS)]


@dataclass(frozen=True)
class House:
    """Two nodes of one deployment, a client, and a person who is signed in at a browser. The first node has the
    issuer's own address, and is the one that is killed.
    """

    pair: Pair
    app: Client
    person: Person

    def code(self) -> str:
        """A new one, by the browser."""
        asked = {
            "client_id": self.app.client_id,
            "redirect_uri": BACK,
            "response_type": "code",
            "scope": "openid offline_access",
            "code_challenge": challenge(VERIFIER),
            "code_challenge_method": "S256",
        }
        url = httpx2.URL(f"{self.pair.doors[0].issuer}/authorize", params=asked)
        return answer(self.person.authorize(str(url)))["code"]

    def form(self, code: str) -> dict[str, str]:
        """What a client sends for it."""
        return {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": BACK,
            "code_verifier": VERIFIER,
        }

    def request(self, code: str) -> Request:
        """It as a whole."""
        return lambda door: raw.token(door, self.app, self.form(code))

    def redeem(self, code: str) -> httpx2.Response:
        """Once, at the second node."""
        return self.pair.doors[1].http.post(self.pair.url(1, "/token"), data=self.form(code), auth=self.app.auth)

    def is_alive(self, access_token: str) -> bool:
        """Whether userinfo takes it."""
        headers = {"authorization": f"Bearer {access_token}"}
        return self.pair.doors[1].http.get(self.pair.url(1, "/userinfo"), headers=headers).status_code == 200


@pytest.fixture(params=sorted(GROUNDS))
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """On each database, both nodes ready."""
    with pair(tmp_path, request.param) as nodes, httpx2.HTTPTransport(trust_env=False) as transport:
        app = nodes.site.new_client("App", "--redirect-uri", BACK)
        user = nodes.site.new_user()
        person = Person(Browser(Wire(transport), nodes.site.issuer), user.email, user.password)
        yield House(nodes, app, person)


def test_of_fifty_at_once_at_two_nodes_one_gets_tokens_and_keeps_none(house: House) -> None:
    """Exactly one answer has tokens; every other is invalid_grant; and what was given is dead at once."""
    for _ in range(ROUNDS):
        answers = answers_of(house.pair.at_once(house.request(house.code())))
        assert len(answers) == 2 * AT_ONCE
        (won,) = [one for one in answers if one.status == 200]
        lost = [one for one in answers if one is not won]
        assert {(one.status, str(one.document["error"])) for one in lost} == {(400, "invalid_grant")}
        must_be_over(house, won)


def test_a_node_that_is_killed_meanwhile_gives_no_second_success(house: House) -> None:
    """Also to those who ask again after its restart; where the winner's answer was lost, nobody has any."""
    unanswered = 0
    for part in range(ROUNDS):
        code = house.code()
        answers, again = house.pair.killed_meanwhile(house.request(code), part)
        unanswered += 2 * AT_ONCE - len(answers)
        won = [one for one in (*answers, *again) if one.status == 200]
        assert len(won) <= 1
        assert house.redeem(code).json()["error"] == "invalid_grant"
        for one in won:
            must_be_over(house, one)
    assert unanswered > 0, "every kill came after the last answer"


def test_a_code_is_spent_across_a_restart_of_everything(house: House) -> None:
    """Nothing of it lives in a process; who comes a second time ends what the first one got."""
    code, unused = house.code(), house.code()
    tokens = house.redeem(code).json()
    assert house.is_alive(tokens["access_token"])
    house.pair.crash()
    assert house.is_alive(tokens["access_token"])
    assert house.redeem(unused).status_code == 200
    assert house.redeem(code).json()["error"] == "invalid_grant"
    assert not house.is_alive(tokens["access_token"])


def must_be_over(house: House, won: Whole) -> None:
    """The grant has ended: once in the log, with no refresh token that works and no access token that lives."""
    access = str(won.document["access_token"])
    gid = str(claims_of(access)["gid"])
    assert house.pair.ground.value("SELECT count(*) FROM refresh_tokens WHERE gid = $1", gid) == 1
    assert house.pair.ground.value("SELECT count(*) FROM grants WHERE gid = $1 AND ended_at IS NOT NULL", gid) == 1
    assert house.pair.ground.value("SELECT count(*) FROM revocations WHERE kind = 'grant' AND id = $1", gid) == 1
    assert not house.is_alive(access)
    refused = house.pair.doors[1].refresh(house.app, str(won.document["refresh_token"]))
    assert refused.json()["error"] == "invalid_grant"
