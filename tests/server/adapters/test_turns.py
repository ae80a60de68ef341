"""The head of the log, read once a turn of the event loop, is never older than the request that asks for it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import uvloop

from watchword_server.adapters.sql.sqlite.store import Store, open_store
from watchword_server.changes import Revoke


class Reader(asyncio.Protocol):
    """Notes the head for a request that it has just read."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.seen: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        head = self.store.stores.log.latest()
        assert head is not None
        self.seen.set_result(head.rev)


@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def test_a_request_sent_after_a_commit_finds_it(tmp_path: Path, loop: Callable[[], Any]) -> None:
    """A task reads the head, another process commits, a request is sent: all before the turn is over.

    uvloop calls the socket's reader before anything that the task put off to the next turn.
    """
    path = tmp_path / "watchword.db"

    def commit(other: Store) -> None:
        asyncio.run(other.stores.journal.save(Revoke("subject", "somebody", 2_000_000_000)))

    async def turn() -> tuple[int, int]:
        store, other = open_store(path), open_store(path)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        _, reader = await asyncio.get_running_loop().connect_accepted_socket(lambda: Reader(store), ours)
        await asyncio.sleep(0.01)

        async def task() -> int:
            before = (await store.stores.log.head()).rev
            do_now(commit, other)
            theirs.send(b"x")
            return before

        before = await asyncio.create_task(task())
        after = await asyncio.wait_for(reader.seen, 5)
        theirs.close()
        other.close()
        store.close()
        return before, after

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(turn()) == (0, 1)


def do_now(work: Callable[[Store], None], store: Store) -> None:
    """Do it now, while this event loop stands still."""
    thread = Thread(target=work, args=(store,))
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
