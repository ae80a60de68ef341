"""What strace saw of a process: system calls in the order in which they began and ended."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}
CALLS = "read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,pwritev,fsync,fdatasync"
_READS = frozenset(("read", "readv", "recvfrom", "recvmsg"))
_WRITES = frozenset(("write", "writev", "sendto", "sendmsg"))
_FILE_WRITES = frozenset(("write", "writev", "pwrite64", "pwritev"))
_SYNCS = frozenset(("fsync", "fdatasync"))
_LINE = re.compile(r"(?P<pid>\d+) +(?P<at>\d+\.\d+) (?P<what>.+)")
_WHOLE = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+).*")
_BEGUN = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)<unfinished \.\.\.>")
_ENDED = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<arguments>.*)\) += (?P<result>-?\d+).*")


@dataclass(frozen=True)
class Call:
    """One system call. `began` and `ended` are its places in the trace, `at` when it began (seconds)."""

    name: str
    arguments: str
    result: int
    began: int
    ended: int
    at: float

    def syncs(self, place: str) -> bool:
        """Whether it has put a file or folder on the disk."""
        return self.name in _SYNCS and self.result == 0 and f"<{place}>" in self.arguments

    def fills(self, file: str) -> bool:
        """Whether it has written to a file."""
        return self.name in _FILE_WRITES and self.result > 0 and f"<{file}>" in self.arguments

    def hears(self, port: int) -> bool:
        """Whether it has read bytes that came from that port."""
        return self.name in _READS and self.result > 0 and self._is_about(port)

    def answers(self, port: int) -> bool:
        """Whether it has sent bytes to that port."""
        return self.name in _WRITES and self.result > 0 and self._is_about(port)

    def _is_about(self, port: int) -> bool:
        return re.match(rf"\d+<TCP(v6)?:\[[^\]]*->[^\]]*:{port}\]>", self.arguments) is not None


def command(trace: Path) -> Sequence[str]:
    """strace before a program: it stands behind it (-D), so that the program stays our own child."""
    options = ("-D", "-f", "-yy", "-ttt", "-s", "16", "-e", f"trace={CALLS}", "-e", "signal=none", "-o", str(trace))
    return ("strace", *options)


def must_be_here() -> None:
    """Skip where there is no strace; in CI that is a failure."""
    if shutil.which("strace") is None:
        _give_up("strace is not installed: `apt-get install strace` (Debian, Ubuntu)")


def must_be_allowed(said: str) -> None:
    """Skip where strace may not trace, by what the program said; in CI that is a failure."""
    if "strace:" in said and "not permitted" in said:
        _give_up(f"strace may not trace here: give this container SYS_PTRACE, or see kernel.yama.ptrace_scope\n{said}")


def _give_up(sentence: str) -> None:
    if IN_CI:
        pytest.fail(sentence)
    pytest.skip(sentence)


def calls(trace: str) -> list[Call]:
    """Every call that has ended, in the order in which they began."""
    return sorted(_calls(trace.splitlines()), key=lambda call: call.began)


def _calls(lines: Sequence[str]) -> Iterator[Call]:
    begun: dict[str, tuple[str, str, int, float]] = {}
    for place, line in enumerate(lines):
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        pid, at, what = found["pid"], float(found["at"]), found["what"]
        if start := _BEGUN.fullmatch(what):
            begun[pid] = start["name"], start["arguments"], place, at
        elif end := _ENDED.fullmatch(what):
            name, arguments, began, at = begun.pop(pid)
            yield Call(name, arguments + end["arguments"], int(end["result"]), began, place, at)
        elif whole := _WHOLE.fullmatch(what):
            # One line: nothing else of this process came between its beginning and its end.
            yield Call(whole["name"], whole["arguments"], int(whole["result"]), place, place, at)
