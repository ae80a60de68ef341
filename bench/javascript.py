"""Node's `jose`, `fast-jwt` and `jsonwebtoken`: contestants in another process, which is told when it is their turn."""

from __future__ import annotations

import subprocess
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from bench import node, processes
from bench.lines import ask
from bench.material import Material
from bench.tokens import AUDIENCE, ISSUER, TYPE

FOLDER: Final = Path(__file__).parent / "peers" / "tokens"
LIBRARIES: Final = ("jose", "fast-jwt", "jsonwebtoken")
LACKS: Final = {"jsonwebtoken": frozenset(("EdDSA",))}
WARM_UP: Final = 300
"""Milliseconds of each library at each task before the first round: its compiler has to have seen the work."""

Operation = Literal["verify", "sign"]


@dataclass(frozen=True, slots=True)
class Javascript:
    """The libraries, ready for orders. `versions` has theirs and Node's by name."""

    process: subprocess.Popen[bytes]
    versions: dict[str, str]

    def prepare(self, operation: Operation, key: Material, given: Sequence[Any]) -> tuple[str, ...]:
        """Set up who knows the algorithm to do one thing with everything in `given`; their names."""
        names = tuple(name for name in LIBRARIES if key.alg not in LACKS.get(name, ()))
        task = {"operation": operation, "alg": key.alg, "kid": key.kid, "keys": _keys(key), "libraries": names}
        terms = {"issuer": ISSUER, "audience": AUDIENCE, "typ": TYPE}
        ask(self.process, "prepare", **task, **terms, given=given)
        for name in names:
            ask(self.process, "warm", library=name, milliseconds=WARM_UP)
        return names

    def turn(self, library: str) -> list[float]:
        """Microseconds for each of what was given."""
        times: list[float] = ask(self.process, "turn", library=library)["times"]
        return times

    def attempt(self, library: str, one: Any) -> str | None:
        """What comes of one token or one set of claims, unmeasured: a token, `accepted`, or None for a refusal."""
        result: str | None = ask(self.process, "try", library=library, one=one).get("result")
        return result


@contextmanager
def running() -> Iterator[Javascript]:
    """The libraries until the end of the block. Unmeasured where they cannot be had."""
    program = node.installed(FOLDER)
    with processes.running([program, "turns.js"], FOLDER, extra={"NODE_ENV": "production"}) as process:
        found = {name: node.version(FOLDER, name) for name in LIBRARIES}
        yield Javascript(process, {**found, "Node": ask(process, "versions")["node"]})


def _keys(key: Material) -> dict[str, str]:
    if key.kty == "oct":
        return {"secret": b64encode(key.private).decode()}
    return {"private": key.private_pem.decode(), "public": key.public_pem.decode()}
