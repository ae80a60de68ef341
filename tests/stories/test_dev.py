"""`watchword dev`: what a newcomer starts, sees and pastes."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.stories.processes import Program, bearer, environ, free_ports, start, until, watchword

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

READY_WITHIN = 90.0


@contextmanager
def dev(folder: Path, port: int, *options: str) -> Iterator[Program]:
    """`watchword dev` in a folder, ready."""
    command = (sys.executable, "-m", "watchword_server", "dev", "--port", str(port), *options)
    program = start("dev", command, environ(), folder)
    try:
        until(lambda: program.process.poll() is not None or _ready(program), READY_WITHIN)
        assert program.process.poll() is None, program.said
        yield program
    finally:
        program.stop()


def _ready(program: Program) -> bool:
    return any(line.startswith(("{", "Take back everything")) for line in program.lines)


def document(program: Program) -> dict:
    """The object that --json prints."""
    return json.loads(next(line for line in program.lines if line.startswith("{")))


def children(pid: int) -> list[int]:
    """The processes that a process started."""
    tasks = Path(f"/proc/{pid}/task")
    return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def pasted(program: Program) -> list[str]:
    """The commands that it shows, in their order."""
    return [line.removeprefix("    ") for line in program.lines if line.startswith("    ")]


def test_the_commands_that_it_shows_work_when_pasted(tmp_path: Path):
    """Sign in, call, sign out, be refused; the same for a program, with the operator's command."""
    port, _ = free_ports(2)
    with dev(tmp_path, port) as program:
        script = "\n".join(pasted(program))
        ran = subprocess.run(
            ["sh"], input=script, capture_output=True, text=True, cwd="/", env=environ(), timeout=60, check=False
        )
    statuses = [line.split()[1] for line in ran.stdout.splitlines() if line.startswith("HTTP/1.1 ")]
    assert statuses == ["200", "204", "401", "201", "401"], ran.stdout + ran.stderr + program.said
    assert 'error="invalid_token"' in ran.stdout


def test_programs_get_one_json_object_once_all_is_ready(tmp_path: Path):
    """With the keys that the design fixes, and what it says is true at that moment."""
    port, _ = free_ports(2)
    with dev(tmp_path, port, "--json") as program:
        found = document(program)
        assert set(found) == {"issuer", "console", "admin", "user", "first_party_client_id", "clients", "api"}
        assert found["issuer"] == f"http://localhost:{port}"
        assert found["console"] == f"http://localhost:{port}/console"
        assert set(found["admin"]) == set(found["user"]) == {"email", "password"}
        assert {name: set(client) for name, client in found["clients"].items()} == {
            "machine": {"client_id", "client_secret"},
            "web": {"client_id", "client_secret", "redirect_uris"},
            "spa": {"client_id", "redirect_uris"},
        }
        assert found["api"]["url"] == f"http://localhost:{port + 1}"
        assert set(found["api"]) == {"url", "audience", "scopes"}
        with httpx2.Client(trust_env=False, timeout=10) as http:
            for person in ("user", "admin"):
                body = {"client_id": found["first_party_client_id"], **found[person]}
                token = http.post(f"{found['issuer']}/session", json=body).json()["access_token"]
                assert http.get(f"{found['api']['url']}/orders", headers=bearer(token)).status_code == 200
            machine = found["clients"]["machine"]
            answer = http.post(
                f"{found['issuer']}/token",
                data={"grant_type": "client_credentials"},
                auth=(machine["client_id"], machine["client_secret"]),
            )
            token = answer.json()["access_token"]
            assert http.get(f"{found['api']['url']}/orders", headers=bearer(token)).status_code == 200


def test_a_second_start_knows_the_first(tmp_path: Path):
    """The same people and clients; what was made is shown once, and kept where nobody else may read it."""
    port, _ = free_ports(2)
    folder = tmp_path / ".watchword"
    with dev(tmp_path, port) as program:
        first = json.loads((folder / "dev.json").read_text())
        assert first["user"]["password"] in program.said
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    with dev(tmp_path, port, "--json") as program:
        assert document(program) == first
        assert program.said.count(first["user"]["password"]) == 1
    with dev(tmp_path, port) as program:
        assert first["user"]["password"] not in program.said
        assert ".watchword/dev.json" in program.said


@pytest.mark.fault
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 0)])
def test_a_signal_ends_everything(tmp_path: Path, number: signal.Signals, code: int):
    """Ctrl-C leaves no process and no port behind."""
    port, api_port = free_ports(2)
    with dev(tmp_path, port, "--json") as program:
        started = children(program.pid)
        assert len(started) == 2
        assert program.stop(number) == code
    assert all(gone(pid) for pid in started)
    for free in (port, api_port):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", free))


@pytest.mark.fault
@pytest.mark.parametrize("victim", [0, 1])
def test_one_that_dies_takes_the_other_with_it(tmp_path: Path, victim: int):
    """Half a demo is worse than none; the exit code says that it failed."""
    port, _ = free_ports(2)
    with dev(tmp_path, port, "--json") as program:
        started = children(program.pid)
        os.kill(started[victim], signal.SIGKILL)
        until(lambda: program.process.poll() is not None, 30)
        assert program.process.returncode == 1
        assert "has ended" in program.said
    assert all(gone(pid) for pid in started)


@pytest.mark.fault
def test_children_do_not_outlive_a_killed_parent(tmp_path: Path):
    """Even `kill -9` leaves nothing behind."""
    port, _ = free_ports(2)
    with dev(tmp_path, port, "--json") as program:
        started = children(program.pid)
        program.kill()
        until(lambda: all(gone(pid) for pid in started), 20)


@pytest.mark.parametrize("which", [0, 1])
def test_a_busy_port_is_a_clear_error_before_anything_starts(tmp_path: Path, which: int):
    """Either of the two; and nothing is made."""
    ports = free_ports(2)
    with socket.socket() as other:
        other.bind(("127.0.0.1", ports[which]))
        other.listen()
        ran = watchword("dev", "--port", str(ports[0]), "--json", cwd=tmp_path)
    assert ran.code == 5
    assert f"port {ports[which]} cannot be used" in ran.err
    assert "--port" in ran.err
    assert "Traceback" not in ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_second_one_keeps_off_the_folder_of_the_first(tmp_path: Path):
    """It would write its own port into the settings that the first one's commands use."""
    port, _ = free_ports(2)
    with dev(tmp_path, port, "--json"):
        other, _ = free_ports(2)
        ran = watchword("dev", "--port", str(other), cwd=tmp_path)
        assert ran.code == 5
        assert "another `watchword dev`" in ran.err


@pytest.mark.parametrize("text", ["not json", "[]", "{}", '{"api": {}}'])
def test_a_damaged_folder_is_a_clear_error(tmp_path: Path, text: str):
    """It says what to remove."""
    (tmp_path / ".watchword").mkdir(mode=0o700)
    (tmp_path / ".watchword/dev.json").write_text(text)
    ran = watchword("dev", "--port", str(free_ports(2)[0]), cwd=tmp_path)
    assert ran.code == 1
    assert "remove .watchword" in ran.err
    assert "Traceback" not in ran.err
