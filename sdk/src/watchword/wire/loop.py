"""The one background thread of a process: an event loop on which every verifier follows its issuer."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import selectors
import threading
import weakref
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

T = TypeVar("T")


class Follower(Protocol):
    """What must hear of a fork."""

    def forked(self) -> None: ...


@dataclass(slots=True)
class _Running:
    """The loop while its thread runs, and how many use it."""

    loop: asyncio.AbstractEventLoop
    selector: selectors.BaseSelector
    thread: threading.Thread
    users: int = 0


# Re-entrant: a verifier that is collected while this thread starts another releases from inside.
_lock = threading.RLock()
_running: _Running | None = None
# Loops of a parent process. A forked child must not finalise them: their connections are still the parent's.
_abandoned: Final[list[_Running]] = []
_forked: Final[weakref.WeakSet[Follower]] = weakref.WeakSet()


def acquire() -> asyncio.AbstractEventLoop:
    """The loop, its thread started when this is the first user. Every acquire needs one release."""
    global _running
    with _lock:
        if _running is None:
            _running = _start()
        _running.users += 1
        return _running.loop


def release(loop: asyncio.AbstractEventLoop) -> None:
    """One user fewer; with the last one the thread ends. A loop of the parent process is left alone."""
    global _running
    with _lock:
        if _running is None or _running.loop is not loop:
            return
        _running.users -= 1
        if _running.users == 0:
            loop.call_soon_threadsafe(loop.stop)
            _running = None


def submit(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
    """Run a coroutine on the loop, from any thread. CancelledError at once when the loop has ended."""
    try:
        return asyncio.run_coroutine_threadsafe(work, loop)
    except RuntimeError:  # the loop was closed in this very moment
        work.close()
        gone: concurrent.futures.Future[T] = concurrent.futures.Future()
        gone.cancel()
        return gone


def on_fork(follower: Follower) -> None:
    """Call `follower.forked()` in every forked child, as long as it lives."""
    _forked.add(follower)


def _start() -> _Running:
    # A plain selector loop, whatever policy the program set: its behaviour under fork is known.
    selector = selectors.DefaultSelector()
    loop = asyncio.SelectorEventLoop(selector)
    thread = threading.Thread(target=_run, args=(loop,), name="watchword", daemon=True)
    thread.start()
    return _Running(loop, selector, thread)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _after_fork_in_child() -> None:
    global _lock, _running
    _lock = threading.RLock()
    if _running is not None:
        _let_go(_running.selector)
        _abandoned.append(_running)
        _running = None
    for follower in list(_forked):
        follower.forked()


def _let_go(selector: selectors.BaseSelector) -> None:
    """Give back the child's copies of the parent's sockets, or the issuer would never see the parent leave.

    The numbers stay taken, by the null device: whoever still holds one can neither close nor write what is
    the parent's.
    """
    null = os.open(os.devnull, os.O_RDWR)
    for entry in list((selector.get_map() or {}).values()):
        os.dup2(null, entry.fd, inheritable=False)
    os.close(null)


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_after_fork_in_child)
