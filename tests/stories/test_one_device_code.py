"""One device code, fifty times at once at two nodes, of which one is killed: at most one success, and that one lasts.

On both databases. `WATCHWORD_TEST_ROUNDS` says how many rounds.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2
import pytest

from tests.servers.loopback import free_ports, until
from tests.soak.nodes import Node
from tests.stories import raw
from tests.stories.grounds import GROUNDS, Ground
from tests.stories.load import claims_of
from tests.stories.oidf.browser import Browser
from tests.stories.oidf.page import Page
from tests.stories.oidf.person import Person
from tests.stories.oidf.wire import Wire
from tests.stories.processes import Client, Site, deployment
from tests.stories.raw import Line
from tests.stories.test_one_code import answers_of
from watchword_server.protocol.grants.device_code import GRANT_TYPE

ROUNDS = int(os.environ.get("WATCHWORD_TEST_ROUNDS", "5"))
AT_ONCE = 25
"""Requests at each node."""

pytestmark = [pytest.mark.fault, pytest.mark.timeout(120 + 30 * ROUNDS)]


@dataclass(frozen=True)
class House:
    """Two nodes of one deployment, a device, and a person who is signed in at a browser. The first node has the
    issuer's own address, and is the one that is killed.
    """

    ground: Ground
    nodes: Sequence[Node]
    doors: Sequence[Site]
    tv: Client
    person: Person

    def at(self, node: int, path: str, **form: str) -> httpx2.Response:
        """What a device sends."""
        return self.doors[node].http.post(
            f"http://127.0.0.1:{self.nodes[node].port}{path}", data=form, auth=self.tv.auth
        )

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

    def all_at_once(self, code: str) -> list[Line]:
        """Fifty connections, on each of which the device has just asked; each node has every second one."""
        doors = [*self.doors] * AT_ONCE
        lines = [Line(door) for door in doors]
        for door, line in zip(doors, lines, strict=True):
            line.send(raw.token(door, self.tv, {"grant_type": GRANT_TYPE, "device_code": code}))
        return lines

    def must_last(self, access_token: str, refresh_token: str) -> None:
        """What was given lives, and there is one of it."""
        gid = str(claims_of(access_token)["gid"])
        assert self.ground.value("SELECT count(*) FROM refresh_tokens WHERE gid = $1", gid) == 1
        assert self.ground.value("SELECT count(*) FROM grants WHERE gid = $1 AND ended_at IS NOT NULL", gid) == 0
        node = f"http://127.0.0.1:{self.nodes[1].port}"
        headers = {"authorization": f"Bearer {access_token}"}
        assert self.doors[1].http.get(f"{node}/userinfo", headers=headers).status_code == 200
        assert self.at(1, "/token", grant_type="refresh_token", refresh_token=refresh_token).status_code == 200


@pytest.fixture(params=sorted(GROUNDS))
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """On each database, both nodes ready."""
    with ExitStack() as stack:
        ground = stack.enter_context(GROUNDS[request.param].laid(tmp_path))
        site = stack.enter_context(deployment(tmp_path, settings=ground.settings, running=False))
        nodes = [Node(site, port) for port in (site.port, *free_ports())]
        for node in nodes:
            stack.callback(node.stop)
            node.start()
        transport = stack.enter_context(httpx2.HTTPTransport(trust_env=False))
        tv = site.new_client("TV", "--grant", GRANT_TYPE, "--grant", "refresh_token")
        user = site.new_user()
        person = Person(Browser(Wire(transport), site.issuer), user.email, user.password)
        yield House(ground, nodes, [replace(site, port=node.port) for node in nodes], tv, person)


def test_of_fifty_polls_at_once_at_two_nodes_one_gets_tokens_and_keeps_them(house: House) -> None:
    """Exactly one answer has tokens; every other is invalid_grant; and nobody ends what the one has got."""
    for _ in range(ROUNDS):
        answers = answers_of(house.all_at_once(house.allowed()))
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
        lines = house.all_at_once(code)
        time.sleep(random.random() * 0.02 * (part + 1))
        os.kill(house.nodes[0].pid, signal.SIGKILL)
        answers = answers_of(lines)
        unanswered += 2 * AT_ONCE - len(answers)
        assert house.nodes[0].program is not None
        house.nodes[0].program.kill()
        house.nodes[0].start()
        again = answers_of(house.all_at_once(code))
        won = [one for one in (*answers, *again) if one.status == 200]
        assert len(won) <= 1
        assert len(again) == 2 * AT_ONCE
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
    for node in house.nodes:
        node.crash()
    assert house.polls(waits["device_code"], 0).json()["error"] in ("authorization_pending", "slow_down")
    until(lambda: house.polls(waits["device_code"]).json()["error"] == "slow_down", within=60)
    assert house.polls(allowed).status_code == 200
    for code in (allowed, spent):
        assert house.polls(code, 0).json()["error"] == "invalid_grant"
