"""Verifiers as processes of their own, each given the same tokens: who accepted what, and when."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

from tests.stories.processes import Program, environ, start, until

ROOT = Path(__file__).parents[2]


class Verdict(NamedTuple):
    """What a verifier said of one token. `moment` is of `time.monotonic`."""

    number: int
    moment: float
    word: str
    detail: str


@dataclass
class Judge:
    """One verifier process. What is sent waits here where it is slow, so that nobody else waits for it."""

    kind: str
    program: Program
    verdicts: list[Verdict] = field(default_factory=list)
    frozen: bool = False
    sent: int = 0
    _line: int = 0
    _waiting: SimpleQueue[str | None] = field(default_factory=SimpleQueue)
    _writer: Thread | None = None

    def send(self, number: int, api: int, token: str) -> None:
        """Have it verify a token."""
        self.sent += 1
        self._waiting.put(f"{number} {api} {token}\n")

    def read(self) -> list[Verdict]:
        """What it has said since the last time."""
        lines = self.program.lines
        end = len(lines)
        new = [line.split(" ", 4) for line in lines[self._line : end] if line.startswith("= ")]
        self._line = end
        found = [Verdict(int(number), float(moment), word, detail) for _, number, moment, word, detail in new]
        self.verdicts += found
        return found

    def has_answered(self) -> bool:
        """Whether it has said something of everything."""
        self.read()
        return len(self.verdicts) >= self.sent

    def ask(self, api: int, token: str, within: float = 10.0) -> Verdict:
        """What it says of one token now. Nothing else may be under way."""
        until(self.has_answered, within)
        self.send(-1, api, token)
        until(self.has_answered, within, pause=0.002)
        return self.verdicts[-1]

    def freeze(self) -> None:
        """Stop it in the middle of whatever it does."""
        os.kill(self.program.pid, signal.SIGSTOP)
        self.frozen = True

    def wake(self) -> None:
        """Let it go on as if nothing had happened."""
        os.kill(self.program.pid, signal.SIGCONT)
        self.frozen = False

    def close(self) -> None:
        """End it."""
        if self.frozen:
            self.wake()
        self._waiting.put(None)
        self.program.stop()

    def _write(self) -> None:
        pipe = self.program.process.stdin
        assert pipe is not None
        while (line := self._waiting.get()) is not None:
            try:
                pipe.write(line)
                pipe.flush()
            except OSError:  # it has ended, and whoever waits for its verdicts is told so
                return


def judge(kind: str, settings: Mapping[str, Any]) -> Judge:
    """Start a verifier."""
    command = (sys.executable, "-m", "tests.stories.programs.judge", json.dumps(settings))
    one = Judge(kind, start(f"verifier ({kind})", command, environ(), ROOT))
    one._writer = Thread(target=one._write, daemon=True)
    one._writer.start()
    return one


@contextmanager
def asking(settings: Mapping[str, Any]) -> Iterator[Program]:
    """A process that asks for tokens until the block ends."""
    program = start("asker", (sys.executable, "-m", "tests.stories.programs.asker", json.dumps(settings)), cwd=ROOT)
    try:
        yield program
    finally:
        program.stop()
