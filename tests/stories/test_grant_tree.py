"""A person, twenty agents and four hundred exchanged grants: one cut, and all that came of it is dead everywhere.

On both databases, with two nodes and three verifiers that are processes of their own.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from tests.servers.loopback import free_ports
from tests.soak.nodes import Node
from tests.stories.grounds import GROUNDS, Ground
from tests.stories.judges import Judge, judge
from tests.stories.load import claims_of
from tests.stories.processes import SCOPES, Client, Site, deployment, environ, until
from watchword_server.flows import clients
from watchword_server.flows.administration import Operator
from watchword_server.flows.issuer import Caller
from watchword_server.main import load_settings, open_issuer
from watchword_server.protocol.grants.token_exchange import ACCESS_TOKEN, GRANT_TYPE
from watchword_server.protocol.values import ClientMetadata

LEADS = 10
"""Agents that act by the person's app; each has another agent that acts by it."""
EACH = 20
"""Tokens of each agent."""
PROMISE = 1.0
"""Seconds."""
VERIFIERS = 3

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]


@dataclass
class Forest:
    """A deployment with a person's tree in it, and trees beside it."""

    title: str
    site: Site
    ground: Ground
    nodes: Sequence[Node]
    judges: Sequence[Judge]
    leads: Sequence[Client]
    tools: Sequence[Client]
    root: str
    children: list[list[str]] = field(default_factory=list)
    """Tokens, by agent."""
    grandchildren: list[list[str]] = field(default_factory=list)
    """Each made of the child at its own place."""
    siblings: tuple[str, ...] = ()
    raced: tuple[list[str], list[str]] = field(default_factory=lambda: ([], []))
    """What is made while others cut."""

    @property
    def descendants(self) -> list[str]:
        """All that came of the person's grant."""
        return [token for tokens in (*self.children, *self.grandchildren) for token in tokens]

    def ask(self, http: httpx2.Client, by: Client, token: str, door: int = 0) -> httpx2.Response:
        """An exchange at one of the nodes."""
        form = {"grant_type": GRANT_TYPE, "subject_token": token, "subject_token_type": ACCESS_TOKEN}
        return http.post(f"http://127.0.0.1:{self.nodes[door % 2].port}/token", data=form, auth=by.auth)

    def exchanged(self, by: Client, token: str, door: int = 0) -> str:
        """What an agent gets for a token."""
        answer = self.ask(self.site.http, by, token, door)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def entries(self) -> int:
        """How long the log is."""
        return self.ground.value("SELECT seq FROM head")

    def must_accept(self, tokens: Sequence[str]) -> None:
        """Every verifier takes every one."""
        for one in self.judges:
            for number, token in enumerate(tokens):
                one.send(number, 0, token)
        for one in self.judges:
            until(one.has_answered, within=60)
            assert {verdict.word for verdict in one.verdicts[-len(tokens) :]} == {"accepted"}

    def refused(self, tokens: Sequence[str], since: float) -> list[float]:
        """Seconds from a moment until each verifier refused each: none takes one later than was promised."""
        delays: list[float] = []
        for one in self.judges:
            for number, token in enumerate(tokens):
                one.send(number, 0, token)

        def all_refused() -> bool:
            for one in self.judges:
                for verdict in one.read():
                    if verdict.word == "refused":
                        delays.append(max(0.0, verdict.moment - since))
                        continue
                    assert verdict.word == "accepted", verdict
                    assert verdict.moment < since + PROMISE, "a dead token was accepted for a second"
                    one.send(verdict.number, 0, tokens[verdict.number])
            return len(delays) == len(tokens) * len(self.judges)

        until(all_refused, within=60)
        return delays


async def registered(config: Path, audience: str, names: Sequence[str], acts_for: Sequence[str]) -> list[Client]:
    """Agents, each with whose tokens it may exchange; by the flow that the command line has."""
    made = []
    async with open_issuer(load_settings(config, {})) as issuer:
        for name, of in zip(names, acts_for, strict=True):
            own, access = ClientMetadata(acts_for=(of,)), {audience: SCOPES}
            new = clients.NewClient(name, "confidential", frozenset({GRANT_TYPE}), access, metadata=own)
            client, secret = await clients.add(issuer, Operator("story", Caller()), new, int(time.time()))
            made.append(Client(client.client_id, secret))
    return made


