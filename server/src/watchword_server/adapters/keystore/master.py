"""The master key: 32 random bytes as base64url, from a setting or from a file that only its owner can read."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from watchword.errors import Malformed
from watchword.jose.b64 import b64url, unb64url
from watchword_server.ports import KeyStoreError, Random

SIZE: Final = 32
"""Bytes."""
_LONGEST_FILE: Final = 1024
"""Bytes that are read of a file: more can be no key."""


def parse(text: str) -> bytes:
    """The master key from a setting. Raises KeyStoreError."""
    try:
        key = unb64url(text.strip())
    except Malformed as error:
        raise KeyStoreError("the master key must be base64url of 32 bytes, without padding") from error
    if len(key) != SIZE:
        raise KeyStoreError(f"the master key must be base64url of 32 bytes, not of {len(key)}")
    return key


def master_key(path: Path, *, create: bool, random: Random = secrets.token_bytes) -> bytes:
    """The master key from its file; a new deployment (`create`) makes it. Raises KeyStoreError."""
    try:
        return _read(path)
    except FileNotFoundError as error:
        if not create:
            raise KeyStoreError(
                f"the master key {path} is missing, and without it the signing keys in the database cannot be opened:"
                " restore it from your backup."
            ) from error
    except OSError as error:
        raise KeyStoreError(f"the master key {path} cannot be read: {error.strerror}") from error
    _create(path, b64url(random(SIZE)))
    return _read(path)


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if mode & 0o077:
            raise KeyStoreError(f"the master key {path} can be read by others (mode {mode:04o}): chmod 600 {path}")
        text = os.read(descriptor, _LONGEST_FILE)
    finally:
        os.close(descriptor)
    try:
        return parse(text.decode("ascii"))
    except (KeyStoreError, UnicodeDecodeError) as error:
        raise KeyStoreError(
            f"the master key {path} is damaged, it must be base64url of 32 bytes: restore it from your backup."
        ) from error


def _create(path: Path, text: str) -> None:
    """All of it or nothing, also when the power fails; another process that was faster wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, text.encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        _publish(draft, path)
    except OSError as error:
        raise KeyStoreError(f"the master key {path} cannot be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)


def _publish(draft: Path, path: Path) -> None:
    try:
        # Unlike a rename, a link never replaces what is there: a second key would lose all that the first has sealed.
        path.hardlink_to(draft)
    except FileExistsError:
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
