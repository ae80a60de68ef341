"""One proof of possession, fifty times at once at two nodes, of which one is killed: at most one success, for ever.

RFC 9449 §11.1, on both databases. `WATCHWORD_TEST_ROUNDS` says how many rounds.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.server.web.proving import Holder
from tests.servers.loopback import free_ports
from tests.soak.nodes import Node
from tests.stories import raw
from tests.stories.grounds import GROUNDS, Ground
from tests.stories.load import claims_of
from tests.stories.processes import Client, Site, deployment
from tests.stories.raw import Line, Whole

ROUNDS = int(os.environ.get("WATCHWORD_TEST_ROUNDS", "5"))
AT_ONCE = 25
"""Requests at each node."""

pytestmark = [pytest.mark.fault, pytest.mark.timeout(120 + 30 * ROUNDS)]


@dataclass(frozen=True)
class House:
    """Two nodes of one deployment, and a program with a key. The first node is the one that is killed."""

    ground: Ground
    nodes: Sequence[Node]
    doors: Sequence[Site]
    app: Client
    holder: Holder

    def all_at_once(self, proof: str) -> list[Line]:
        """Fifty connections, on each of which the proof was just sent; each node has every second one."""
        doors = [*self.doors] * AT_ONCE
        lines = [Line(door) for door in doors]
        for door, line in zip(doors, lines, strict=True):
            line.send(self.request(door, proof))
        return lines

    def request(self, door: Site, proof: str) -> bytes:
        """A whole one."""
        return raw.client_token(door, self.app, DPoP=proof)

    def once(self, node: int, proof: str) -> Whole:
        """Alone, at this node."""
        with Line(self.doors[node]) as line:
            line.send(self.request(self.doors[node], proof))
            found = line.answer()
        assert found is not None
        return found

    @property
    def issued(self) -> int:
        """How many tokens were made durable, whoever heard of them."""
        return self.ground.value("SELECT count(*) FROM audit WHERE action = 'token.issue'")


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
        app = site.new_client("App", "--dpop")
        doors = [replace(site, port=node.port) for node in nodes]
        yield House(ground, nodes, doors, app, Holder(site.issuer))


def test_of_fifty_at_once_at_two_nodes_one_gets_a_token(house: House) -> None:
    """Every other is refused as used; one token was made, and it is bound to the key."""
    for done in range(ROUNDS):
        answers = answers_of(house.all_at_once(house.holder.proof()))
        assert len(answers) == 2 * AT_ONCE
        assert outcomes(answers) == {200: 1, "invalid_dpop_proof": 2 * AT_ONCE - 1}
        (won,) = [one for one in answers if one.status == 200]
        assert won.document["token_type"] == "DPoP"
        assert claims_of(str(won.document["access_token"]))["cnf"] == {"jkt": house.holder.jkt}
        assert house.issued == done + 1


def test_a_node_that_is_killed_meanwhile_gives_no_second_success(house: House) -> None:
    """Also to those who ask again after its restart; where the winner's answer was lost, nobody has a token."""
    unanswered = 0
    for part in range(ROUNDS):
        before, proof = house.issued, house.holder.proof()
        lines = house.all_at_once(proof)
        time.sleep(random.random() * 0.02 * (part + 1))
        os.kill(house.nodes[0].pid, signal.SIGKILL)
        answers = answers_of(lines)
        unanswered += 2 * AT_ONCE - len(answers)
        assert house.nodes[0].program is not None
        house.nodes[0].program.kill()
        house.nodes[0].start()
        again = answers_of(house.all_at_once(proof))
        assert len(again) == 2 * AT_ONCE
        assert outcomes([*answers, *again]).get(200, 0) <= 1
        assert house.issued - before <= 1
        assert house.once(1, house.holder.proof()).status == 200
    assert unanswered > 0, "every kill came after the last answer"


def test_a_proof_is_used_across_a_restart_of_everything(house: House) -> None:
    """Nothing of it lives in a process, and a nonce outlives one too."""
    proof = house.holder.proof()
    first = house.once(0, proof)
    assert first.status == 200
    for node in house.nodes:
        node.crash()
    assert [house.once(node, proof).document["error"] for node in (0, 1)] == ["invalid_dpop_proof"] * 2
    assert house.once(1, house.holder.proof(nonce=first.headers["dpop-nonce"])).status == 200


def answers_of(lines: Sequence[Line]) -> list[Whole]:
    """Those that came to their last byte."""
    found = [line.answer() for line in lines]
    for line in lines:
        line.close()
    return [one for one in found if one is not None]


def outcomes(answers: Sequence[Whole]) -> Counter[object]:
    """How many of each: 200, or the word of the refusal."""
    return Counter(one.status if one.status == 200 else str(one.document["error"]) for one in answers)
