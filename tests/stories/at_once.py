"""Fifty requests at once at two nodes of one deployment, of which the first is killed in the midst of them."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.servers.loopback import free_ports
from tests.soak.nodes import Node
from tests.stories.grounds import GROUNDS, Ground
from tests.stories.processes import Site, deployment
from tests.stories.raw import Line, Whole

AT_ONCE = 25
"""Requests at each node."""

Request = Callable[[Site], bytes]
"""A whole one, as it is sent to this node."""


@dataclass(frozen=True)
class Pair:
    """Two nodes, and a door to each. The first has the issuer's own address, and is the one that is killed."""

    ground: Ground
    site: Site
    nodes: Sequence[Node]
    doors: Sequence[Site]

    def url(self, node: int, path: str) -> str:
        """Of an endpoint of this node."""
        return f"http://127.0.0.1:{self.nodes[node].port}{path}"

    def at_once(self, request: Request) -> list[Line]:
        """Fifty connections, on each of which it was just sent; each node has every second one."""
        doors = [*self.doors] * AT_ONCE
        lines = [Line(door) for door in doors]
        for door, line in zip(doors, lines, strict=True):
            line.send(request(door))
        return lines

    def killed_meanwhile(self, request: Request, part: int) -> tuple[list[Whole], list[Whole]]:
        """What came while the first node was killed, at a moment by chance that lies the later the later the `part`;
        and what came when all was asked again after its restart.
        """
        lines = self.at_once(request)
        time.sleep(random.random() * 0.02 * (part + 1))
        os.kill(self.nodes[0].pid, signal.SIGKILL)
        answers = answers_of(lines)
        assert self.nodes[0].program is not None
        self.nodes[0].program.kill()
        self.nodes[0].start()
        again = answers_of(self.at_once(request))
        assert len(again) == 2 * AT_ONCE
        return answers, again

    def crash(self) -> None:
        """`kill -9` for one after the other, each started again at once."""
        for node in self.nodes:
            node.crash()


@contextmanager
def pair(folder: Path, kind: str) -> Iterator[Pair]:
    """Both nodes ready, on a database of this kind."""
    with ExitStack() as stack:
        ground = stack.enter_context(GROUNDS[kind].laid(folder))
        site = stack.enter_context(deployment(folder, settings=ground.settings, running=False))
        nodes = [Node(site, port) for port in (site.port, *free_ports())]
        for node in nodes:
            stack.callback(node.stop)
            node.start()
        yield Pair(ground, site, nodes, [replace(site, port=node.port) for node in nodes])


def answers_of(lines: Sequence[Line]) -> list[Whole]:
    """Those that came to their last byte."""
    found = [line.answer() for line in lines]
    for line in lines:
        line.close()
    return [one for one in found if one is not None]
