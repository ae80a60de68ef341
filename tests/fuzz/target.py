"""What is fuzzed: where inputs come from, what is called with them, and who judges the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from tests.fuzz.json_text import Native

UNUSABLE: Final = (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError)
"""What may go wrong when an input that may be anything is taken apart."""


class Violation(Exception):
    """The code under test did what it must never do; the message says what."""


@dataclass(frozen=True, slots=True)
class Target:
    """One door of the SDK. Everything here is a function of the input alone, so that a finding can be tried again."""

    name: str
    limit: int
    """Bytes of the longest input."""
    refusals: tuple[type[Exception], ...]
    """The only exceptions that may leave."""
    seeds: Callable[[], Iterable[bytes]]
    change: Callable[[bytes, Random, Native], bytes]
    """Another input near the given one, which may be anything. It knows how inputs are built, and signs again."""
    prepare: Callable[[bytes], Any]
    """Input to argument; neither timed nor judged."""
    call: Callable[[Any], Any]
    """The code under test: returns what it accepted, or raises. Timed."""
    judge: Callable[[Any, Any], str]
    """Argument and result to a name for the outcome; raises Violation. Asks programs that share nothing with ours."""
    budget_ms: Callable[[bytes], float]
    """Milliseconds of processor time that one call may take, measured without any engine."""
