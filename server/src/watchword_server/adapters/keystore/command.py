"""Master keys that a command prints, such as one that asks a vault.

It runs without a shell, with the environment of this process, in a process group of its own that is ended as a whole.
What it prints on standard output is a secret and in no message. Of its standard error a bounded piece is shown where it
fails, without anything that could be a key.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

from watchword_server.adapters.keystore.master import MasterKeys, parse
from watchword_server.adapters.keystore.masters import Unchanged
from watchword_server.ports import KeyStoreError

PATIENCE: Final = 10.0
"""Seconds in which it must have ended."""
PAUSE: Final = 5.0
"""Seconds between two runs, whatever they said."""
LONGEST: Final = 4096
"""Bytes that it may print."""
_GRACE: Final = 1.0
"""Seconds in which it must be gone when it was killed."""
_SHOWN: Final = 200
"""Characters of what it said on standard error."""
_COULD_BE_A_KEY: Final = re.compile(r"[A-Za-z0-9_-]{40,}=*|[A-Za-z0-9+/]{43}=")
_MEND: Final = "run it by hand, as the account that Watchword runs under, or correct `master_key_command`"


class MasterKeyCommand:
    """The command, as a source of master keys. `arguments` begin with the program."""

    kind: Final[Literal["command"]] = "command"
    pause: Final = PAUSE

    def __init__(self, arguments: Sequence[str], patience: float = PATIENCE) -> None:
        self._arguments = tuple(arguments)
        self._patience = patience

    @property
    def place(self) -> str:
        """The program; its arguments may be nobody's business."""
        return f"the command {self._arguments[0]}"

    def read(self) -> MasterKeys:
        """What it prints now: all of them, the newest first. Takes as long as it takes. Raises KeyStoreError."""
        ended = self._run()
        # Asked before it is decoded: what a decoder raises has the whole text in it.
        if ended.code == 0 and ended.printed.isascii() and len(ended.printed) <= LONGEST:
            return self._parsed(ended.printed.decode("ascii"))
        raise self._failure(ended.fate() + _quoted(ended.complaint))

    def _parsed(self, text: str) -> MasterKeys:
        if not text.strip():
            raise self._failure("printed nothing, where a master key is due")
        try:
            return parse(text)
        except KeyStoreError as error:
            raise self._failure(f"printed something else than master keys: {error}") from None

    def _run(self) -> Ended:
        try:
            process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it cannot be started"
            raise self._failure(f"cannot be run: {reason}") from None
        try:
            return _ended(process, time.monotonic() + self._patience)
        finally:
            _end(process)

    def renew(self) -> Unchanged:
        """Whoever looks after the command does it."""
        return Unchanged()

    def _failure(self, what: str) -> KeyStoreError:
        return KeyStoreError(f"{self.place}, which prints the master key, {what}; {_MEND}")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended. `code` is None where it had to be ended; negative for a signal."""

    code: int | None
    printed: bytes
    complaint: bytes

    def fate(self) -> str:
        """What went wrong, if anything did."""
        if len(self.printed) > LONGEST:
            return f"printed more than {LONGEST} bytes"
        if self.code is None:
            return "did not end in time"
        if self.code < 0:
            return f"was ended by signal {-self.code}"
        return f"ended with exit code {self.code}" if self.code else "printed something else than text"


def _ended(process: subprocess.Popen[bytes], deadline: float) -> Ended:
    """Read both pipes to their ends, as long as there is time and not too much in them."""
    printed, complaint = bytearray(), bytearray()
    with selectors.DefaultSelector() as pipes:
        for pipe, data in ((process.stdout, printed), (process.stderr, complaint)):
            if pipe is not None:
                pipes.register(pipe, selectors.EVENT_READ, data)
        while pipes.get_map() and len(printed) <= LONGEST and (left := deadline - time.monotonic()) > 0:
            for key, _ in pipes.select(left):
                part = os.read(key.fd, LONGEST)
                key.data.extend(part)
                if not part:
                    pipes.unregister(key.fileobj)
            del complaint[:-LONGEST]
        finished = not pipes.get_map()
    return Ended(_code(process, deadline) if finished else None, bytes(printed), bytes(complaint))


def _code(process: subprocess.Popen[bytes], deadline: float) -> int | None:
    try:
        return process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill it where it has not ended, with all that it has started; whoever cannot be killed is not waited for."""
    if process.returncode is None:  # so its number is nobody else's
        with suppress(OSError, subprocess.TimeoutExpired):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(_GRACE)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _quoted(complaint: bytes) -> str:
    """The end of what it complained of, on one line."""
    text = " ".join(complaint.decode("utf-8", "replace").split())
    safe = "".join(letter if letter.isprintable() else "?" for letter in _COULD_BE_A_KEY.sub("[...]", text))
    return f", saying: {safe[-_SHOWN:]}" if safe else ""
