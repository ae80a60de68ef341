"""What is going on, on standard error: a benchmark that is silent for a minute looks hung."""

from __future__ import annotations

import sys
from collections.abc import Callable


def say(text: str) -> None:
    """One line of progress."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def counter(what: str, total: int) -> Callable[[int], None]:
    """A function that says every fifth of `total` how far it is."""
    step = max(total // 5, 1)

    def tell(done: int) -> None:
        if done and done % step == 0:
            say(f"{what}: {done} of {total} rounds")

    return tell
