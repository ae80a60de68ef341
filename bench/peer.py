"""Node's oidc-provider as the peer of the token endpoint: installed on demand, started like our own server."""

from __future__ import annotations

import json
import os
import secrets
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from bench import node, processes
from bench.deployment import AUDIENCE, REDIRECT_URI, SCOPE
from bench.result import Unmeasured

FOLDER: Final = Path(__file__).parent / "peers" / "oidc-provider"
LIFETIME: Final = 900
"""Seconds that a token lives: the default of our server."""
Format = Literal["jwt", "opaque"]
Store = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer that is running. `versions` names it and its runtime."""

    pid: int
    issuer: str
    token_endpoint: str
    jwks_uri: str
    client: tuple[str, str]
    versions: str
    refresh_tokens: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()


@contextmanager
def served(core: int, people: int = 0) -> Iterator[Peer]:
    """The peer on one core until the end of the block, with a refresh token for each of so many people.

    Unmeasured where it cannot be had.
    """
    with _running("server.js", {"people": people}, core) as peer:
        yield peer


@contextmanager
def with_codes(core: int | None, people: int, challenge: str, format: Format, store: Store) -> Iterator[Peer]:
    """The peer with a code for each of so many people, to be redeemed for an access token of this format.

    `store` is where it keeps its models: `{"sqlite": path}`, `{"postgres": url}`, or in memory where it is empty. With
    `{"profile": path}` beside, what it did from `profile` on is there after the end. Unmeasured where it cannot be had.
    """
    asked = {"people": people, "challenge": challenge, "redirect_uri": REDIRECT_URI, "format": format, **store}
    with _running("codes.js", asked, core) as peer:
        yield peer


def profile(peer: Peer) -> None:
    """Begin to profile a peer with codes."""
    os.kill(peer.pid, signal.SIGUSR2)


@contextmanager
def _running(script: str, asked: Mapping[str, object], core: int | None) -> Iterator[Peer]:
    program = node.installed(FOLDER)
    client = ("bench", secrets.token_urlsafe(32))
    settings = {"client_id": client[0], "client_secret": client[1], "audience": AUDIENCE, "scope": SCOPE, **asked}
    extra = {"NODE_ENV": "production", "PEER_SETTINGS": json.dumps({**settings, "lifetime": LIFETIME})}
    with processes.running([program, script], FOLDER, core, extra) as process:
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
            tuple(ready.get("refresh_tokens", ())),
            tuple(ready.get("codes", ())),
        )
