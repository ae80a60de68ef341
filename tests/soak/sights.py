"""Verifiers in processes of their own, and what each of them made of every token that it was shown."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from tests.servers.loopback import until
from tests.stories.processes import Program, environ, start

ROOT = Path(__file__).parents[2]
READY_WITHIN = 60.0
PUMP = 0.02
"""Seconds between two looks at what the processes said."""

Who = tuple[int, int]
"""A verifier: the number of its process, and its place in there. A process that was killed comes back as another."""


@dataclass
class Sight:
    """What one verifier made of one token; moments of `time.monotonic`, 0 for what has not happened."""

    first: float = 0.0
    accepted: float = 0.0
    """When the last call that accepted it, as far as this is known, began."""
    refused: float = 0.0
    seq: int = -1
    """What the verifier had read of the log before that last call."""
    between: int = 0
    """Calls lost between the last acceptance and the first refusal."""
    again: list[float] = field(default_factory=list)
    """When it accepted what it had refused."""
    calls: int = 0
    lost: int = 0
    undecided: int = 0


@dataclass
class Verifying:
    """One process of verifiers."""

    number: int
    name: str
    settings: Mapping[str, Any]
    program: Program
    began: float
    ended: float = float("inf")
    pauses: list[tuple[float, float]] = field(default_factory=list)
    """From SIGSTOP to SIGCONT; the last may be open."""
    _line: int = 0

    @property
    def frozen(self) -> bool:
        """Whether it stands still now."""
        return bool(self.pauses) and self.pauses[-1][1] == float("inf")

    @property
    def ready(self) -> bool:
        """Whether all of its verifiers were fresh once."""
        return "ready" in self.program.lines[:50]

    def freeze(self) -> None:
        """SIGSTOP."""
        os.kill(self.program.pid, signal.SIGSTOP)
        self.pauses.append((time.monotonic(), float("inf")))

    def wake(self) -> None:
        """SIGCONT."""
        began, _ = self.pauses.pop()
        self.pauses.append((began, time.monotonic()))
        os.kill(self.program.pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL."""
        self.program.kill()
        self.ended = time.monotonic()

    def tell(self, line: str) -> None:
        """One command; lost where the process is gone."""
        pipe = self.program.process.stdin
        assert pipe is not None
        with suppress(OSError, ValueError):
            pipe.write(line)
            pipe.flush()

    def news(self) -> list[str]:
        """What it said since the last time."""
        end = len(self.program.lines)
        new, self._line = self.program.lines[self._line : end], end
        return new


class Audience:
    """Every process of verifiers, and all that they said: `with Audience() as audience:`."""

    def __init__(self) -> None:
        self.processes: list[Verifying] = []
        self.sights: dict[int, dict[Who, Sight]] = defaultdict(dict)
        self.strange: list[str] = []
        """Lines that are no report."""
        self.logged: list[str] = []
        """What the SDK logged."""
        self._numbers = count()
        self._lock = Lock()
        self._shown: dict[int, set[int]] = defaultdict(set)
        self._ended = Event()
        self._pump = Thread(target=self._run, daemon=True)

    def __enter__(self) -> Audience:
        self._pump.start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in self.alive():
            if each.frozen:
                each.wake()
            each.program.stop()
        self._ended.set()
        self._pump.join(10)

    def alive(self) -> list[Verifying]:
        """Those that were not killed."""
        return [each for each in self.processes if each.ended == float("inf")]

    def add(self, name: str, settings: Mapping[str, Any]) -> Verifying:
        """Start another process; it is shown what comes under watch when it is ready."""
        with self._lock:
            number = next(self._numbers)
            given = json.dumps({**settings, "name": f"{name} {number}"})
            command = (sys.executable, "-m", "tests.soak.programs.verifiers", given)
            program = start(f"verifiers {name}", command, environ(), ROOT)
            self.processes.append(Verifying(number, name, settings, program, time.monotonic()))
            return self.processes[-1]

    def await_ready(self) -> None:
        """Until every verifier of every process is fresh."""
        until(lambda: all(each.ready or self._must_run(each) for each in self.alive()), READY_WITHIN)

    def watch(self, number: int, token: str) -> None:
        """Show a token to all that are ready and not frozen, or will be awake again."""
        for each in self.alive():
            if each.ready:
                self._shown[number].add(each.number)
                each.tell(f"watch {number} {token}\n")

    def drop(self, number: int) -> None:
        """Have everybody forget it, after a last word."""
        for each in self.alive():
            each.tell(f"drop {number}\n")

    def able(self, number: int) -> set[Who]:
        """The verifiers that were shown this token and can answer now."""
        awake = [each for each in self.alive() if each.number in self._shown[number] and not each.frozen]
        return {(each.number, place) for each in awake for place in range(each.settings["count"])}

    def process(self, who: Who) -> Verifying:
        """Of a verifier."""
        return self.processes[who[0]]

    def name(self, who: Who) -> str:
        """As operators of the issuer know it."""
        return f"{self.process(who).name} {who[0]}-{who[1]}"

    def accepted_by(self, number: int) -> set[Who]:
        """Who has accepted this token."""
        return {who for who, sight in dict(self.sights[number]).items() if sight.first}

    def refused_by(self, number: int) -> set[Who]:
        """Who has refused this token."""
        return {who for who, sight in dict(self.sights[number]).items() if sight.refused}

    def _must_run(self, process: Verifying) -> bool:
        code = process.program.process.poll()
        assert code is None, f"{process.name} ended with {code}:\n{process.program.said}"
        return False

    def _run(self) -> None:
        while not self._ended.wait(PUMP):
            self._read()
        self._read()

    def _read(self) -> None:
        for process in list(self.processes):
            for line in process.news():
                self._take(process, line)

    def _take(self, process: Verifying, line: str) -> None:
        match line.split():
            case ["+", number, place, moment]:
                sight = self._sight(process, number, place)
                sight.first = sight.accepted = float(moment)
            case ["-", number, place, accepted, refused, seq, between]:
                sight = self._sight(process, number, place)
                sight.accepted, sight.refused = float(accepted), float(refused)
                sight.seq, sight.between = int(seq), int(between)
            case ["!", number, place, moment]:
                self._sight(process, number, place).again.append(float(moment))
            case [".", number, place, accepted, seq, calls, lost, undecided]:
                sight = self._sight(process, number, place)
                sight.accepted, sight.seq = float(accepted), int(seq)
                sight.calls, sight.lost, sight.undecided = int(calls), int(lost), int(undecided)
            case ["~", *_]:
                self.logged.append(f"{process.name}: {line}")
            case ["ready"]:
                pass
            case _:
                self.strange.append(f"{process.name}: {line}")

    def _sight(self, process: Verifying, number: str, place: str) -> Sight:
        return self.sights[int(number)].setdefault((process.number, int(place)), Sight())


def crossing(began: float, ended: float, spans: Sequence[tuple[float, float]], after: float = 0.0) -> bool:
    """Whether an interval meets one of these, each of which lasts `after` seconds longer."""
    return any(start <= ended and began <= end + after for start, end in spans)
