"""PostgreSQL frozen, killed, restarted, cut off in the middle of a commit; a node that freezes with a lock."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from tests.servers.postgres import server
from tests.stores.databases import Database
from tests.stores.people_and_programs import AUDIT, EVERYTHING, NOW, USER
from watchword import log
from watchword_server.adapters.sql.postgres import upgrade
from watchword_server.adapters.sql.postgres.store import Store
from watchword_server.adapters.sql.postgres.transaction import LOCK, Batch
from watchword_server.adapters.sql.postgres.writer import PATIENCE
from watchword_server.changes import Revoke
from watchword_server.ports import Unavailable

pytestmark = pytest.mark.fault

ROOT = Path(__file__).parents[3]
SOON = 6.0
"""Seconds in which every question is answered, however ill the database is: a batch before ours, and ours."""

FROZEN_HOLDER = f"""
import asyncio, asyncpg, os, signal, sys
from watchword_server.adapters.sql.plan import plan
from watchword_server.adapters.sql.postgres import connections
from watchword_server.adapters.sql.postgres.transaction import Batch, commit
from watchword_server.adapters.sql.statements import load
from watchword_server.changes import Revoke

async def main():
    connection = await connections.writer(sys.argv[1])
    commands = load("postgres").commands
    batch = Batch(connection, commands)
    await batch.run([plan(commands, (Revoke("token", "frozen", {NOW}),))])
    os.write(1, b"held\\n")
    os.kill(os.getpid(), signal.SIGSTOP)
    try:
        await commit(connection, moved=True)
    except Exception as error:
        print("refused", type(error).__name__)
    else:
        print("committed")

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def held():
    """A server of our own, to be treated badly."""
    with server() as held:
        yield held


@pytest.fixture(scope="module")
def made(held):
    url = held.database()
    asyncio.run(upgrade.migrate(url))
    return url


@pytest.fixture
def url(held, made):
    """A database for one test, on a server that the one before has left in order."""
    held.thaw()
    if not held.running.alive:
        held.restart()
    return held.database(like=made)


@asynccontextmanager
async def node(url: str) -> AsyncIterator[Store]:
    store = Store(url)
    try:
        yield store
    finally:
        await store.close()


async def answered(store: Store) -> list[object]:
    """What everything that a node asks comes to, each within SOON."""
    stores = store.stores
    questions = (
        stores.log.head(),
        stores.log.alive(0),
        stores.users.find(USER.sub),
        stores.users.all("", 9),
        stores.journal.save(AUDIT),
        stores.journal.save(Revoke("token", "x", NOW)),
    )
    began = time.monotonic()
    results = await asyncio.gather(*questions, return_exceptions=True)
    assert time.monotonic() - began < SOON
    return results


async def goes_on(store: Store) -> None:
    """By itself, within some seconds."""
    async with asyncio.timeout(30):
        while any(isinstance(result, Unavailable) for result in await answered(store)):
            await asyncio.sleep(0.05)


async def test_a_frozen_database_is_unavailable_and_thaws(held, url):
    """Nobody waits for long, whatever is asked; when it wakes, the service goes on by itself."""
    async with node(url) as store:
        await store.stores.journal.save(*EVERYTHING)
        await goes_on(store)
        before = (await store.stores.log.head()).rev
        held.freeze()
        try:
            for _ in range(2):
                results = await answered(store)
                assert [type(result) for result in results] == [Unavailable] * len(results)
        finally:
            held.thaw()
        await goes_on(store)
        head, entries = await store.stores.log.after(0, 999)
        assert head.rev > before
        assert head.chain == log.chain(log.genesis(head.log), entries)


@pytest.mark.parametrize("turn", range(3))
async def test_nothing_acknowledged_is_lost_when_the_database_is_killed(held, url, turn):
    """SIGKILL for all of its processes under load, twice; the node goes on by itself after each."""
    program = Database("postgres", url).start("acknowledge")
    try:
        acknowledged: list[str] = []
        for _ in range(2):
            acknowledged += [await asyncio.to_thread(program.stdout.readline) for _ in range(50 + 77 * turn)]
            held.kill()
            async with asyncio.timeout(30):
                while (line := await asyncio.to_thread(program.stdout.readline)) != "?\n":
                    acknowledged.append(line)
            await asyncio.to_thread(held.restart)
            async with asyncio.timeout(30):
                while (line := await asyncio.to_thread(program.stdout.readline)) == "?\n":
                    pass
            acknowledged.append(line)
    finally:
        program.kill()
    acknowledged += program.stdout.readlines()
    program.wait()
    await must_be_whole(url, acknowledged)


