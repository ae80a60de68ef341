"""A server's process as a test holds it: frozen, woken, killed, started again, and gone at the end."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.servers.keeper import LOG, children, gid, tell

NOBODY: Final = "nobody"
"""Whom a server runs as where the tests run as root: PostgreSQL refuses to be root."""
GONE_WITHIN: Final = 30.0
"""Seconds."""


def user() -> str:
    """Whom servers run as; empty where that is who runs the tests."""
    return NOBODY if os.geteuid() == 0 else ""


@contextmanager
def folder(where: Path | None = None) -> Iterator[Path]:
    """A folder of the servers' user below `where`, or else among the temporary ones; removed at the end."""
    made = Path(tempfile.mkdtemp(prefix="watchword-server-", dir=where))
    try:
        if user():
            os.chown(made, *account())
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def account() -> tuple[int, int]:
    """The numbers of the servers' user and group."""
    import pwd

    return pwd.getpwnam(user()).pw_uid, gid(user())


class Running:
    """One server, kept by `keeper.py`: it ends with this process."""

    def __init__(self, where: Path, command: Sequence[str], user: str) -> None:
        self.log_file = where / LOG
        arguments = [sys.executable, "-I", "-S", str(Path(__file__).with_name("keeper.py")), str(where), user]
        # In a session of its own: what ends a test run by its group must leave somebody to clean up.
        self._keeper = subprocess.Popen(
            [*arguments, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self.pid = 0

    @property
    def log(self) -> str:
        """What it said so far."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def start(self) -> None:
        """Start it, or start it again; the caller waits until it answers."""
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        self._keeper.stdin.write(b"start\n")
        self._keeper.stdin.flush()
        answer = self._keeper.stdout.readline()
        assert answer, "the server could not be started: its keeper's words stand above"
        self.pid = int(answer)

    @property
    def alive(self) -> bool:
        """Whether the process is there and is no zombie."""
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state not in "ZX"

    def freeze(self) -> None:
        """SIGSTOP for it and all of its children: it holds its connections and answers nobody."""
        tell([self.pid], signal.SIGSTOP)
        tell(list(children(self.pid)), signal.SIGSTOP)  # who starts them stands still already

    def thaw(self) -> None:
        """SIGCONT."""
        tell([*children(self.pid), self.pid], signal.SIGCONT)

    def kill(self) -> None:
        """As a power cut would: SIGKILL for all of them, and they are gone when this returns."""
        tell([self.pid], signal.SIGSTOP)
        family = [self.pid, *children(self.pid)]
        tell(family, signal.SIGKILL)
        for process in family:
            _await_end(process)

    def close(self) -> None:
        """End it; its folder goes too."""
        with suppress(BrokenPipeError):
            self._keeper.communicate(timeout=GONE_WITHIN)


def _await_end(process: int) -> None:
    """Until it has ended, also where it is a zombie that its parent has not asked for."""
    with suppress(ProcessLookupError):
        waiter = os.pidfd_open(process)
        try:
            assert select.select([waiter], [], [], GONE_WITHIN)[0], f"process {process} did not end by SIGKILL"
        finally:
            os.close(waiter)
