"""Runs a module as a program that ends when its parent does, however that one died.

The parent holds the other end of standard input and never writes. When the kernel closes it, this process ends
itself: politely first, and for certain a little later.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time
from typing import Final

POLITE: Final = 5
"""Seconds for an orderly end."""


def main() -> None:
    """`python -m watchword_server.demo.tether MODULE [ARGUMENT ...]`."""
    threading.Thread(target=_watch, args=(os.dup(0),), name="tether", daemon=True).start()
    _, module, *arguments = sys.argv
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _watch(parent: int) -> None:
    while os.read(parent, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(POLITE)
    os._exit(1)


if __name__ == "__main__":
    main()