async def test_nothing_acknowledged_is_lost_when_the_database_is_frozen_under_load(held, url):
    """Long enough for everybody to give up; what was in flight may be there or not, and nobody was told that it is."""
    program = Database("postgres", url).start("acknowledge")
    try:
        acknowledged = [await asyncio.to_thread(program.stdout.readline) for _ in range(100)]
        held.freeze()
        while (line := await asyncio.to_thread(program.stdout.readline)) != "?\n":
            acknowledged.append(line)
        held.thaw()
        async with asyncio.timeout(30):
            while (line := await asyncio.to_thread(program.stdout.readline)) == "?\n":
                pass
        acknowledged.append(line)
    finally:
        held.thaw()
        program.kill()
    acknowledged += program.stdout.readlines()
    program.wait()
    await must_be_whole(url, acknowledged)


async def must_be_whole(url: str, acknowledged: list[str]) -> None:
    async with node(url) as store:
        await goes_on(store)
        head, entries = await store.stores.log.after(0, 1_000_000)
    kept = {f"{entry.seq} {entry.id}\n" for entry in entries}
    assert {line for line in acknowledged if line.endswith("\n")} - {"?\n"} <= kept
    assert [entry.seq for entry in entries] == list(range(1, head.rev + 1))
    assert head.chain == log.chain(log.genesis(head.log), entries)


async def test_an_orderly_restart_is_hardly_noticed(held, url):
    """Idle connections were ended: the next question finds that out by itself, and no answer is lost by it."""
    async with node(url) as store:
        told = []
        store.on_commit(lambda: told.append(1))
        await goes_on(store)
        await asyncio.to_thread(held.restart)
        async with asyncio.timeout(10):
            while not any(result is None for result in await answered(store)):
                pass
        # Others' commits are heard again, too.
        async with node(url) as other, asyncio.timeout(20):
            before = len(told)
            while len(told) == before:
                with suppress(Unavailable):
                    await other.stores.journal.save(Revoke("token", "told", NOW))
                await asyncio.sleep(0.05)


def frozen_holder(url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FROZEN_HOLDER, url]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


async def test_a_node_that_freezes_with_the_lock_holds_nobody_up_for_long(url):
    """The server ends its transaction; when it wakes, its commit is refused."""
    holder = frozen_holder(url)
    try:
        assert await asyncio.to_thread(holder.stdout.readline) == "held\n"
        async with node(url) as store:
            began = time.monotonic()
            entries = await store.stores.journal.save(Revoke("token", "ours", NOW))
            assert time.monotonic() - began < 3
            assert [entry.seq for entry in entries] == [1]
        holder.send_signal(signal.SIGCONT)
        assert (await asyncio.to_thread(holder.stdout.read)).startswith("refused")
    finally:
        holder.kill()
        holder.wait()


class Cut:
    """A line to the server that is cut at the commit: after it was passed on, or before."""

    def __init__(self, url: str, passes: bool) -> None:
        self._to = urlsplit(url)
        self._passes = passes
        self.armed = False

    async def serve(self) -> str:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        return urlunsplit(self._to._replace(netloc=f"{self._to.username}:{self._to.password}@127.0.0.1:{port}"))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(self._to.hostname, self._to.port)
        answers = asyncio.create_task(self._pass(there[0], writer))
        while data := await reader.read(65536):
            if self.armed and b"COMMIT\0" in data:
                answers.cancel()
                await asyncio.gather(answers, return_exceptions=True)
                if self._passes:
                    there[1].write(data)
                    await there[0].read(1)  # it has answered, and nobody hears it
                break
            there[1].write(data)
        answers.cancel()
        writer.transport.abort()
        there[1].transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)

    def close(self) -> None:
        self._server.close()


