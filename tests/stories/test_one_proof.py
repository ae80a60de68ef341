"""One proof of possession, fifty times at once at two nodes, of which one is killed: at most one success, for ever.

RFC 9449 §11.1, on both databases. `WATCHWORD_TEST_ROUNDS` says how many rounds.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.server.web.proving import Holder
from tests.stories import raw
from tests.stories.at_once import AT_ONCE, Pair, Request, answers_of, pair
from tests.stories.grounds import GROUNDS
from tests.stories.load import claims_of
from tests.stories.processes import Client
from tests.stories.raw import Line, Whole

ROUNDS = int(os.environ.get("WATCHWORD_TEST_ROUNDS", "5"))

pytestmark = [pytest.mark.fault, pytest.mark.timeout(120 + 30 * ROUNDS)]


@dataclass(frozen=True)
class House:
    """Two nodes of one deployment, and a program with a key. The first node is the one that is killed."""

    pair: Pair
    app: Client
    holder: Holder

    def request(self, proof: str) -> Request:
        """A whole one that brings it."""
        return lambda door: raw.client_token(door, self.app, DPoP=proof)

    def once(self, node: int, proof: str) -> Whole:
        """Alone, at this node."""
        with Line(self.pair.doors[node]) as line:
            line.send(self.request(proof)(self.pair.doors[node]))
            found = line.answer()
        assert found is not None
        return found

    @property
    def issued(self) -> int:
        """How many tokens were made durable, whoever heard of them."""
        return self.pair.ground.value("SELECT count(*) FROM audit WHERE action = 'token.issue'")


@pytest.fixture(params=sorted(GROUNDS))
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """On each database, both nodes ready."""
    with pair(tmp_path, request.param) as nodes:
        yield House(nodes, nodes.site.new_client("App", "--dpop"), Holder(nodes.site.issuer))


def test_of_fifty_at_once_at_two_nodes_one_gets_a_token(house: House) -> None:
    """Every other is refused as used; one token was made, and it is bound to the key."""
    for done in range(ROUNDS):
        answers = answers_of(house.pair.at_once(house.request(house.holder.proof())))
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
        answers, again = house.pair.killed_meanwhile(house.request(proof), part)
        unanswered += 2 * AT_ONCE - len(answers)
        assert outcomes([*answers, *again]).get(200, 0) <= 1
        assert house.issued - before <= 1
        assert house.once(1, house.holder.proof()).status == 200
    assert unanswered > 0, "every kill came after the last answer"


def test_a_proof_is_used_across_a_restart_of_everything(house: House) -> None:
    """Nothing of it lives in a process, and a nonce outlives one too."""
    proof = house.holder.proof()
    first = house.once(0, proof)
    assert first.status == 200
    house.pair.crash()
    assert [house.once(node, proof).document["error"] for node in (0, 1)] == ["invalid_dpop_proof"] * 2
    assert house.once(1, house.holder.proof(nonce=first.headers["dpop-nonce"])).status == 200


def outcomes(answers: Sequence[Whole]) -> Counter[object]:
    """How many of each: 200, or the word of the refusal."""
    return Counter(one.status if one.status == 200 else str(one.document["error"]) for one in answers)
