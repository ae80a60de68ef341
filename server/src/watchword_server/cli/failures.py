"""Exit codes, and the one place where a failure becomes one."""

from __future__ import annotations

from enum import IntEnum

from watchword_server.flows.administration import Refused, Taken, Unknown
from watchword_server.flows.keyring import NoSigningKey
from watchword_server.ports import Busy, Conflict, KeyStoreError, Unavailable
from watchword_server.settings import SettingsError


class Code(IntEnum):
    """What the exit code of every command means."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    TAKEN = 4
    UNAVAILABLE = 5
    SILENT = 6


class Usage(Exception):
    """The command cannot be done like this; the message says how it can."""


class NotNow(Exception):
    """It cannot be done at this moment; the message says what stands in the way."""


# fmt: off
FAILURES: tuple[tuple[type[Exception], Code, str], ...] = (  # the first that fits decides
    (Usage,         Code.USAGE,       "usage"),
    (SettingsError, Code.USAGE,       "settings"),
    (KeyStoreError, Code.USAGE,       "master_key"),
    (Unknown,       Code.NOT_FOUND,   "not_found"),
    (Taken,         Code.TAKEN,       "taken"),
    (Conflict,      Code.TAKEN,       "conflict"),
    (Refused,       Code.FAILED,      "refused"),
    (NoSigningKey,  Code.FAILED,      "no_signing_key"),
    (Unavailable,   Code.UNAVAILABLE, "unavailable"),
    (Busy,          Code.UNAVAILABLE, "busy"),
    (UnicodeError,  Code.USAGE,       "usage"),
    (NotNow,        Code.UNAVAILABLE, "unavailable"),
    (OSError,       Code.FAILED,      "system"),
)
# fmt: on
EXPECTED = tuple(kind for kind, _, _ in FAILURES)

EXIT_CODES = (
    "Exit codes: 0 done; 1 refused or failed; 2 wrong usage or settings; 3 not found; 4 taken already; "
    "5 cannot be done now (database locked, port in use, issuer unreachable); "
    "6 done, but not every verifier has said so (--wait)."
)


def judged(error: Exception) -> tuple[Code, str]:
    """The exit code of an expected failure, and its name for programs."""
    return next((code, name) for kind, code, name in FAILURES if isinstance(error, kind))


def sentence(error: Exception) -> str:
    """What went wrong, for people."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, UnicodeError):
        return "what was given is not UTF-8 text"
    if isinstance(error, Conflict):
        return f"something else changed it meanwhile; try again ({error})"
    return str(error)
