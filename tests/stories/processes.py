"""Real processes for stories: an issuer and a demo API on free loopback ports, and the command line beside them.

    with deployment(tmp_path) as site:
        user, client = site.new_user(), site.new_client(first_party=True)
        token = site.sign_in(user, client)["access_token"]
        assert site.call(token) == 200
        site.cli("user", "disable", user.email)
        until(lambda: site.call(token) == 401, within=1)

Whatever is started here is ended here, by its own process id; should this process be killed, what it started
ends by itself.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests.servers.loopback import free_ports, until

READY_WITHIN = 60.0
POLITE = 15.0
"""Seconds."""
TETHER = ("-m", "watchword_server.demo.tether")
"""Runs a module that ends when standard input is closed, as the kernel does for who is gone."""
SCOPES = ("orders:read", "orders:write")


def environ(**more: str) -> dict[str, str]:
    """This environment without anything that the programs under test would obey, or be slow to start by."""
    foreign = ("WATCHWORD_", "ORDERS_", "PYTHONDONTWRITEBYTECODE")
    ours = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return ours | {"PYTHONUNBUFFERED": "1", "NO_COLOR": "1"} | more


@dataclass
class Program:
    """A running process and the lines that it said, standard error among them."""

    name: str
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    _reader: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """Its process id, and its group's."""
        return self.process.pid

    @property
    def said(self) -> str:
        """All that it said so far."""
        return "\n".join(self.lines)

    def wait_until_ready(self, url: str, within: float = READY_WITHIN) -> float:
        """Wait for a 200 at `url`; how many seconds it took."""

        def answers() -> bool:
            assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}:\n{self.said}"
            with suppress(httpx2.HTTPError):
                return http.get(url).status_code == 200
            return False

        try:
            with httpx2.Client(trust_env=False, timeout=5) as http:  # one for all questions: it reads certificates
                return until(answers, within)
        except AssertionError as error:
            raise AssertionError(f"{self.name} is not ready: {error}\n{self.said}") from None

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; its exit code (negative: the signal)."""
        with suppress(ProcessLookupError):
            if self.process.poll() is None:
                self.process.send_signal(number)
        try:
            self.process.wait(POLITE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not end by signal {number}:\n{self.said}") from None
        finally:
            if self._reader is not None:
                self._reader.join(POLITE)
            if self.process.stdin is not None:
                with suppress(BrokenPipeError):  # what was still to be written has no reader any more
                    self.process.stdin.close()
        return self.process.returncode

    def kill(self) -> None:
        """As a power cut would: SIGKILL."""
        self.stop(signal.SIGKILL)


def start(
    name: str,
    command: Sequence[str],
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int = subprocess.PIPE,
) -> Program:
    """Start a program in a process group of its own. The caller ends it."""
    process = subprocess.Popen(
        command,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(env or environ()),
        cwd=cwd,
        text=True,
        errors="replace",
        process_group=0,
    )
    program = Program(name, process)
    program._reader = threading.Thread(target=_read, args=(program,), daemon=True)
    program._reader.start()
    return program


def _read(program: Program) -> None:
    assert program.process.stdout is not None
    for line in program.process.stdout:
        program.lines.append(line.rstrip("\n"))


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """What it answered with --json."""
        found = json.loads(self.out)
        assert isinstance(found, dict), self.out
        return found


def watchword(
    *arguments: str, stdin: str = "", cwd: Path | None = None, env: Mapping[str, str] | None = None, within: float = 60
) -> Ran:
    """Run the command line in a process of its own, as it would be called."""
    ran = subprocess.run(
        [sys.executable, "-m", "watchword_server", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=within,
        env=dict(env or environ()),
        cwd=cwd,
        check=False,
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)


Command = Callable[..., Ran]
"""`watchword`, or something that takes the same arguments."""


@dataclass(frozen=True)
class User:
    """A person who can sign in."""

    email: str
    password: str = field(repr=False)
    sub: str = ""


@dataclass(frozen=True)
class Client:
    """A registered program; a public one has no secret."""

    client_id: str
    secret: str | None = field(default=None, repr=False)

    @property
    def auth(self) -> tuple[str, str] | None:
        """For HTTP Basic."""
        return None if self.secret is None else (self.client_id, self.secret)


@dataclass
class Site:
    """One deployment: its issuer, its demo API, and the command line beside them.

    `http` keeps connections open to both. The API is registered even when no process of it was asked for.
    """

    folder: Path
    port: int
    api_port: int
    api: Client
    http: httpx2.Client
    command: Command = watchword
    server: Program | None = None
    orders: Program | None = None
    _log: list[str] = field(default_factory=list)

    @property
    def issuer(self) -> str:
        """Its URL, as in `iss`."""
        return f"http://localhost:{self.port}"

    @property
    def api_url(self) -> str:
        """The demo API's URL, and its audience."""
        return f"http://localhost:{self.api_port}"

    @property
    def audience(self) -> str:
        """What tokens for the demo API must name."""
        return self.api_url

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.folder / "watchword.toml"

    def run(self, *arguments: str, stdin: str = "") -> Ran:
        """Run `watchword ARGUMENTS --json` on this deployment, however it ends."""
        return self.command(*arguments, "--json", "--config", str(self.config), stdin=stdin, cwd=self.folder)

    def cli(self, *arguments: str, stdin: str = "") -> dict[str, Any]:
        """Run `watchword ARGUMENTS` on this deployment; what it answered. It must succeed."""
        ran = self.run(*arguments, stdin=stdin)
        assert ran.code == 0, f"watchword {' '.join(arguments)}: exit code {ran.code}\n{ran.out}{ran.err}"
        return ran.document

    def new_user(self, email: str = "", *roles: str) -> User:
        """Register a person, by the command line."""
        email, password = email or f"{secrets.token_hex(4)}@example.com", secrets.token_urlsafe(12)
        given = [part for role in roles for part in ("--role", role)]
        found = self.cli("user", "add", email, "--password-stdin", *given, stdin=password)
        return User(email, password, found["sub"])

    def new_client(
        self, name: str = "client", *options: str, first_party: bool = False, public: bool = False
    ) -> Client:
        """Register a client that may have all the API's scopes, by the command line.

        Without an option it is a confidential one for client_credentials.
        """
        flags = [*(["--first-party"] if first_party else []), *(["--public"] if public else [])]
        access = f"{self.audience}={','.join(SCOPES)}"
        found = self.cli("client", "add", name, "--access", access, *flags, *options)
        return Client(found["client_id"], found.get("client_secret"))

    def sign_in(self, user: User, client: Client, **more: str) -> dict[str, Any]:
        """`POST /session`: tokens in the body."""
        body = {"client_id": client.client_id, "email": user.email, "password": user.password, **more}
        return self._good(self.http.post(f"{self.issuer}/session", json=body, auth=client.auth))

    def sign_out(self, access_token: str) -> None:
        """`DELETE /session`."""
        answer = self.http.delete(f"{self.issuer}/session", headers=bearer(access_token))
        assert answer.is_success, answer.text

    def client_token(self, client: Client, **form: str) -> str:
        """An access token by client_credentials."""
        data = {"grant_type": "client_credentials", **form}
        token = self._good(self.http.post(f"{self.issuer}/token", data=data, auth=client.auth))["access_token"]
        assert isinstance(token, str)
        return token

    def refresh(self, client: Client, refresh_token: str) -> httpx2.Response:
        """`/token` with a refresh token, however it ends."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        if client.secret is None:
            form["client_id"] = client.client_id
        return self.http.post(f"{self.issuer}/token", data=form, auth=client.auth)

    def revoke(self, client: Client, token: str) -> None:
        """`/revoke` (RFC 7009), by the client itself."""
        form = {"token": token} | ({"client_id": client.client_id} if client.secret is None else {})
        answer = self.http.post(f"{self.issuer}/revoke", data=form, auth=client.auth)
        assert answer.status_code == 200, answer.text

    def call(self, token: str, path: str = "/orders") -> int:
        """Call the API; the status."""
        return self.http.get(f"{self.api_url}{path}", headers=bearer(token)).status_code

    def start(self) -> float:
        """Start the issuer; seconds until it was ready."""
        serve = (sys.executable, *TETHER, "watchword_server", "serve", "--config", str(self.config), "--json")
        self.server = start("issuer", serve, cwd=self.folder)
        return self.server.wait_until_ready(f"http://127.0.0.1:{self.port}/readyz")

    def start_api(self, **settings: str) -> None:
        """Start the demo API; `settings` are more of its ORDERS_* variables."""
        env = environ(
            ORDERS_LISTEN=f"127.0.0.1:{self.api_port}",
            ORDERS_ISSUER=self.issuer,
            ORDERS_AUDIENCE=self.audience,
            ORDERS_CLIENT_ID=self.api.client_id,
            ORDERS_CLIENT_SECRET_FILE=str(self.folder / "orders.secret"),
            **settings,
        )
        self.orders = start("orders", (sys.executable, *TETHER, "watchword_server.demo"), env, self.folder)
        self.orders.wait_until_ready(f"http://127.0.0.1:{self.api_port}/readyz")

    def kill(self) -> None:
        """`kill -9` the issuer."""
        assert self.server is not None
        self.server.kill()

    def restart(self) -> float:
        """Start the issuer again, after it was ended politely when it is still there; seconds until it was ready."""
        self.stop_issuer()
        return self.start()

    def stop_issuer(self) -> None:
        """End the issuer politely."""
        if self.server is not None:
            self.server.stop()
            self._log += self.server.lines
            self.server = None

    def close(self) -> None:
        """End everything."""
        for program in (self.orders, self.server):
            if program is not None:
                program.stop()
        self.http.close()

    def requests(self) -> list[dict[str, Any]]:
        """Every request that the issuer answered so far, by its own log: method, path, status, agent, ..."""
        found = []
        for line in [*self._log, *(self.server.lines if self.server else ())]:
            with suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict) and entry.get("event") == "request":
                    found.append(entry)
        return found

    def count(self) -> Counter[str]:
        """How many requests the issuer answered so far, by path. A stream counts when it ends."""
        return Counter(entry["path"] for entry in self.requests())

    def _good(self, answer: httpx2.Response) -> dict[str, Any]:
        assert answer.is_success, f"{answer.status_code}: {answer.text}"
        found = answer.json()
        assert isinstance(found, dict)
        return found


def bearer(token: str) -> dict[str, str]:
    """The header that carries a token."""
    return {"Authorization": f"Bearer {token}"}


@contextmanager
def deployment(
    folder: Path,
    *,
    settings: str = "",
    api: bool = True,
    running: bool = True,
    command: Command = watchword,
    **orders: str,
) -> Iterator[Site]:
    """A new deployment in a folder of its own: issuer and demo API run, and are ended at the end.

    `settings` are more lines of watchword.toml (top-level keys in dotted form), `orders` more ORDERS_* variables.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port, api_port = free_ports(2)
    http = httpx2.Client(trust_env=False, timeout=10)
    site = Site(folder, port, api_port, Client(""), http, command)
    requests = "" if "log.requests" in settings else "log.requests = true\n"
    site.config.write_text(
        f'issuer = "{site.issuer}"\nlisten = "127.0.0.1:{port}"\ndata = "{site.data}"\n{requests}{settings}\n'
    )
    try:
        scopes = [part for scope in SCOPES for part in ("--scope", scope)]
        made = site.cli("api", "add", site.audience, "--name", "Orders API", *scopes)
        site.api = Client(made["client_id"], made["client_secret"])
        (folder / "orders.secret").write_text(made["client_secret"])
        if running:
            site.start()
            if api:
                site.start_api(**orders)
        yield site
    finally:
        site.close()
