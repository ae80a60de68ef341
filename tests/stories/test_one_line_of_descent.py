"""One refresh token, fifty times at once at two nodes, of which one is killed meanwhile: one line of descent.

Each round signs somebody in, sends the token 25 times to each node, and kills one of them at a moment of its own
between the first request and a little after the usual last answer. `WATCHWORD_TEST_ROUNDS` says how many rounds.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.servers.loopback import free_ports
from tests.soak.nodes import Node
from tests.stories import raw
from tests.stories.grounds import GROUNDS, Ground
from tests.stories.load import claims_of
from tests.stories.processes import Client, Site, deployment
from tests.stories.raw import Line, Whole
from watchword_server.protocol.grants.refresh_token import RETRY

ROUNDS = int(os.environ.get("WATCHWORD_TEST_ROUNDS", "5"))
AT_ONCE = 25
"""Requests at each node."""
BEYOND = 1.2
"""How far past the usual last answer the moments spread."""

pytestmark = [pytest.mark.fault, pytest.mark.timeout(120 + 20 * ROUNDS)]


@dataclass(frozen=True)
class Pair:
    """Two nodes of one deployment; `doors` lead to one of them each. The first node is the one that is killed."""

    ground: Ground
    nodes: Sequence[Node]
    doors: Sequence[Site]
    app: Client


@dataclass
class Tally:
    """What became of the requests during which a node was killed."""

    answered: int = 0
    unanswered: int = 0
    outages: list[float] = field(default_factory=list)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """On PostgreSQL, both ready."""
    with ExitStack() as stack:
        ground = stack.enter_context(GROUNDS["postgres"].laid(tmp_path))
        site = stack.enter_context(deployment(tmp_path, settings=ground.settings, running=False))
        nodes = [Node(site, port) for port in free_ports(2)]
        for node in nodes:
            stack.callback(node.stop)
            node.start()
        doors = [replace(site, port=node.port) for node in nodes]
        yield Pair(ground, nodes, doors, site.new_client("App", first_party=True, public=True))


def test_fifty_at_once_at_two_nodes_have_one_successor_though_one_node_is_killed(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever is answered gets the same successor, also from the node that came back; a later use ends the family."""
    user, tally = pair.doors[1].new_user(), Tally()
    usual = min(_rehearsed(pair, pair.doors[1].sign_in(user, pair.app)["refresh_token"]) for _ in range(2))
    for part in _spread(ROUNDS):
        token = pair.doors[1].sign_in(user, pair.app)["refresh_token"]
        began = time.monotonic()
        killed, stayed = _interrupted(pair, token, part * BEYOND * usual)
        pair.nodes[0].start()
        tally.outages.append(time.monotonic() - began)
        tally.answered += len(killed)
        tally.unanswered += AT_ONCE - len(killed)
        again = _answers(_asked(pair, token))
        assert time.monotonic() - began < RETRY, "this machine is too slow for a retry to be one"
        assert (len(stayed), len(again)) == (AT_ONCE, 2 * AT_ONCE), "a node that nobody killed gave no answer"
        _must_be_one_line(pair, token, [*killed, *stayed, *again])
    with capsys.disabled():
        print(_figures(tally, usual))
    assert tally.unanswered > 0, "every kill came after the last answer"


def _rehearsed(pair: Pair, token: str) -> float:
    """How long fifty at once take when nobody is killed; seconds."""
    began = time.perf_counter()
    answers = _answers(_asked(pair, token))
    took = time.perf_counter() - began
    _must_be_one_line(pair, token, answers)
    return took


def _spread(number: int) -> list[float]:
    """A moment in each part of the whole."""
    return [(n + random.random()) / number for n in range(number)]


def _interrupted(pair: Pair, token: str, delay: float) -> tuple[Sequence[Whole], Sequence[Whole]]:
    """What the node that was killed had answered until then, and what the other one answered."""
    lines = _asked(pair, token)
    due = time.perf_counter() + delay
    while time.perf_counter() < due:
        pass  # microseconds count here
    os.kill(pair.nodes[0].pid, signal.SIGKILL)
    killed, stayed = _answers(lines[::2]), _answers(lines[1::2])
    assert pair.nodes[0].program is not None
    pair.nodes[0].program.kill()
    return killed, stayed


def _asked(pair: Pair, token: str) -> list[Line]:
    """Fifty connections, on each of which the token was just sent; each node has every second one."""
    doors = [*pair.doors] * AT_ONCE
    lines = [Line(door) for door in doors]
    for door, line in zip(doors, lines, strict=True):
        line.send(raw.refresh(door, pair.app, token))
    return lines


def _answers(lines: Sequence[Line]) -> Sequence[Whole]:
    """Those that came to their last byte."""
    found = [line.answer() for line in lines]
    for line in lines:
        line.close()
    return [answer for answer in found if answer is not None]


def _must_be_one_line(pair: Pair, token: str, answers: Sequence[Whole]) -> None:
    """One successor for all, in their hands and in the database; once it was used, the first token ends everything."""
    assert {answer.status for answer in answers} == {200}, [answer.body for answer in answers if answer.status != 200]
    (successor,) = {str(answer.document["refresh_token"]) for answer in answers}
    claims = [claims_of(str(answer.document["access_token"])) for answer in answers]
    (gid,) = {str(each["gid"]) for each in claims}
    assert successor != token
    assert len({each["jti"] for each in claims}) == len(answers)
    assert _family(pair.ground, gid) == (1, 1)

    following = pair.doors[0].refresh(pair.app, successor)
    assert following.status_code == 200, following.text
    assert _family(pair.ground, gid) == (2, 1)
    late = _answers(_asked(pair, token))
    assert [(answer.status, answer.document["error"]) for answer in late] == [(400, "invalid_grant")] * 2 * AT_ONCE
    for door in pair.doors:
        assert door.refresh(pair.app, following.json()["refresh_token"]).status_code == 400
    assert pair.ground.value("SELECT count(*) FROM revocations WHERE kind = 'grant' AND id = $1", gid) == 1


def _family(ground: Ground, gid: str) -> tuple[int, int]:
    """How many of its tokens are spent, and how many are not."""
    query = "SELECT count(*) FROM refresh_tokens WHERE gid = $1 AND spent_at IS"
    return ground.value(f"{query} NOT NULL", gid), ground.value(f"{query} NULL", gid)


def _figures(tally: Tally, usual: float) -> str:
    return (
        f"\n  {ROUNDS} rounds of {2 * AT_ONCE} at once, usually {usual * 1000:.0f} ms; one of two nodes killed in each:"
        f" {tally.answered} of its requests answered, {tally.unanswered} not; all again after"
        f" {statistics.median(tally.outages):.2f} s; one line of descent in every round"
    )
