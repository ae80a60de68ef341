"""Rounds of a storm: a token is shown to every verifier, revoked while they are asked about it, and watched on."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.soak.sights import Audience
from tests.soak.victims import BY_COMMAND, BY_REQUEST, OF_ALL, Cast, Victim, program_token

SHOWN_WITHIN = 3.0
"""Seconds in which whoever is able accepts a token that lives; who does not then takes no part in its round."""
SEEN_WITHIN = 2.0
"""Seconds for which a round waits to see it refused."""
LOOK = 0.02
"""Seconds between two looks at that: the verifiers' own clocks measure, not this."""
WAIT = 3.0
"""Seconds for which an answer may wait until verifiers have acknowledged."""
WAITING = 0.4
"""The share of the revocations whose answer waits."""


@dataclass
class Round:
    """One revocation. `asked` and `answered` are `time.monotonic` around the request."""

    number: int
    how: str
    victim: Victim
    asked: float = 0.0
    answered: float = 0.0
    document: Mapping[str, Any] = field(default_factory=dict)
    """What was answered."""

    @property
    def reach(self) -> Mapping[str, Any] | None:
        """At how many verifiers it was known, where that was asked for and told."""
        found = self.document.get("revocation") or {}
        verifiers: Mapping[str, Any] | None = found.get("verifiers")
        return verifiers

    @property
    def waited(self) -> bool:
        """Whether the answer waited, so that it tells nothing of delays."""
        return "revocation" in self.document


class Gate:
    """Many may be inside at once, or one alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._alone = False

    @contextmanager
    def shared(self) -> Iterator[None]:
        """With others."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """When everybody has left, and nobody enters meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._alone = True
            self._changed.wait_for(lambda: not self._inside)
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()


class Rounds:
    """Plays rounds on threads of its own until it is ended. `hold` is for how many seconds a dead token is watched."""

    def __init__(self, cast: Cast, audience: Audience, hold: float) -> None:
        self.played: list[Round] = []
        self.failures: list[str] = []
        self.bystanders: list[tuple[int, float, float]] = []
        """Numbers of tokens that lived from when they were shown until when they were about to be killed."""
        self._cast, self._audience, self._hold = cast, audience, hold
        self._numbers, self._gate = count(1), Gate()
        self._ended = threading.Event()
        self._drops: list[tuple[float, int]] = []
        self._threads: list[threading.Thread] = []

    def start(self, hands: int, masses: Mapping[float, str]) -> None:
        """Begin. `hands` revoke by requests; `masses` are moments (seconds from now) at which everything dies."""
        moments = {time.monotonic() + at: how for at, how in masses.items()}
        works: list[Callable[[Cast], None]] = [self._by_command, lambda cast: self._all(cast, moments), self._dropping]
        for work in [*(self._by_request for _ in range(hands)), *works]:
            self._threads.append(threading.Thread(target=self._guarded, args=(work,), daemon=True))
            self._threads[-1].start()

    def end(self) -> None:
        """Play no more; what is under way is played to its end, and every token is watched for as long as it must."""
        self._ended.set()
        for thread in self._threads:
            thread.join(self._hold + 90)

    def _guarded(self, work: Callable[[Cast], None]) -> None:
        try:
            work(self._cast.apart())
        except Exception as error:
            self.failures.append(f"{type(error).__name__}: {error}")
            raise

    def _by_request(self, cast: Cast) -> None:
        for turn in count(random.randrange(1000)):
            how = random.choice(tuple(BY_REQUEST))
            with self._gate.shared():
                self._play(how, BY_REQUEST[how](cast, turn))
            if self._ended.wait(random.uniform(0.1, 0.7)):
                return

    def _by_command(self, cast: Cast) -> None:
        for turn in count():
            how = tuple(BY_COMMAND)[turn % len(BY_COMMAND)]
            with self._gate.shared():
                self._play(how, BY_COMMAND[how](cast, turn))
            if self._ended.wait(random.uniform(1.5, 3.0)):
                return

    def _all(self, cast: Cast, masses: Mapping[float, str]) -> None:
        """A token lives until everything dies, and then the next one."""
        bystander = self._bystander(cast)
        for moment, how in sorted(masses.items()):
            if self._ended.wait(max(0.0, moment - time.monotonic())):
                return
            with self._gate.alone():
                self.bystanders.append((*bystander[:2], time.monotonic()))
                self._play(how, OF_ALL[how](cast, bystander[2]), bystander[0])
                bystander = self._bystander(cast)
        self._ended.wait()
        self.bystanders.append((*bystander[:2], time.monotonic()))
        self._drops.append((time.monotonic(), bystander[0]))

    def _bystander(self, cast: Cast) -> tuple[int, float, str]:
        number, token = next(self._numbers), program_token(cast, cast.program)
        self._audience.watch(number, token)
        return number, time.monotonic(), token

    def _play(self, how: str, victim: Victim, number: int | None = None) -> None:
        """Show it, unless it is shown already; revoke it; see that it is refused; watch it on."""
        if number is None:
            number = next(self._numbers)
            self._audience.watch(number, victim.token)
        able = self._audience.able(number)
        self._await(lambda: able <= self._audience.accepted_by(number), SHOWN_WITHIN)
        time.sleep(random.uniform(0.0, 0.05))
        played = Round(number, how, victim)
        wait = WAIT if random.random() < WAITING else None
        played.asked = time.monotonic()
        played.document = victim.act(wait)
        played.answered = time.monotonic()
        self.played.append(played)
        self._drops.append((played.answered + self._hold, number))
        self._await(lambda: self._audience.able(number) & able <= self._audience.refused_by(number), SEEN_WITHIN)

    def _dropping(self, cast: Cast) -> None:
        """Have what was watched for long enough forgotten; at the end, everything in its time."""
        while not (self._ended.wait(0.1) and not self._drops and not self._others()):
            now = time.monotonic()
            for drop in [each for each in self._drops if each[0] <= now]:
                self._audience.drop(drop[1])
                self._drops.remove(drop)
            if self._ended.is_set():
                time.sleep(0.05)

    def _others(self) -> bool:
        return any(thread.is_alive() for thread in self._threads if thread is not threading.current_thread())

    def _await(self, fact: Callable[[], bool], within: float) -> None:
        """Wait, but not for ever: what has not come by then shows in the figures."""
        deadline = time.monotonic() + within
        while not fact() and time.monotonic() < deadline:
            time.sleep(LOOK)
