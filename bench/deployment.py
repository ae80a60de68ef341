"""A Watchword issuer for the benchmark: a fresh deployment, set up and served by the `watchword` command."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench import processes
from bench.result import Unmeasured

WATCHWORD: Final = str(Path(sys.executable).with_name("watchword"))
AUDIENCE: Final = "https://api.example.com"
SCOPE: Final = "orders:read"
REDIRECT_URI: Final = "https://app.example.com/back"


@dataclass(frozen=True, slots=True)
class Deployment:
    """An issuer that is set up and not running; its folder holds settings and data. Pairs are (client_id, secret)."""

    folder: Path
    issuer: str
    api: tuple[str, str]
    client: tuple[str, str]
    database: str | None = None


@contextmanager
def fresh(database: str | None = None, codes: bool = False) -> Iterator[Deployment]:
    """One API, one client that may use it, on SQLite unless a PostgreSQL is named. Deleted at the end.

    With `codes`, people may sign in to the client: then a key for ID tokens (RS256) is there too.
    """
    with tempfile.TemporaryDirectory(prefix="watchword-bench-") as name:
        folder = Path(name)
        issuer = _configure(folder, database)
        if database is not None:
            _command(folder, "migrate")
        api = _command(folder, "api", "add", AUDIENCE, "--scope", SCOPE)
        may = ["--access", f"{AUDIENCE}={SCOPE}", "--grant", "client_credentials", "--grant", "refresh_token"]
        may += ["--grant", "authorization_code", "--redirect-uri", REDIRECT_URI] if codes else []
        client = _command(folder, "client", "add", "bench", *may)
        yield Deployment(folder, issuer, _credentials(api), _credentials(client), database)


@contextmanager
def served(
    deployment: Deployment, core: int | None = None, command: Sequence[str] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """`watchword serve` until the end of the block, ready; by another command where one is named."""
    with processes.running([*(command or (WATCHWORD, "serve"))], deployment.folder, core) as process:
        processes.await_ready(process, f"{deployment.issuer}/readyz")
        yield process


def _configure(folder: Path, database: str | None) -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{probe.getsockname()[1]}"
    issuer = f"http://{listen}"
    settings = f'issuer = "{issuer}"\nlisten = "{listen}"\ndata = "data"\n'
    if database is not None:
        settings += f'database = "{database}"\n'
    (folder / "watchword.toml").write_text(settings, "utf-8")
    return issuer


def _command(folder: Path, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [WATCHWORD, *arguments, "--json"],
        cwd=folder,
        env=processes.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )
    if done.returncode:
        raise Unmeasured(f"`watchword {' '.join(arguments[:2])}` failed: {done.stderr.decode()[-300:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _credentials(document: dict[str, Any]) -> tuple[str, str]:
    return document["client_id"], document["client_secret"]
