"""Verifiers of one process, each asked every few milliseconds about every token under watch, as an API is by requests:
one alone by a thread, several as tasks of a loop.

One JSON object as the argument: `issuer`, `audience`, `credentials`, `stale_after`, `refuse_after` (seconds), `count`
(verifiers), `probing` (how many of them are asked every PAUSE; the others every RARELY), `name`. On standard input:

    watch NUMBER TOKEN      ask about this token from now on
    drop NUMBER             and no more

On standard output, with moments of `time.monotonic` and VERIFIER counting from 0:

    ready                                          every verifier is fresh
    + NUMBER VERIFIER MOMENT                       accepted for the first time
    - NUMBER VERIFIER ACCEPTED REFUSED SEQ LOST    refused for the first time; ACCEPTED: when the last call that
                                                   accepted it began, and SEQ what the verifier had read before that
                                                   call; LOST: calls that should have been made in between, and were not
    ! NUMBER VERIFIER MOMENT                       accepted after it was refused
    . NUMBER VERIFIER ACCEPTED SEQ CALLS LOST UNDECIDED   dropped; the last acceptance (0: none) and what it took
    ~ WORDS                                        what the SDK logs

Ends with standard input.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import uvloop

from watchword import CannotDecide, InvalidToken, Verifier

PAUSE: Final = 0.005
RARELY: Final = 0.1
NOW_AND_THEN: Final = 0.5
"""Seconds between two calls for a token: at a verifier that is probed, at the others, and when it is dead for long."""
MILLISECOND: Final = 0.001
SETTLED: Final = 1.0
"""Seconds after its refusal from which on a token is dead for long."""


@dataclass
class Watched:
    """A token under watch at one verifier."""

    number: int
    token: str
    every: float
    due: float
    asked: float = 0.0
    accepted: float = 0.0
    refused: float = 0.0
    seq: int = 0
    calls: int = 0
    lost: int = 0
    between: int = 0
    """Calls lost since the last acceptance."""
    undecided: int = 0

    def take_turn(self, now: float) -> None:
        """A call is made now; those that should have been made before are lost."""
        missed = int((now - self.due) / self.every)
        self.lost += missed
        self.between += missed
        self.due += (missed + 1) * self.every
        self.asked = now
        self.calls += 1


@dataclass
class Probed:
    """One verifier and what it is asked about."""

    place: int
    verifier: Verifier
    every: float
    watched: dict[int, Watched] = field(default_factory=dict)
    looked: float = 0.0
    seq: int = 0

    def due(self) -> Iterator[Watched]:
        """Every token whose turn it is, at the moment of its turn."""
        for one in tuple(self.watched.values()):
            if (now := time.monotonic()) >= one.due:
                one.take_turn(now)
                yield one

    async def ask(self, one: Watched) -> None:
        """One call, as a task makes it."""
        now, seq = one.asked, self._seq(one.asked)
        try:
            await self.verifier.verify(one.token)
        except (InvalidToken, CannotDecide) as error:
            self._not_accepted(one, now, error)
        else:
            self._accepted(one, now, seq)

    def ask_sync(self, one: Watched) -> None:
        """One call, as a thread makes it."""
        now, seq = one.asked, self._seq(one.asked)
        try:
            self.verifier.verify_sync(one.token)
        except (InvalidToken, CannotDecide) as error:
            self._not_accepted(one, now, error)
        else:
            self._accepted(one, now, seq)

    def _seq(self, now: float) -> int:
        """What the verifier has read, as of the last millisecond: to ask costs more than the call it stands before."""
        if now - self.looked > MILLISECOND:
            self.looked, self.seq = now, self.verifier.freshness.seq
        return self.seq

    def _not_accepted(self, one: Watched, now: float, error: InvalidToken | CannotDecide) -> None:
        if isinstance(error, InvalidToken):
            self._refused(one, now)
        else:
            one.undecided += 1

    def _accepted(self, one: Watched, now: float, seq: int) -> None:
        if one.refused:
            say(f"! {one.number} {self.place} {now:.6f}")
        elif not one.accepted:
            say(f"+ {one.number} {self.place} {now:.6f}")
        one.accepted, one.seq, one.between = now, seq, 0

    def _refused(self, one: Watched, now: float) -> None:
        if not one.refused:
            one.refused = now
            say(f"- {one.number} {self.place} {one.accepted:.6f} {now:.6f} {one.seq} {one.between}")
        if now - one.refused > SETTLED:
            one.every = NOW_AND_THEN

    def watch(self, number: int, token: str) -> None:
        """Ask about it from now on."""
        self.watched[number] = Watched(number, token, self.every, time.monotonic())

    def drop(self, number: int) -> None:
        """And no more."""
        one = self.watched.pop(number, None)
        if one is not None:
            say(f". {number} {self.place} {one.accepted:.6f} {one.seq} {one.calls} {one.lost} {one.undecided}")


async def ask_as_tasks(all_of_them: Sequence[Probed], ended: threading.Event) -> None:
    """Ask these until it is enough, each kind as a task."""
    async with asyncio.TaskGroup() as tasks:
        for every in {each.every for each in all_of_them}:
            tasks.create_task(_ask_as_task([each for each in all_of_them if each.every == every], every, ended))


async def _ask_as_task(group: Sequence[Probed], every: float, ended: threading.Event) -> None:
    due = time.monotonic()
    while not ended.is_set():
        due = max(due + every, time.monotonic())
        await asyncio.sleep(due - time.monotonic())
        for probed in group:
            for one in probed.due():
                await probed.ask(one)
        flush()


def ask_in_thread(probed: Probed, ended: threading.Event) -> None:
    """Ask this one until it is enough. A thread that sleeps costs a third of a loop that does."""
    due = time.monotonic()
    while not ended.is_set():
        due = max(due + probed.every, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))
        for one in probed.due():
            probed.ask_sync(one)
        flush()


_said: Final[deque[str]] = deque()


def say(line: str) -> None:
    """One line, which leaves with the others of its turn: whoever writes gives the interpreter's lock away."""
    _said.append(line)


