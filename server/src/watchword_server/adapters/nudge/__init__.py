"""One byte to every other process on the same data folder: look at the database now.

Nothing depends on its arrival: who listens also polls. The byte says nothing, so anybody may send it.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

PATTERN: Final = "nudge-*.sock"
_LONGEST: Final = 100
"""Bytes of a socket's path: the kernel takes 108, some take 104, with the zero at the end."""


def send(folder: Path) -> None:
    """Nudge whoever listens. Never waits and never fails; sockets of processes that are gone are removed."""
    with suppress(OSError), _reachable(folder) as near, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        for path in folder.glob(PATTERN):
            try:
                sender.sendto(b"!", str(near / path.name))
            except ConnectionRefusedError:
                if path.is_socket():
                    path.unlink(missing_ok=True)
            except OSError:
                continue  # a full socket is nudged already


class Listener:
    """Calls back on the running event loop for each nudge, or once for many. Raises OSError where it cannot."""

    def __init__(self, folder: Path, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._path = folder / f"nudge-{os.getpid()}-{secrets.token_hex(4)}.sock"
        self._socket = _bound(self._path)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._read)

    def close(self) -> None:
        """Stop listening and remove the socket."""
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _read(self) -> None:
        with suppress(OSError):  # until there is no more
            while True:
                self._socket.recv(1)
        self._callback()


def _bound(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        listener.setblocking(False)
        with _reachable(path.parent) as near:
            os.fchmod(listener.fileno(), 0o600)  # before it has a name: then nobody else ever reaches it
            listener.bind(str(near / path.name))
        path.chmod(0o600)
    except OSError:
        listener.close()
        raise
    return listener


@contextmanager
def _reachable(folder: Path) -> Iterator[Path]:
    """The folder under a name that is short enough for a socket's address: its own, or by an open descriptor."""
    if len(os.fsencode(folder)) + len("/nudge-4194304-00000000.sock") <= _LONGEST:
        yield folder
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
