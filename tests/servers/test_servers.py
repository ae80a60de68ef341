"""The servers that other tests rely on: they start, are killed, forget or remember, and leave nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import postgres, redis
from tests.servers.loopback import until
from tests.servers.running import GONE_WITHIN

ROOT = Path(__file__).parents[2]

HOLD = """
import sys
from tests.servers.{module} import server

with server() as held:
    print(held.running.pid, held.running.log_file.parent, flush=True)
    if {frozen}:
        held.freeze()
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_database_is_fresh_and_a_copy_is_a_copy(postgres):
    """Nothing of one test is seen by another."""
    first = postgres.database()
    postgres.execute("CREATE TABLE seen (n bigint); INSERT INTO seen VALUES (7)", first)
    copy, other = postgres.database(like=first), postgres.database()
    postgres.execute("UPDATE seen SET n = 8", copy)
    assert postgres.execute("SELECT n FROM seen", first) == "7"
    assert postgres.execute("SELECT to_regclass('seen') IS NULL", other) == "t"


@pytest.mark.fault
def test_postgres_survives_a_kill_with_what_it_acknowledged():
    """Durable settings, a frozen server that wakes, and a start after a power cut; as nobody special all the while."""
    with postgres.server() as held:
        assert Path(f"/proc/{held.running.pid}").stat().st_uid != 0
        url = held.database()
        assert held.execute("SHOW fsync") == held.execute("SHOW synchronous_commit") == "on"
        held.execute("CREATE TABLE kept (n bigint); INSERT INTO kept VALUES (1)", url)
        held.freeze()
        held.thaw()
        held.kill()
        assert not held.running.alive
        held.restart()
        assert held.execute("SELECT n FROM kept", url) == "1"


def test_redis_forgets_when_it_is_killed():
    """A restart is a failover that lost everything."""
    with redis.server() as held:
        held.ask("SET", "a", "1")
        held.freeze()
        held.thaw()
        assert held.ask("GET", "a") == "1"
        held.kill()
        assert not held.running.alive
        held.restart()
        assert held.ask("GET", "a") == "-1"


@pytest.mark.fault
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("module", ["postgres", "redis"])
def test_a_server_ends_with_a_killed_test(module, frozen):
    """`kill -9` of the test process: the server goes, frozen or not, and so does its folder."""
    program = HOLD.format(module=module, frozen=frozen)
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as test:
        pid, _, folder = test.stdout.readline().strip().partition(" ")
        assert test.stdout.readline() == "held\n"
        assert Path(f"/proc/{pid}").exists()
        test.kill()
    until(lambda: not Path(f"/proc/{pid}").exists() and not Path(folder).exists(), GONE_WITHIN)


def test_a_server_of_another_is_not_stopped(monkeypatch):
    """A server that was named is only used."""
    monkeypatch.setenv(redis.GIVEN, "redis://127.0.0.1:1/0")
    with redis.shared() as given, pytest.raises(AssertionError, match="not ours to stop"):
        given.kill()
    monkeypatch.setenv(postgres.GIVEN, "postgresql://a:b@127.0.0.1:1/c")
    with postgres.shared() as given, pytest.raises(AssertionError, match="not ours to stop"):
        given.freeze()
