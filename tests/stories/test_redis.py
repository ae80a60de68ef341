"""Two nodes that share a Redis, and what becomes of them when it is lost: they go on, and say so."""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.servers.redis import Redis, server
from tests.stories.processes import TETHER, Client, Program, Site, User, deployment, environ, free_ports, start, until
from watchword_server.adapters.redis.link import BOUND, LAST_LOOK
from watchword_server.people.throttle import FREE_FOR_ACCOUNT

pytestmark = pytest.mark.fault

SLACK = 2.0
"""Seconds that a sign-in takes on a busy machine without any Redis."""
LASTS = 2.0
"""Seconds of each outage."""
LOST, BACK = "redis is lost", "redis is back"


@dataclass
class Nodes:
    """Two processes on one database; who signs in comes from an address of their own choice."""

    site: Site
    redis: Redis
    ports: tuple[int, int]
    second: Program
    client: Client
    http: httpx2.Client = field(default_factory=lambda: httpx2.Client(trust_env=False, timeout=10))

    def sign_in(self, node: int, user: User, password: str | None = None, address: str = "192.0.2.1") -> int:
        """`POST /session` at a node; the status."""
        body = {"email": user.email, "password": password or user.password, "client_id": self.client.client_id}
        url = f"http://127.0.0.1:{self.ports[node]}/session"
        answer = self.http.post(url, json=body, auth=self.client.auth, headers={"X-Forwarded-For": address})
        return answer.status_code

    def without(self, node: int) -> list[str]:
        """What `/readyz` says that the node does without. It must be ready."""
        answer = self.http.get(f"http://127.0.0.1:{self.ports[node]}/readyz")
        assert answer.status_code == 200, answer.text
        found = answer.json().get("without", [])
        assert isinstance(found, list)
        return found

    def said(self, node: int) -> Counter[str]:
        """How often a node said that Redis is lost, and back."""
        assert self.site.server is not None
        lines = (self.site.server, self.second)[node].lines
        return Counter(words for line in lines for words in (LOST, BACK) if words in line)

    def everywhere(self, found: list[str]) -> bool:
        """Whether all nodes do without just that."""
        return all(self.without(node) == found for node in range(2))


@contextmanager
def nodes(folder, redis: Redis) -> Iterator[Nodes]:
    """A deployment of two nodes."""
    lines = f'redis.url = "{redis.url}"\ntrusted_proxies = "127.0.0.1"\nlog.format = "json"'
    with deployment(folder, settings=lines, api=False) as site:
        (port,) = free_ports()
        serve = (sys.executable, *TETHER, "watchword_server", "serve", "--config", str(site.config))
        second = start("second", serve, environ(WATCHWORD_LISTEN=f"127.0.0.1:{port}"), site.folder)
        try:
            second.wait_until_ready(f"http://127.0.0.1:{port}/readyz")
            yield Nodes(site, redis, (site.port, port), second, site.new_client(first_party=True))
        finally:
            second.stop()


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Iterator[Nodes]:
    """Two nodes and a Redis of this file's own, which each test leaves sound."""
    with server() as redis, nodes(tmp_path_factory.mktemp("pair"), redis) as found:
        yield found


@pytest.fixture
def user(pair: Nodes) -> User:
    """Somebody new."""
    return pair.site.new_user()


def test_guesses_at_one_node_count_at_the_other(pair: Nodes, user: User):
    """Ten at once, five at each, are judged as if one node had them all; a good password clears them for both."""
    with ThreadPoolExecutor(2 * FREE_FOR_ACCOUNT) as guesser:
        judged = list(guesser.map(lambda n: pair.sign_in(n % 2, user, "wrong"), range(2 * FREE_FOR_ACCOUNT)))
    # On a busy machine a second may pass among them, which earns one more; alone, each node would judge all of its own.
    assert FREE_FOR_ACCOUNT <= judged.count(400) < 2 * FREE_FOR_ACCOUNT
    assert judged.count(400) + judged.count(429) == len(judged)
    until(lambda: pair.sign_in(1, user) == 200, within=20)
    assert [pair.sign_in(0, user, "wrong") for _ in range(FREE_FOR_ACCOUNT)] == [400] * FREE_FOR_ACCOUNT


