"""One byte from process to process, which nothing depends on."""

from __future__ import annotations

import asyncio
import stat
import subprocess
import sys

import pytest

from watchword_server.adapters import nudge
from watchword_server.adapters.sql.sqlite.store import open_store


@pytest.fixture(params=["short", "long" * 40])
def folder(request, tmp_path):
    """Also one whose path is longer than a socket's address may be."""
    folder = tmp_path / request.param
    folder.mkdir()
    return folder


async def test_a_nudge_reaches_every_listener_in_the_folder(folder):
    """However long the folder's name."""
    heard = [asyncio.Event(), asyncio.Event()]
    listeners = [nudge.Listener(folder, event.set) for event in heard]
    nudge.send(folder)
    async with asyncio.timeout(5):
        for event in heard:
            await event.wait()
    for listener in listeners:
        listener.close()
    assert list(folder.iterdir()) == []


async def test_only_the_owner_may_nudge(folder):
    """The socket has mode 0600."""
    listener = nudge.Listener(folder, lambda: None)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in folder.glob(nudge.PATTERN)]
    listener.close()
    assert modes == [0o600]


async def test_the_socket_of_a_process_that_is_gone_is_removed(folder):
    """It was killed and could not clean up."""
    listener = nudge.Listener(folder, lambda: None)
    (path,) = folder.glob(nudge.PATTERN)
    listener._socket.close()
    nudge.send(folder)
    assert not path.exists()
    listener.close()


async def test_a_listener_that_does_not_listen_holds_up_nobody(folder):
    """Its socket fills, and `send` goes on; it hears once when it wakes up."""
    heard: asyncio.Queue[None] = asyncio.Queue()
    listener = nudge.Listener(folder, lambda: heard.put_nowait(None))
    for _ in range(5000):  # none of which gives the event loop a turn
        nudge.send(folder)
    assert heard.empty()
    await asyncio.wait_for(heard.get(), 5)
    await asyncio.sleep(0)
    assert heard.empty()
    listener.close()


async def test_nobody_to_nudge_is_no_error(tmp_path):
    """An empty folder, one that is missing, one with something else under that name."""
    nudge.send(tmp_path)
    nudge.send(tmp_path / "missing")
    (tmp_path / "nudge-1.sock").write_text("a file")
    nudge.send(tmp_path)
    assert (tmp_path / "nudge-1.sock").read_text() == "a file"


async def test_a_commit_of_another_process_nudges_this_one(tmp_path):
    """Before that process has its answer: it may be a command that ends at once."""
    path = tmp_path / "watchword.db"
    open_store(path).close()
    heard = asyncio.Event()
    listener = nudge.Listener(tmp_path, heard.set)
    program = (
        "import asyncio, os, sys; from pathlib import Path\n"
        "from watchword_server.adapters.sql.sqlite.store import open_store\n"
        "from watchword_server.changes import Revoke\n"
        "asyncio.run(open_store(Path(sys.argv[1])).stores.journal.save(Revoke('token', 'x', 1))); os._exit(0)"
    )
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program, str(path)], check=True)
    await asyncio.wait_for(heard.wait(), 5)
    listener.close()


async def test_a_folder_that_cannot_hold_a_socket_says_so(tmp_path):
    """The caller polls anyway; nothing is left open."""
    with pytest.raises(OSError, match="missing"):
        nudge.Listener(tmp_path / ("missing" * 30), lambda: None)