def flush() -> None:
    """Have all that was said leave, whole lines, whoever reads them."""
    if lines := [_said.popleft() for _ in range(len(_said))]:
        os.write(1, "".join(f"{line}\n" for line in lines).encode())


class Said(logging.Handler):
    """What the SDK logs is said like everything else."""

    def emit(self, record: logging.LogRecord) -> None:
        """One record on one line."""
        say("~ " + record.getMessage().replace("\n", " "))


def obey(line: str, all_of_them: Sequence[Probed]) -> None:
    """Carry out one command."""
    match line.split():
        case ["watch", number, token]:
            for probed in all_of_them:
                probed.watch(int(number), token)
        case ["drop", number]:
            for probed in all_of_them:
                probed.drop(int(number))


def made(settings: Mapping[str, Any], place: int) -> Verifier:
    """One verifier, as an API makes it."""
    return Verifier(
        issuer=settings["issuer"],
        audience=settings["audience"],
        credentials=tuple(settings["credentials"]),
        stale_after=timedelta(seconds=settings["stale_after"]),
        refuse_after=timedelta(seconds=settings["refuse_after"]),
        name=f"{settings['name']}-{place}",
    )


def listen(all_of_them: Sequence[Probed], ended: threading.Event) -> None:
    """Obey standard input until it ends."""
    for line in sys.stdin:
        obey(line, all_of_them)
    ended.set()


def main(settings: Mapping[str, Any]) -> None:
    """Until standard input ends."""
    ended = threading.Event()
    with ExitStack() as stack:
        found = [
            Probed(place, stack.enter_context(made(settings, place)), PAUSE if place < settings["probing"] else RARELY)
            for place in range(settings["count"])
        ]
        while not all(each.verifier.freshness.state == "fresh" for each in found):
            time.sleep(0.02)
        say("ready")
        flush()
        threading.Thread(target=listen, args=(found, ended), daemon=True).start()
        if len(found) == 1:
            ask_in_thread(found[0], ended)
        else:
            uvloop.run(ask_as_tasks(found, ended))


if __name__ == "__main__":
    logging.basicConfig(handlers=[Said()], level=logging.WARNING)
    main(json.loads(sys.argv[1]))
