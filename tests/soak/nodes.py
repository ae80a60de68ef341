"""Several nodes of one deployment behind one address, each a process of its own."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.loopback import free_ports, until
from tests.stories.processes import TETHER, Program, Site, deployment, environ, start

ROOT = Path(__file__).parents[2]


@dataclass
class Node:
    """One `watchword serve`. `outages` are the times, of `time.monotonic`, from a kill until it was ready again."""

    site: Site
    port: int
    program: Program | None = None
    outages: list[tuple[float, float]] = field(default_factory=list)
    config: Path | None = None
    """Settings of its own; without, those of the deployment."""

    def start(self) -> None:
        """Start it, and return when it is ready."""
        self.launch()
        self.await_ready()

    def launch(self) -> None:
        """Start it, and wait for nothing."""
        serve = (*TETHER, "watchword_server", "serve", "--config", str(self.config or self.site.config), "--json")
        command = (sys.executable, *serve, "--listen", f"127.0.0.1:{self.port}")
        self.program = start(f"node {self.port}", command, cwd=self.site.folder)

    def await_ready(self) -> None:
        """Until it says so."""
        assert self.program is not None
        self.program.wait_until_ready(f"http://127.0.0.1:{self.port}/readyz")

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        assert self.program is not None
        return self.program.pid

    def crash(self) -> None:
        """`kill -9`, and start it again at once."""
        assert self.program is not None
        began = time.monotonic()
        self.program.kill()
        self.start()
        self.outages.append((began, time.monotonic()))

    def stop(self) -> None:
        """End it politely."""
        if self.program is not None:
            self.program.stop()
            self.program = None


@dataclass(frozen=True)
class Cluster:
    """Nodes, and the address in front of them, which is the issuer's."""

    site: Site
    nodes: Sequence[Node]


@contextmanager
def cluster(folder: Path, count: int, settings: str = "") -> Iterator[Cluster]:
    """A new deployment of so many nodes, all of them ready. `settings` are more lines of watchword.toml."""
    with deployment(folder, settings=f"log.requests = false\n{settings}", running=False) as site:
        nodes = [Node(site, port) for port in free_ports(count)]
        try:
            for node in nodes:
                node.start()
            with balanced(site.port, nodes) as balancer:
                balancer.wait_until_ready(f"{site.issuer}/readyz")
                yield Cluster(site, nodes)
        finally:
            for node in nodes:
                node.stop()


@contextmanager
def balanced(port: int, nodes: Sequence[Node]) -> Iterator[Program]:
    """A load balancer at this port, in front of those of them that are ready."""
    ports = [str(node.port) for node in nodes]
    command = (sys.executable, *TETHER, "tests.soak.programs.balancer", str(port), *ports)
    program = start("balancer", command, environ(), ROOT)
    try:
        until(lambda: "ready" in program.lines, within=20)
        yield program
    finally:
        program.stop()
