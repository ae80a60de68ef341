"""Promotes, and is killed at one moment: before or after a step of either side is done.

Arguments: file, URL, `before` or `after`, the step (`Origin.cut`, `Destination.commit`, ...).
"""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.promote.promoting import task
from watchword_server.adapters.sql.promote.destination import Destination
from watchword_server.adapters.sql.promote.origin import Origin
from watchword_server.adapters.sql.promote.promotion import promote


def dying(step: Callable[..., Any], when: str) -> Callable[..., Any]:
    """The step, and SIGKILL for this process before or after it."""

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    async def awaited(*arguments: Any) -> Any:
        if when == "after":
            await step(*arguments)
        die()

    def called(*arguments: Any) -> Any:
        if when == "after":
            step(*arguments)
        die()

    return awaited if inspect.iscoroutinefunction(step) else called


def main(path: str, url: str, when: str, name: str) -> None:
    """Until it is dead."""
    side, _, step = name.partition(".")
    owner = {"Origin": Origin, "Destination": Destination}[side]
    setattr(owner, step, dying(getattr(owner, step), when))
    asyncio.run(promote(task(Path(path), url)))


if __name__ == "__main__":
    main(*sys.argv[1:])
