"""One device code, fifty times at once at two nodes, of which one is killed: at most one success, and that one lasts.

On both databases. `WATCHWORD_TEST_ROUNDS` says how many rounds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.servers.loopback import until
from tests.stories import raw
from tests.stories.at_once import AT_ONCE, Pair, Request, answers_of, pair
from tests.stories.grounds import GROUNDS
from tests.stories.load import claims_of
from tests.stories.oidf.browser import Browser
from tests.stories.oidf.page import Page
from tests.stories.oidf.person import Person
from tests.stories.oidf.wire import Wire
from tests.stories.processes import Client
from watchword_server.protocol.grants.device_code import GRANT_TYPE

ROUNDS = int(os.environ.get("WATCHWORD_TEST_ROUNDS", "5"))

pytestmark = [pytest.mark.fault, pytest.mark.timeout(120 + 30 * ROUNDS)]


@dataclass(frozen=True)
class House:
    """Two nodes of one deployment, a device, and a person who is signed in at a browser. The first node has the
    issuer's own address, and is the one that is killed.
    """

    pair: Pair
    tv: Client
    person: Person

    def at(self, node: int, path: str, **form: str) -> httpx2.Response:
        """What a device sends."""
        return self.pair.doors[node].http.post(self.pair.url(node, path), data=form, auth=self.tv.auth)

    def allowed(self) -> str:
        """A device code that the person has allowed, by their browser at the first node."""
        begun = self.at(1, "/device_authorization", scope="openid offline_access").json()
        shown = self.person.authorize(begun["verification_uri_complete"])
        assert isinstance(shown, Page)
        assert "Go back to your device" in shown.words
        return str(begun["device_code"])

    def polls(self, code: str, node: int = 1) -> httpx2.Response:
        """Once."""
        return self.at(node, "/token", grant_type=GRANT_TYPE, device_code=code)

    def request(self, code: str) -> Request:
        """The same as a whole."""
        return lambda door: raw.token(door, self.tv, {"grant_type": GRANT_TYPE, "device_code": code})

    def must_last(self, access_token: str, refresh_token: str) -> None:
        """What was given lives, and there is one of it."""
        gid = str(claims_of(access_token)["gid"])
        assert self.pair.ground.value("SELECT count(*) FROM refresh_tokens WHERE gid = $1", gid) == 1
        assert self.pair.ground.value("SELECT count(*) FROM grants WHERE gid = $1 AND ended_at IS NOT NULL", gid) == 0
        headers = {"authorization": f"Bearer {access_token}"}
        assert self.pair.doors[1].http.get(self.pair.url(1, "/userinfo"), headers=headers).status_code == 200
        assert self.at(1, "/token", grant_type="refresh_token", refresh_token=refresh_token).status_code == 200


@pytest.fixture(params=sorted(GROUNDS))
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """On each database, both nodes ready."""
    with pair(tmp_path, request.param) as nodes, httpx2.HTTPTransport(trust_env=False) as transport:
        tv = nodes.site.new_client("TV", "--grant", GRANT_TYPE, "--grant", "refresh_token")
        user = nodes.site.new_user()
        person = Person(Browser(Wire(transport), nodes.site.issuer), user.email, user.password)
        yield House(nodes, tv, person)


def test_of_fifty_polls_at_once_at_two_nodes_one_gets_tokens_and_keeps_them(house: House) -> None:
    """Exactly one answer has tokens; every other is invalid_grant; and nobody ends what the one has got."""
    for _ in range(ROUNDS):
        answers = answers_of(house.pair.at_once(house.request(house.allowed())))
        assert len(answers) == 2 * AT_ONCE
        (won,) = [one for one in answers if one.status == 200]
        lost = [one for one in answers if one is not won]
        assert {(one.status, str(one.document["error"])) for one in lost} == {(400, "invalid_grant")}
        house.must_last(str(won.document["access_token"]), str(won.document["refresh_token"]))


def test_a_node_that_is_killed_meanwhile_gives_no_second_success(house: House) -> None:
    """Also to those who ask again after its restart; where the winner's answer was lost, nobody has any."""
    unanswered = 0
    for part in range(ROUNDS):
        code = house.allowed()
        answers, again = house.pair.killed_meanwhile(house.request(code), part)
        unanswered += 2 * AT_ONCE - len(answers)
        won = [one for one in (*answers, *again) if one.status == 200]
        assert len(won) <= 1
        assert house.polls(code).json()["error"] == "invalid_grant"
        for one in won:
            house.must_last(str(one.document["access_token"]), str(one.document["refresh_token"]))
    assert unanswered > 0, "every kill came after the last answer"


def test_what_a_device_waits_for_lives_in_no_process(house: House) -> None:
    """A device that waits, one that was allowed and one that was answered are all the same after a restart."""
    waits = house.at(1, "/device_authorization", scope="openid").json()
    assert house.polls(waits["device_code"]).json()["error"] == "authorization_pending"
    allowed, spent = house.allowed(), house.allowed()
    assert house.polls(spent).status_code == 200
    house.pair.crash()
    assert house.polls(waits["device_code"], 0).json()["error"] in ("authorization_pending", "slow_down")
    until(lambda: house.polls(waits["device_code"]).json()["error"] == "slow_down", within=60)
    assert house.polls(allowed).status_code == 200
    for code in (allowed, spent):
        assert house.polls(code, 0).json()["error"] == "invalid_grant"
