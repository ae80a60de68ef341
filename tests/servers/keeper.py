"""Keeps one server for a test process, and ends it when that process ends, however it did.

    python keeper.py FOLDER USER COMMAND [ARGUMENT ...]

Every line on standard input starts the command (again), and its process id is answered. When standard input is closed,
as the kernel does for who is gone, the server and all that came of it are ended, and the folder is removed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

POLITE: Final = 2.0
"""Seconds for an orderly end."""
LOG: Final = "server.log"


def main(folder: Path, user: str, command: Sequence[str]) -> None:
    """Serve the test process until it is gone."""
    server: subprocess.Popen[bytes] | None = None
    for _ in sys.stdin.buffer:
        if server is not None:
            end(server)
        server = start(folder, user, command)
        os.write(1, f"{server.pid}\n".encode())
    if server is not None:
        end(server)
    shutil.rmtree(folder, ignore_errors=True)


def start(folder: Path, user: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
    """The server in a session of its own, as somebody else where a user is named."""
    with (folder / LOG).open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
            **as_user(user),
        )


def as_user(user: str) -> dict[str, Any]:
    """What runs a program as `user`; nothing to do where the name is empty."""
    return {"user": user, "group": gid(user), "extra_groups": []} if user else {}


def gid(user: str) -> int:
    """The user's own group."""
    import pwd  # not above: few systems lack it, but those need no other user either

    return pwd.getpwnam(user).pw_gid


def end(server: subprocess.Popen[bytes]) -> None:
    """Politely first; frozen or not, in a moment it is gone with its children."""
    if server.poll() is None:
        tell([server.pid, *children(server.pid)], signal.SIGCONT)
        tell([server.pid], signal.SIGINT)  # to PostgreSQL: whoever is connected, end now
        with suppress(subprocess.TimeoutExpired):
            server.wait(POLITE)
    if server.poll() is None:
        tell([server.pid, *children(server.pid)], signal.SIGKILL)
    server.wait()


def tell(processes: Sequence[int], number: signal.Signals) -> None:
    """A signal for all of them that are still there."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


def children(parent: int) -> Iterator[int]:
    """The processes that this one started; PostgreSQL's make sessions of their own, so no group holds them."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                yield int(folder.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
