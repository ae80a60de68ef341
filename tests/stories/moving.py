"""Moving a deployment from SQLite to PostgreSQL as an operator does; and how long that takes with many people.

found = measured(folder, postgres.database(), users=100_000, sessions=200_000)

python -m tests.stories.moving USERS SESSIONS
"""

from __future__ import annotations

import json
import os
import pty
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx2

from tests.servers.postgres import server
from tests.stories.processes import TETHER, Program, Site, deployment, environ, free_ports, start, until
from tests.stories.refresher import Refresher
from tests.stories.seeding import fill

CLIENTS = 4
"""Who go on refreshing, each as fast as it gets answers."""


@contextmanager
def node(site: Site, url: str, port: int, data: Path) -> Iterator[Program]:
    """Another `watchword serve` of this deployment, on PostgreSQL and with a data folder of its own."""
    data.mkdir(mode=0o700)
    shutil.copy(site.data / "master.key", data)
    env = environ(WATCHWORD_DATABASE=url, WATCHWORD_DATA=str(data), WATCHWORD_LISTEN=f"127.0.0.1:{port}")
    serve = (sys.executable, *TETHER, "watchword_server", "serve", "--config", str(site.config), "--json")
    program = start("node", serve, env, site.folder)
    try:
        yield program
    finally:
        program.stop()


@contextmanager
def promotion(site: Site, url: str, *options: str) -> Iterator[tuple[Program, int]]:
    """`watchword promote` with a terminal to answer at, and that terminal."""
    ours, its = pty.openpty()
    env = environ(WATCHWORD_DATABASE=url)
    command = (sys.executable, "-m", "watchword_server", "promote", "--json", "--config", str(site.config), *options)
    program = start("promote", command, env, site.folder, stdin=its)
    os.close(its)
    try:
        yield program, ours
    finally:
        os.close(ours)
        program.stop()


def stages(program: Program) -> list[str]:
    """Which it has told."""
    found = []
    for line in list(program.lines):
        with suppress(ValueError):
            found.append(json.loads(line).get("stage"))
    return found


def status(port: int, path: str) -> int:
    """Of a GET; 0 where nobody answers."""
    with suppress(httpx2.HTTPError):
        return httpx2.get(f"http://127.0.0.1:{port}{path}", trust_env=False, timeout=5).status_code
    return 0


@dataclass(frozen=True)
class Moved:
    """What was seen of one promotion. All times are in seconds."""

    rows: int
    seconds: float
    """From the start of the command to its answer."""
    pause: float
    """For how long nobody could write, as the command says."""
    gap: float
    """The longest time that a client was without a new token, at the cut."""
    usual_gap: float
    """And before anything moved."""
    refreshed: int
    """Tokens that the clients got."""
    refused: int
    """Answers to them that were neither a token nor a 503."""


def measured(folder: Path, url: str, users: int, sessions: int, within: float = 600) -> Moved:
    """Promote a deployment of this size while clients refresh, with a node on PostgreSQL that waits for the cut."""
    (port,) = free_ports()
    with deployment(folder, api=False, settings="log.requests = false") as site, ExitStack() as stack:
        app = site.new_client("App", first_party=True, public=True)
        made = fill(site.data / "watchword.db", app.client_id, site.audience, users, sessions)
        addresses = [site.issuer, f"http://127.0.0.1:{port}"]
        clients = [Refresher(app.client_id, made.refresh_token(number), addresses) for number in range(CLIENTS)]
        for client in clients:
            stack.enter_context(client)
        until(lambda: all(len(client.tokens) > 50 for client in clients), within=60)
        usual, began = max(client.gap() for client in clients), time.monotonic()
        promote, terminal = stack.enter_context(promotion(site, url))
        until(lambda: "follow" in stages(promote) or promote.process.poll() is not None, within)
        stack.enter_context(node(site, url, port, folder / "node"))
        until(lambda: status(port, "/readyz") == 503, within=30)
        asked = time.monotonic()
        os.write(terminal, b"y\n")
        assert promote.process.wait(60) == 0, promote.said
        ended = time.monotonic()
        until(lambda: all(client.good_since(ended) for client in clients), within=30)
        done = json.loads(promote.lines[-1])
    return Moved(
        rows=done["rows"],
        seconds=round(ended - began, 2),
        pause=done["pause"],
        gap=round(max(client.gap(asked) for client in clients), 3),
        usual_gap=round(usual, 3),
        refreshed=sum(len(client.tokens) - 1 for client in clients),
        refused=sum(len(client.refused) for client in clients),
    )


if __name__ == "__main__":
    with server() as own, tempfile.TemporaryDirectory() as somewhere:
        print(json.dumps(asdict(measured(Path(somewhere), own.database(), int(sys.argv[1]), int(sys.argv[2])))))
