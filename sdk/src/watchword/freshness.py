"""How old the knowledge of a verifier is, by the progress of signed time against its own two clocks.

A question with a nonce ties the issuer's clock to ours: its answer, signed at T0, is younger than the moment
the question was asked. A later message of signed time T was then made T - T0 after that moment, and never
after it arrived. So a stream that is delayed or played back ages, whatever it says. Both clocks count, and
the larger age decides: monotonic clocks stand still while a machine sleeps, wall clocks are set.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Literal

import msgspec

State = Literal["fresh", "stale", "blind", "starting", "offline"]

DRIFT: Final = 1e-3
"""What two clocks may lose against each other, per second since they were tied: twice the worst that NTP slews."""
PROMPT: Final = 1.0
"""Seconds: a slower answer ties the clocks too loosely to replace a tie that still serves."""
NEVER: Final = float("-inf")
EVER: Final = float("inf")


class Freshness(msgspec.Struct, frozen=True):
    """What a verifier knows, and how old that is.

    `state` is `fresh` (decides alone), `stale` (asks the issuer), `blind` (refuses to decide), `starting`
    (nothing known yet) or `offline` (fixed keys, no feed). `age` is in seconds, infinite while starting.
    `seq` and `log` say what was read last, `entries` how many revocations are held.
    """

    state: State
    age: float
    seq: int = 0
    log: str = ""
    entries: int = 0


class Contact(msgspec.Struct, frozen=True):
    """How following the issuer went so far in this process.

    `streams` counts how often the revocation stream was opened, `disbelieved` the messages that were refused,
    `acknowledgements` those that the issuer took; `acknowledged` is the `seq` of the last one. `verifier` and `name`
    are what the issuer knows this process by; empty without credentials.
    """

    streams: int = 0
    disbelieved: int = 0
    acknowledgements: int = 0
    acknowledged: int = 0
    verifier: str = ""
    name: str = ""


class Moment(msgspec.Struct, frozen=True, gc=False):
    """One moment on both clocks, in seconds."""

    monotonic: float
    wall: float

    def after(self, seconds: float) -> Moment:
        """This much later."""
        return Moment(self.monotonic + seconds, self.wall + seconds)

    def not_after(self, other: Moment) -> Moment:
        """The earlier of two, on each clock by itself."""
        return Moment(min(self.monotonic, other.monotonic), min(self.wall, other.wall))

    def is_later(self, other: Moment) -> bool:
        """Whether both clocks say so."""
        return self.monotonic > other.monotonic and self.wall > other.wall

    def age(self, now: Moment) -> float:
        """Seconds from here to `now`, by the clock that says more."""
        return max(now.monotonic - self.monotonic, now.wall - self.wall)


class Clocks(msgspec.Struct, frozen=True):
    """A machine's clocks, in seconds: one that only goes on, one that says what time it is."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time

    def now(self) -> Moment:
        """This moment."""
        return Moment(self.monotonic(), self.wall())


class Anchor(msgspec.Struct, frozen=True):
    """Ties the issuer's clock to ours: what it signed at `signed` (ms) was made at `asked` or later."""

    asked: Moment
    signed: int

    def made(self, signed: int, arrived: Moment) -> Moment:
        """The moment at which a message of signed time `signed` was made, rather too early than too late."""
        return self.asked.after((signed - self.signed) / 1000).not_after(arrived)


DAWN: Final = Moment(NEVER, NEVER)


class Progress:
    """The newest proof of how the log stood. One thread notes, any number ask.

    `fresh_monotonic` and `fresh_wall` are the readings of the clocks at which the age reaches `stale_after`
    (seconds) when nothing more is heard: what a verifier looks at for every token.
    """

    __slots__ = ("_stale_after", "anchor", "fresh_monotonic", "fresh_wall", "newest")

    def __init__(self, stale_after: float) -> None:
        self.anchor: Anchor | None = None
        self.newest = DAWN
        """When the newest message that was applied had been made."""
        self.fresh_monotonic = NEVER
        self.fresh_wall = NEVER
        self._stale_after = stale_after

    def answered(self, asked: Moment, signed: int, arrived: Moment, is_newest: bool = True) -> bool:
        """An answer to the question of moment `asked` was applied. Whether it ties the clocks anew.

        `is_newest` says that nothing later is known, for example from another node of the issuer.
        """
        if self.anchor and asked.age(arrived) > PROMPT and not asked.is_later(self.newest):
            return False
        self.anchor = Anchor(asked, signed)
        if is_newest:
            self.newest = asked
        self.reckon(arrived)
        return True

    def heard(self, signed: int, arrived: Moment) -> Moment:
        """A message that nobody asked for was applied; returns when it was made: never, without an anchor."""
        if self.anchor is None:
            return DAWN
        made = self.anchor.made(signed, arrived)
        if made.is_later(self.newest):
            self.newest = made
            self.reckon(arrived)
        return made

    def age(self, now: Moment) -> float:
        """Seconds since the newest message was made; infinite before the first answer."""
        return max(0.0, self.newest.age(now)) + self._drift(now)

    def reckon(self, now: Moment) -> None:
        """Work out how long the knowledge stays fresh."""
        until = self.newest.after(self._stale_after - self._drift(now))
        self.fresh_wall, self.fresh_monotonic = until.wall, until.monotonic

    def shut(self) -> None:
        """Let nobody decide by `fresh_monotonic` and `fresh_wall` until the next `reckon`."""
        self.fresh_wall = self.fresh_monotonic = NEVER

    def _drift(self, now: Moment) -> float:
        return DRIFT * max(0.0, self.anchor.asked.age(now)) if self.anchor else 0.0


def offline() -> Progress:
    """For fixed keys: there is no feed that could be old."""
    progress = Progress(EVER)
    progress.newest = Moment(EVER, EVER)
    progress.fresh_monotonic = progress.fresh_wall = EVER
    return progress