@pytest.mark.parametrize("passes", [True, False], ids=["after it was passed on", "before"])
async def test_a_commit_whose_answer_is_lost_is_never_reported_as_done_or_as_not_done(url, passes):
    """Unavailable says neither; what follows is right in both cases."""
    cut = Cut(url, passes)
    async with node(await cut.serve()) as store, node(url) as other:
        await store.stores.journal.save(Revoke("token", "before", NOW))
        cut.armed = True
        with pytest.raises(Unavailable):
            await store.stores.journal.save(Revoke("token", "doubtful", NOW))
        cut.armed = False
        _, entries = await other.stores.log.after(0, 9)
        assert [entry.id for entry in entries] == ["before", "doubtful"][: 2 if passes else 1]
        entries = await store.stores.journal.save(Revoke("token", "after", NOW))
        assert [entry.seq for entry in entries] == [3 if passes else 2]
    cut.close()


async def test_a_commit_that_no_standby_has_is_not_acknowledged(held, url):
    """Neither while it waits, nor when an operator ends the waiting: it would be lost with a failover."""
    async with node(url) as store:
        await store.stores.journal.save(AUDIT)
        with no_standby(held):
            with pytest.raises(Unavailable):
                await store.stores.journal.save(Revoke("token", "alone", NOW))
            await asyncio.to_thread(end_the_waiting, held)  # the server's, which outlives ours
            began = time.monotonic()
            save = asyncio.create_task(store.stores.journal.save(Revoke("token", "ended", NOW)))
            await asyncio.to_thread(end_the_waiting, held)
            with pytest.raises(Unavailable):
                await save
            assert time.monotonic() - began < PATIENCE - 1, "the server did answer"
        await goes_on(store)


async def test_audit_rows_that_no_standby_has_are_not_acknowledged_either(held, url):
    """They need no COMMIT of their own, and so the server's own patience may end the waiting too."""
    async with node(url) as store:
        await store.stores.journal.save(AUDIT)
        with no_standby(held):
            with pytest.raises(Unavailable):
                await store.stores.journal.save(AUDIT)
            save = asyncio.create_task(store.stores.journal.save(AUDIT))
            await asyncio.to_thread(end_the_waiting, held)
            with pytest.raises(Unavailable):
                await save
        await goes_on(store)


@contextmanager
def no_standby(held):
    """Every commit has to wait for a standby that there is not."""
    held.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    held.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        held.execute("ALTER SYSTEM RESET synchronous_standby_names")
        held.execute("SELECT pg_reload_conf()")


def end_the_waiting(held) -> None:
    """As an operator does who wonders why everything stands still."""
    deadline = time.monotonic() + 10
    query = (
        "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity"
        " WHERE wait_event = 'SyncRep' AND backend_type = 'client backend'"
    )
    while held.execute(query) == "0":
        assert time.monotonic() < deadline


async def test_a_lock_that_nobody_gives_back_makes_writers_unavailable_and_readers_go_on(url):
    """A session that is not ours holds it for as long as it likes."""
    holder = await asyncpg.connect(url)
    await holder.execute(f"SELECT pg_advisory_lock({LOCK})")
    async with node(url) as store:
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await store.stores.journal.save(Revoke("token", "a", NOW))
        assert time.monotonic() - began < SOON
        assert (await store.stores.log.head()).rev == 0
        await holder.close()
        assert [entry.seq for entry in await store.stores.journal.save(Revoke("token", "a", NOW))] == [1]


async def test_a_node_that_was_held_up_in_a_transaction_does_it_again(url, monkeypatch):
    """The server has ended its session for its silence; nothing was sent to be committed, so nothing is in doubt."""
    held_up = iter([2.0])
    begin = Batch._finish

    async def finish(batch: Batch) -> None:
        time.sleep(next(held_up, 0))  # noqa: ASYNC251  # the whole process stands still, as on a machine under load
        await begin(batch)

    monkeypatch.setattr(Batch, "_finish", finish)
    async with node(url) as store:
        assert [entry.seq for entry in await store.stores.journal.save(Revoke("token", "once", NOW), AUDIT)] == [1]
        assert len(await store.stores.audit.latest(9)) == 1
