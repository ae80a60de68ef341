"""Kills nodes, and kills, freezes and wakes verifiers, at random, until it is ended."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from tests.soak.nodes import Node
from tests.soak.sights import Audience, Verifying

ROUGH, CALM = 50.0, 50.0
"""Seconds for which verifiers are troubled, and then left alone: until the leases of the dead have ended, so that all
who are known acknowledge for a while.
"""
STEP = 0.1
"""Seconds between two looks at who is to be woken."""


class Chaos:
    """Node `kill -9` every `nodes_every` seconds on average, and something for a verifier every `verifiers_every`.

    A verifier is frozen for between a moment and `longest` seconds, the short ones more often.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        audience: Audience,
        victims: Sequence[Verifying],
        nodes_every: float,
        verifiers_every: float,
        longest: float,
    ) -> None:
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self._nodes, self._audience, self._victims = nodes, audience, list(victims)
        self._nodes_every, self._verifiers_every, self._longest = nodes_every, verifiers_every, longest
        self._turns: list[tuple[int, str]] = []
        self._sleeping: dict[int, float] = {}
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=(self._kill_nodes,), daemon=True),
            threading.Thread(target=self._guarded, args=(self._trouble_verifiers,), daemon=True),
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """No more of it: everybody is awake when this returns, and every node is up."""
        self._ended.set()
        for thread in self._threads:
            thread.join(90)
        for each in self._audience.alive():
            if each.frozen:
                each.wake()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self.failures.append(f"{type(error).__name__}: {error}")
            raise

    def _kill_nodes(self) -> None:
        while not self._ended.wait(self._nodes_every * random.uniform(0.5, 1.5)):
            random.choice(self._nodes).crash()
            self.done["nodes killed"] += 1

    def _trouble_verifiers(self) -> None:
        """Every one is killed and frozen in turn, in an order by chance; whoever sleeps is woken in time."""
        began = time.monotonic()
        while not self._ended.wait(STEP):
            now = time.monotonic()
            self._wake(now)
            is_calm = (now - began) % (ROUGH + CALM) >= ROUGH
            if not is_calm and random.random() < STEP / self._verifiers_every:
                self._trouble(*self._next())

    def _next(self) -> tuple[int, str]:
        if not self._turns:
            acts = ("freeze", "freeze", "kill")
            self._turns = [(place, what) for place in range(len(self._victims)) for what in acts]
            random.shuffle(self._turns)
        return self._turns.pop()

    def _trouble(self, place: int, what: str) -> None:
        one = self._victims[place]
        if one.frozen or not one.ready:
            return
        if what == "freeze":
            self._sleeping[place] = time.monotonic() + self._longest * random.random() ** 3
            one.freeze()
        else:
            one.kill()
            self._victims[place] = self._audience.add(one.name, one.settings)
        self.done[{"freeze": "verifiers frozen", "kill": "verifiers killed"}[what]] += 1

    def _wake(self, now: float) -> None:
        for place in [place for place, until in self._sleeping.items() if until <= now]:
            self._victims[place].wake()
            del self._sleeping[place]