def seconds_of_a_sign_in(pair: Nodes, node: int, user: User, address: str) -> float:
    """It must succeed."""
    began = time.monotonic()
    assert pair.sign_in(node, user, address=address) == 200
    return time.monotonic() - began


def once(said: Counter[str]) -> bool:
    """Whether a node said of each loss that it is over, and did not say so at every request.

    On a busy machine an answer of a sound Redis may be late too, and then it is lost for a moment.
    """
    return said[LOST] == said[BACK] and 1 <= said[LOST] <= 3


def killed(redis: Redis) -> Callable[[], object]:
    redis.kill()
    return redis.restart


def frozen(redis: Redis) -> Callable[[], object]:
    redis.freeze()
    return redis.thaw


def full(redis: Redis) -> Callable[[], object]:
    redis.ask("CONFIG", "SET", "maxmemory", "1")
    return lambda: redis.ask("CONFIG", "SET", "maxmemory", "0")


def another_password(redis: Redis) -> Callable[[], object]:
    old = urlsplit(redis.url).password
    assert old is not None
    changed = Redis(redis.url.replace(old, "another"))
    redis.ask("CONFIG", "SET", "requirepass", "another")
    changed.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    return lambda: changed.ask("CONFIG", "SET", "requirepass", old)


@pytest.mark.parametrize("harm", [killed, frozen, full, another_password])
def test_people_sign_in_while_redis_is_lost(pair: Nodes, user: User, harm: Callable[[Redis], Callable[[], object]]):
    """Every one of them, at both nodes, and hardly later; each node says once that it is lost, and that it is back."""
    before = [pair.said(node) for node in (0, 1)]
    address = f"2001:db8::{secrets.token_hex(2)}"
    mend = harm(pair.redis)
    try:
        began, taken = time.monotonic(), []
        while time.monotonic() - began < LASTS:
            taken += [seconds_of_a_sign_in(pair, node, user, address) for node in (0, 1)]
        assert pair.everywhere(["redis"])
        # Guessing is limited all the while, by each node for itself.
        with ThreadPoolExecutor(2 * FREE_FOR_ACCOUNT) as guesser:
            judged = list(guesser.map(lambda _: pair.sign_in(0, user, "wrong", address), range(2 * FREE_FOR_ACCOUNT)))
        assert FREE_FOR_ACCOUNT <= judged.count(400) < 2 * FREE_FOR_ACCOUNT
        assert pair.sign_in(1, user, address=address) == 200
    finally:
        mend()
    until(lambda: pair.everywhere([]), within=LAST_LOOK + BOUND + 3)
    assert max(taken) < 2 * BOUND + SLACK
    for node in (0, 1):
        until(lambda node=node: once(pair.said(node) - before[node]), within=5)


def test_a_node_starts_without_redis_and_takes_it_when_it_comes(tmp_path):
    """Loudly, from the first moment; and nothing of its password is in the log."""
    with server() as redis:
        redis.kill()
        with nodes(tmp_path, redis) as found:
            user = found.site.new_user()
            assert found.everywhere(["redis"])
            assert found.sign_in(0, user) == 200
            redis.restart()
            until(lambda: found.everywhere([]), within=LAST_LOOK + BOUND + 3)
            assert found.sign_in(1, user) == 200
            until(lambda: once(found.said(0)) and once(found.said(1)), within=5)
            assert found.site.server is not None
            for program in (found.site.server, found.second):
                assert str(urlsplit(redis.url).password) not in program.said
                line = next(json.loads(line) for line in program.lines if LOST in line)
                assert line["reason"].startswith("it cannot be reached")
