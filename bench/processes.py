"""Programs under measurement: started on a core of their own, asked for their time and memory, and always ended."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlsplit

from bench.result import Unmeasured

CORES: Final = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]
TICKS: Final = os.sysconf("SC_CLK_TCK")
ENDS_WITHIN: Final = 15.0
READY_WITHIN: Final = 20.0


@contextmanager
def running(
    command: Sequence[str], folder: Path, core: int | None = None, extra: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A program until the end of the block; on one core when asked. What it prints on standard error is kept."""
    with tempfile.TemporaryFile() as errors:
        with on_core(core):
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment(extra),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        try:
            yield process
        except Unmeasured as error:
            raise Unmeasured(f"{error}{_last_words(errors)}") from error
        finally:
            _end(process)


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Run on one core, and start programs there: they inherit it with their first instruction."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours without any setting of Watchword: the benchmark's deployment has its own."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")}
    return {**own, **(extra or {})}


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, its threads and children, so far."""
    own = _ticks(pid)
    return own + sum(cpu_seconds(child) for child in _children(pid))


def first_thread_seconds(pid: int) -> float:
    """User and system time of a process's first thread so far."""
    fields = Path(f"/proc/{pid}/task/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid: int) -> tuple[float, float]:
    """RSS and PSS of a process and its children in MB (10^6 bytes). PSS shares out what several processes have."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines()[1:]}
    rss, pss = sizes["Rss"] * 1024 / 1e6, sizes["Pss"] * 1024 / 1e6
    for child in _children(pid):
        more = memory(child)
        rss, pss = rss + more[0], pss + more[1]
    return rss, pss


def await_ready(process: subprocess.Popen[bytes], url: str) -> float:
    """Poll until a URL answers 200; the time then (perf_counter). Unmeasured when the program ends before."""
    parts = urlsplit(url)
    deadline = time.perf_counter() + READY_WITHIN
    while time.perf_counter() < deadline:
        if process.poll() is not None:
            raise Unmeasured(f"the program ended with code {process.returncode}")
        if _is_ok(parts.hostname or "", parts.port or 80, parts.path):
            return time.perf_counter()
        time.sleep(0.005)
    raise Unmeasured(f"{parts.path} did not become 200 within {READY_WITHIN:.0f} s")


def _is_ok(host: str, port: int, path: str) -> bool:
    connection = HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _ticks(pid: int) -> float:
    # The name, in parentheses, may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    user, system, children_user, children_system = map(int, fields[11:15])
    return (user + system + children_user + children_system) / TICKS


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text("ascii").split()]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _last_words(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = errors.read().decode("utf-8", "replace").strip().splitlines()
    return f": {lines[-1]}" if lines else ""
