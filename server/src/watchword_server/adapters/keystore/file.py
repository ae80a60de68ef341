"""Master keys in a file that only its owner can read."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
from pathlib import Path
from typing import Final, Literal

from watchword_server.adapters.keystore.master import SIZE, MasterKey, MasterKeys, parse, written
from watchword_server.ports import KeyStoreError, Random

_LONGEST: Final = 1024
"""Bytes of the file; more can be no keys."""


class MasterKeyFile:
    """The file, as a source of master keys; the only source that Watchword itself writes."""

    kind: Final[Literal["file"]] = "file"
    pause: Final = 0.0
    """Reading it costs nothing."""

    def __init__(self, path: Path, random: Random = secrets.token_bytes) -> None:
        self._path = path
        self._random = random

    @property
    def place(self) -> str:
        """Its path."""
        return str(self._path)

    def read(self) -> MasterKeys:
        """All of them, the newest first. Raises KeyStoreError."""
        try:
            text = _content(self._path)
        except FileNotFoundError as error:
            raise KeyStoreError(
                f"the master key {self._path} is missing, and without it the signing keys in the database cannot be"
                " opened: restore it from your backup"
            ) from error
        except OSError as error:
            raise KeyStoreError(f"the master key {self._path} cannot be read: {error.strerror}") from error
        try:
            # Asked before it is decoded: what a decoder raises has the whole text in it.
            if len(text) > _LONGEST or not text.isascii():
                raise KeyStoreError(f"it is no text of at most {_LONGEST} letters")
            return parse(text.decode("ascii"))
        except KeyStoreError as error:
            mend = "restore it from your backup"
            raise KeyStoreError(f"the master key {self._path} is damaged, {error}: {mend}") from error

    def create(self) -> None:
        """Make it, where it is not there: for a new deployment. Another process that was faster wins."""
        if self._path.exists():
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
            try:
                _write(draft, (self._fresh(),))
                # Unlike a rename, a link never replaces what is there: all that the first key has sealed would be lost.
                self._path.hardlink_to(draft)
                _settle(self._path.parent)
            except FileExistsError:
                return
            finally:
                draft.unlink(missing_ok=True)
        except OSError as error:
            raise KeyStoreError(f"the master key {self._path} cannot be written: {error.strerror}") from error

    def renew(self) -> Renewal:
        """Put a new key before what is there, unless a renewal was cut short that put one there already.

        Raises KeyStoreError, also while another process is at it.
        """
        lock = _locked(self._path.parent)
        try:
            given = self.read()
            resumed = len(given) > 1
            if not resumed:
                given = (self._fresh(), *given)
                _replace(self._path, given)
        except BaseException:
            os.close(lock)
            raise
        return Renewal(self, self._path, given[0], resumed, lock)

    def _fresh(self) -> MasterKey:
        return MasterKey.of(self._random(SIZE))


class Renewal:
    """One process at a time: between a new key beside the old ones, and the new one alone. Always to be closed."""

    def __init__(self, file: MasterKeyFile, path: Path, newest: MasterKey, resumed: bool, lock: int) -> None:
        self._file = file
        self._path = path
        self._newest = newest
        self._lock = lock
        self.resumed = resumed

    def complete(self) -> None:
        """Leave the newest alone: nothing is sealed under another any more. Raises KeyStoreError."""
        if self._file.read()[0] != self._newest:
            raise KeyStoreError(f"the master key {self._path} was changed by somebody else meanwhile: try again")
        _replace(self._path, (self._newest,))

    def close(self) -> None:
        """Let others renew."""
        os.close(self._lock)


def _content(path: Path) -> bytes:
    """At most one byte more than what can be keys. Raises OSError, KeyStoreError."""
    # Not blocking: what stands there may be a pipe that nobody writes to.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        facts = os.fstat(descriptor)
        mode = stat.S_IMODE(facts.st_mode)
        if not stat.S_ISREG(facts.st_mode):
            raise KeyStoreError(f"the master key {path} is not a file: restore it from your backup")
        if mode & 0o077:
            raise KeyStoreError(f"the master key {path} can be read by others (mode {mode:04o}): chmod 600 {path}")
        return os.read(descriptor, _LONGEST + 1)
    finally:
        os.close(descriptor)


def _locked(folder: Path) -> int:
    """A descriptor that no other process can have at the same time; the kernel takes it back from who is killed."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise KeyStoreError(f"the folder {folder} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise KeyStoreError("another process is changing the master key: wait until it has ended") from error
    return descriptor


def _replace(path: Path, keys: MasterKeys) -> None:
    """The old content or the new, whatever happens. Only under the lock. Raises KeyStoreError."""
    target = path.resolve()  # where a link stands, it stays
    draft = target.with_name(f".{target.name}.next")
    try:
        draft.unlink(missing_ok=True)  # of who was killed
        try:
            _write(draft, keys)
            _keep_owner(draft, target)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
        _settle(target.parent)
    except OSError as error:
        raise KeyStoreError(f"the master key {path} cannot be replaced: {error.strerror}") from error


def _write(draft: Path, keys: MasterKeys) -> None:
    """All of it, on the disk."""
    text = written(keys).encode("ascii")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if os.write(descriptor, text) < len(text):  # the last block of a disk
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _keep_owner(draft: Path, target: Path) -> None:
    """Who serves must still be able to read it when somebody else, such as root, has replaced it."""
    was = target.stat()
    if was.st_uid != os.geteuid():
        os.chown(draft, was.st_uid, was.st_gid)


def _settle(folder: Path) -> None:
    """The names in the folder, on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