@pytest.fixture(params=sorted(GROUNDS))
def forest(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Forest]:
    """All of it alive."""
    with ExitStack() as stack:
        ground = stack.enter_context(GROUNDS[request.param].laid(tmp_path))
        settings = f"log.requests = false\n{ground.settings}"
        site = stack.enter_context(deployment(tmp_path, settings=settings, running=False))
        nodes = [Node(site, port) for port in (site.port, *free_ports())]
        for node in nodes:
            stack.callback(node.stop)
            node.start()
        app = site.new_client("App", first_party=True, public=True)
        alice, bob = site.new_user(), site.new_user()
        names = [str(number) for number in range(LEADS)]
        of_app = [app.client_id] * LEADS
        leads = asyncio.run(registered(site.config, site.audience, [f"lead {name}" for name in names], of_app))
        of_leads = [one.client_id for one in leads]
        tools = asyncio.run(registered(site.config, site.audience, [f"tool {name}" for name in names], of_leads))
        api = {"audience": site.audience, "client_id": site.api.client_id, "secret": site.api.secret}
        judges = [judge("ours", {"issuer": site.issuer, "apis": [api], "refuse_after": 60}) for _ in range(VERIFIERS)]
        for one in judges:
            stack.callback(one.close)
        token = str(site.sign_in(alice, app)["access_token"])
        found = Forest(GROUNDS[request.param].title, site, ground, nodes, judges, leads, tools, token)
        for number, lead in enumerate(leads):
            found.children.append([found.exchanged(lead, found.root, door) for door in range(EACH)])
            of = found.children[number]
            found.grandchildren.append([found.exchanged(tools[number], of[door], door) for door in range(EACH)])
        hers, his = (str(site.sign_in(who, app)["access_token"]) for who in (alice, bob))
        found.siblings = (hers, his, found.exchanged(leads[0], hers), found.exchanged(leads[0], his))
        found.must_accept([found.root, *found.descendants, *found.siblings])
        yield found


@contextmanager
def operator(site: Site) -> Iterator[subprocess.Popen[str]]:
    """A process of an operator's."""
    command = [sys.executable, "-m", "tests.stories.programs.revoker", str(site.config)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ()) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def cut(process: subprocess.Popen[str], gid: str) -> float:
    """Cut a grant; the moment at which that was answered."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"grant {gid}\n")
    process.stdin.flush()
    assert int(process.stdout.readline()) > 0
    return time.monotonic()


def racing(forest: Forest, number: int) -> list[str]:
    """Exchange one child's token as fast as it goes, until that is refused; all that came of it."""
    made = forest.raced[number]
    with httpx2.Client(trust_env=False, timeout=30) as http:
        while (answer := forest.ask(http, forest.tools[1], forest.children[1][1], number)).status_code == 200:
            made.append(str(answer.json()["access_token"]))
    assert answer.json()["error"] == "invalid_request", answer.text
    return made


def gid(token: str) -> str:
    """Of a token's grant."""
    return str(claims_of(token)["gid"])


def test_one_cut_kills_all_that_came_of_it_everywhere(forest: Forest, capsys: pytest.CaptureFixture[str]) -> None:
    """First one in the middle: it and its tool's die. Then the person's own, while another is being made of it."""
    with operator(forest.site) as process, ThreadPoolExecutor(2) as pool:
        before = forest.entries()
        moment = cut(process, gid(forest.children[0][0]))
        forest.refused([forest.children[0][0], forest.grandchildren[0][0]], moment)
        assert forest.entries() - before == 1
        gone = {forest.children[0][0], forest.grandchildren[0][0]}
        alive = [token for token in forest.descendants if token not in gone]
        forest.must_accept([forest.root, *alive, *forest.siblings])

        racers = [pool.submit(racing, forest, number) for number in range(2)]
        until(lambda: all(len(made) >= 5 for made in forest.raced), within=60)
        before = forest.entries()
        moment = cut(process, gid(forest.root))
        delays = forest.refused([forest.root, *forest.descendants], moment)
        entries = forest.entries() - before
        raced = [token for racer in racers for token in racer.result(60)]
        forest.refused(raced, time.monotonic() - PROMISE)
        forest.must_accept(forest.siblings)

    assert entries == 1
    assert len(forest.descendants) == 2 * LEADS * EACH == 400
    living = "SELECT count(*) FROM grants WHERE ended_at IS NULL AND (parent = $1 OR lineage LIKE $2)"
    assert forest.ground.value(living, gid(forest.root), f'%"{gid(forest.root)}"%') == 0
    with capsys.disabled():
        ms = sorted(delay * 1000 for delay in delays)
        p99 = statistics.quantiles(ms, n=100)[98]
        print(
            f"\n  {forest.title}: {len(forest.descendants)} grants of {2 * LEADS} agents dead at {VERIFIERS} verifiers"
            f" by {entries} entry: p50 {statistics.median(ms):.0f} ms, p99 {p99:.0f} ms, max {ms[-1]:.0f} ms;"
            f" {len(raced)} more made meanwhile, dead too; {len(forest.siblings)} beside them alive"
        )
