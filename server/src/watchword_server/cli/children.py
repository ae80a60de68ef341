"""Processes of `watchword dev`: each in a group of its own, tied to its parent's life, its output prefixed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import typer

from watchword_server.cli.answers import printable
from watchword_server.cli.failures import NotNow

TETHER: Final = "watchword_server.demo.tether"
POLITE: Final = 10.0
"""Seconds for an orderly end."""
READY_WITHIN: Final = 60.0
PAUSE: Final = 0.05
"""Seconds."""
LONGEST_LINE: Final = 1024 * 1024
"""Bytes."""


@dataclass(frozen=True, slots=True)
class Child:
    """A running process, and the task that prints what it says."""

    name: str
    process: Process
    printing: asyncio.Task[None]


async def start(name: str, module: str, *arguments: str, environ: Mapping[str, str]) -> Child:
    """Run a module with this interpreter."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        TETHER,
        module,
        *arguments,
        stdin=PIPE,  # the tether: the kernel closes it when this process is gone
        stdout=PIPE,
        stderr=STDOUT,
        env=dict(environ),
        limit=LONGEST_LINE,
        process_group=0,  # Ctrl-C is ours to handle, and a child's own children go with it
    )
    return Child(name, process, asyncio.create_task(_print(name, process)))


async def ready(child: Child, url: str) -> None:
    """Wait until the child answers 200 at `url`. Raises NotNow when it ends before, or takes too long."""
    import httpx2  # not above: only this command needs it

    async with httpx2.AsyncClient(trust_env=False, timeout=5) as client:
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_WITHIN):
                while child.process.returncode is None:
                    with suppress(httpx2.HTTPError):
                        if (await client.get(url)).status_code == 200:
                            return
                    await asyncio.sleep(PAUSE)
    state = "is not ready yet" if child.process.returncode is None else "has ended"
    raise NotNow(f"{child.name} {state}; what it said stands above")


async def first_to_end(*children: Child) -> Child:
    """Wait until one of them ends."""
    waits = {asyncio.create_task(child.process.wait()): child for child in children}
    done, others = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in others:
        wait.cancel()
    return waits[done.pop()]


async def stop(child: Child) -> None:
    """End a child and its group: politely, then for certain."""
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            _signal(child.process, number)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLITE):
                    await child.process.wait()
                    break
    finally:
        _signal(child.process, signal.SIGKILL)
        await child.printing


def _signal(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


async def _print(name: str, process: Process) -> None:
    assert process.stdout is not None  # noqa: S101 - it was started with a pipe
    line = b"..."
    while line:
        try:
            line = await process.stdout.readline()
        except ValueError:  # longer than any line should be; its rest comes next
            continue
        with suppress(OSError):  # nobody reads any more, and yet the pipe must not fill up
            _say(name, line)


def _say(name: str, line: bytes) -> None:
    if line:
        typer.echo(f"{name:>6} | {printable(line.decode(errors='replace').rstrip())}", err=True)
