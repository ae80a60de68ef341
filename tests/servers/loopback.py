"""Free ports for servers on loopback, and waiting until a server has come."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any


def free_ports(count: int = 1) -> list[int]:
    """Neighbouring loopback ports on which nobody listens.

    Below those that the kernel gives to outgoing connections: one of them would be taken before it is used.
    """
    for _ in range(100):
        first = random.randrange(15_000, 32_000)
        ports = list(range(first, first + count))
        with ExitStack() as stack, suppress(OSError):
            for port in ports:
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return ports
    raise RuntimeError("no free ports")


def until(fact: Callable[[], Any], within: float = 5.0, pause: float = 0.01) -> float:
    """Wait for a fact; how many seconds it took. AssertionError when it does not come."""
    start = time.monotonic()
    while not fact():
        assert time.monotonic() - start < within, f"not within {within} s: {fact}"
        time.sleep(pause)
    return time.monotonic() - start
