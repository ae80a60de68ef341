"""Node's oidc-provider as the peer of the token endpoint: installed on demand, started like our own server."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench import node, processes
from bench.deployment import AUDIENCE, SCOPE
from bench.result import Unmeasured

FOLDER: Final = Path(__file__).parent / "peers" / "oidc-provider"
LIFETIME: Final = 900
"""Seconds that a token lives: the default of our server."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer that is running. `versions` names it and its runtime."""

    pid: int
    issuer: str
    token_endpoint: str
    jwks_uri: str
    client: tuple[str, str]
    versions: str
    refresh_tokens: tuple[str, ...]


@contextmanager
def served(core: int, people: int = 0) -> Iterator[Peer]:
    """The peer on one core until the end of the block, with a refresh token for each of so many people.

    Unmeasured where it cannot be had.
    """
    program = node.installed(FOLDER)
    client = ("bench", secrets.token_urlsafe(32))
    asked = {"audience": AUDIENCE, "scope": SCOPE, "people": people}
    settings = {"client_id": client[0], "client_secret": client[1], **asked}
    extra = {"NODE_ENV": "production", "PEER_SETTINGS": json.dumps({**settings, "lifetime": LIFETIME})}
    with processes.running([program, "server.js"], FOLDER, core, extra) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise Unmeasured("oidc-provider did not start")
        ready: dict[str, Any] = json.loads(line)
        yield Peer(
            process.pid,
            ready["issuer"],
            ready["token_endpoint"],
            ready["jwks_uri"],
            client,
            f"oidc-provider {node.version(FOLDER, 'oidc-provider')} on Node {ready['node']}",
            tuple(ready["refresh_tokens"]),
        )
