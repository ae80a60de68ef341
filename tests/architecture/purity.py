"""What a pure room may not do, seen in its source. It closes what import-linter cannot see.

import-linter forbids by name; this lets in only what is listed, and looks inside the functions.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOMS: Final = (
    "sdk/src/watchword/client_tokens.py",
    "sdk/src/watchword/dpop.py",
    "sdk/src/watchword/errors.py",
    "sdk/src/watchword/jose",
    "sdk/src/watchword/log.py",
    "sdk/src/watchword/policy.py",
    "sdk/src/watchword/revocations.py",
    "server/src/watchword_server/people",
    "server/src/watchword_server/protocol",
    "server/src/watchword_server/revocation",
)

PURE_PACKAGES: Final = frozenset({"cryptography", "joserfc", "msgspec", "watchword", "watchword_server"})
"""With all they contain; which of our own rooms may know which is import-linter's to say."""

# fmt: off
PURE_MODULES: Final = frozenset({
    "__future__", "abc", "base64", "binascii", "bisect", "collections", "collections.abc", "dataclasses", "datetime",
    "enum", "functools", "hashlib", "heapq", "hmac", "ipaddress", "itertools", "json", "math", "operator", "re",
    "string", "struct", "types", "typing", "unicodedata", "urllib.parse", "zlib",
})
# fmt: on

IMPURE_BUILTINS: Final = frozenset({"__import__", "breakpoint", "eval", "exec", "input", "open", "print"})

CLOCKS: Final = frozenset({"now", "today", "utcnow"})
"""The attributes of `datetime` and `date` that read one."""


def sources(root: Path) -> Iterator[Path]:
    """Every module of every pure room; a room that is missing is an error, not a pass."""
    for room in (root / name for name in ROOMS):
        if not room.exists():
            raise FileNotFoundError(f"no such room: {room.relative_to(root)}")
        yield from sorted(room.rglob("*.py")) if room.is_dir() else (room,)


def impurities(source: str) -> list[str]:
    """What a pure module must not do, each as `line: what`."""
    return [
        f"{getattr(node, 'lineno', 0)}: {fault}" for node in ast.walk(_parsed(source)) if (fault := _impurity(node))
    ]


def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SystemError:  # CPython 3.11 counts the depth of all threads together, and then finds it wrong (gh-106905)
        return ast.parse(source)


def _impurity(node: ast.AST) -> str | None:
    match node:
        case ast.AsyncFunctionDef(name=name):
            return f"async def {name}"
        case ast.Import(names=names):
            return next((f"import {name.name}" for name in names if not _pure(name.name)), None)
        case ast.ImportFrom(module=module) if not _pure(module or ""):
            return f"from {module} import"
        case ast.Name(id=name) if name in IMPURE_BUILTINS:
            return name
        case ast.Attribute(attr=name) if name in CLOCKS:
            return f".{name}"
        case _:
            return None


def _pure(module: str) -> bool:
    return module in PURE_MODULES or module.partition(".")[0] in PURE_PACKAGES
