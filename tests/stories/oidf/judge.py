"""Who decides: conditions by the names that the plans give them, and a record of those that were asserted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Concatenate, ParamSpec

P = ParamSpec("P")


class Failed(Exception):
    """A condition does not hold."""

    def __init__(self, condition: str, why: str) -> None:
        super().__init__(f"{condition}: {why}")
        self.condition = condition


class Wrong(Exception):
    """Why the condition at hand does not hold."""


@dataclass
class Judge:
    """What one run of one module has asserted so far, and which of the suite's steps it has made."""

    asserted: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)

    def did(self, *steps: str) -> None:
        """Record steps: what the suite lists among its conditions and asserts nothing."""
        self.made.update(steps)


def must(fact: object, why: str) -> None:
    """Within a condition: this has to be so."""
    if not fact:
        raise Wrong(why)


def condition(name: str) -> Callable[[Callable[P, None]], Callable[Concatenate[Judge, P], None]]:
    """A rule becomes the condition of this name: it is recorded, and Failed names it where it does not hold."""

    def named(rule: Callable[P, None]) -> Callable[Concatenate[Judge, P], None]:
        @wraps(rule)
        def asserted(judge: Judge, /, *args: P.args, **kwargs: P.kwargs) -> None:
            judge.asserted.add(name)
            try:
                rule(*args, **kwargs)
            except Wrong as error:
                raise Failed(name, str(error)) from None

        return asserted

    return named
