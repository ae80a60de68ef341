"""The composition root: starting, refusing to start, ending, and what it costs."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.server.web.served import served
from tests.stories.processes import environ, free_ports, until, watchword
from watchword_server.main import examine, load_settings, open_issuer

URL = "http://localhost:8000"


def serve(tmp_path: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """`watchword serve` that is expected to end by itself."""
    variables = {f"WATCHWORD_{name}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "watchword_server", "serve", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=30, cwd=tmp_path, env=environ(**variables), check=False
    )


def refused(ran: subprocess.CompletedProcess[str]) -> str:
    """The one sentence that it ended with."""
    assert ran.returncode != 0
    assert "Traceback" not in ran.stderr
    lines = [line for line in ran.stderr.splitlines() if line]
    assert len(lines) == 1, ran.stderr
    return lines[0]


def test_a_busy_port_is_one_clear_sentence(tmp_path: Path) -> None:
    """It says which, and what to do."""
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        sentence = refused(serve(tmp_path, ISSUER=URL, LISTEN=f"127.0.0.1:{port}"))
    assert f"cannot listen at 127.0.0.1:{port}: address already in use" in sentence
    assert "--listen" in sentence


@pytest.mark.parametrize("issuer", ["http://id.example.com", "https://id.example.com/", "nonsense"])
def test_an_issuer_that_is_not_https_does_not_start(tmp_path: Path, issuer: str) -> None:
    """Loopback excepted; and nothing was written."""
    assert "setting issuer: " in refused(serve(tmp_path, ISSUER=issuer))
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_setting_does_not_start(tmp_path: Path) -> None:
    """And the sentence names the nearest."""
    assert "did you mean WATCHWORD_LISTEN?" in refused(serve(tmp_path, ISSUER=URL, LISTN="127.0.0.1:1"))


def test_a_data_folder_that_cannot_be_written_does_not_start(tmp_path: Path) -> None:
    """Here a file stands where the folder should."""
    (tmp_path / "file").write_text("")
    (port,) = free_ports()
    ran = serve(tmp_path, ISSUER=URL, LISTEN=f"127.0.0.1:{port}", DATA=str(tmp_path / "file" / "data"))
    assert str(tmp_path / "file" / "data") in refused(ran)


def test_a_master_key_of_another_deployment_does_not_sign(tmp_path: Path) -> None:
    """The keys in the database stay closed, and the server says so instead of making new ones."""
    data = tmp_path / "data"

    async def prepare() -> None:
        async with open_issuer(load_settings(None, {"issuer": URL, "data": data})):
            pass

    asyncio.run(prepare())
    (data / "master.key").unlink()
    (port,) = free_ports()
    sentence = refused(serve(tmp_path, ISSUER=URL, LISTEN=f"127.0.0.1:{port}", DATA=str(data)))
    assert "master.key" in sentence
    assert not (data / "master.key").exists()


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_certificate_that_cannot_be_used_does_not_start(tmp_path: Path, text: str | None) -> None:
    """It never says that it is ready, and names the files."""
    if text is not None:
        (tmp_path / "bad.pem").write_text(text)
    (port,) = free_ports()
    files = {"TLS__CERTIFICATE": "bad.pem", "TLS__KEY": "bad.pem"}
    sentence = refused(serve(tmp_path, ISSUER=URL, LISTEN=f"127.0.0.1:{port}", DATA=str(tmp_path / "d"), **files))
    assert "bad.pem" in sentence
    assert "cannot be used" in sentence


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_although_streams_are_open(tmp_path: Path, number: int) -> None:
    """Readers of the feed are told by the end of their stream; the exit code is 0."""
    with served(tmp_path, FEED__PUBLIC="true") as own:
        with own.http.stream("GET", "/revocations/stream") as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith("retry: ")
            start = time.monotonic()
            own.program.process.send_signal(number)
            assert list(lines)  # to the end, without an error
        assert own.program.process.wait(10) == 0
        assert time.monotonic() - start < 3
        until(lambda: "stopped" in own.program.said, 5)
        assert not list(own.data.glob("nudge-*.sock"))


def test_a_request_that_runs_is_finished_before_the_end(tmp_path: Path) -> None:
    """A graceful end: its answer still comes, new connections are refused."""
    with served(tmp_path) as own:
        body = b"grant_type=client_credentials"
        head = "POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", own.port), 10) as running:
            running.sendall(head.encode() + body[:5])
            own.http.get("/healthz")  # by now the other one has begun
            own.program.process.send_signal(signal.SIGTERM)

            def closed() -> bool:
                try:
                    socket.create_connection(("127.0.0.1", own.port), 1).close()
                except OSError:
                    return True
                return False

            until(closed, 5)
            running.sendall(body[5:])
            assert b"401" in running.recv(1000)
        assert own.program.process.wait(10) == 0


def test_what_another_process_commits_is_told_at_once(tmp_path: Path) -> None:
    """A revocation by the command line reaches the readers of the feed within a second."""
    with served(tmp_path, FEED__PUBLIC="true") as own, own.http.stream("GET", "/revocations/stream") as stream:
        lines = stream.iter_lines()
        next(line for line in lines if line == "event: snapshot")
        settings = {"WATCHWORD_ISSUER": own.issuer, "WATCHWORD_DATA": str(own.data)}
        ran = watchword("user", "disable", "alice@example.com", env=environ(**settings), cwd=tmp_path)
        done = time.monotonic()
        assert ran.code == 0, ran.err
        next(line for line in lines if line == "event: delta")
        assert time.monotonic() - done < 1
        assert own.sign_in().status_code == 400


def test_it_says_when_it_is_ready(tmp_path: Path) -> None:
    """One line with issuer and address, for people and for supervisors."""
    with served(tmp_path, LOG__FORMAT="json") as own:
        until(lambda: '"ready"' in own.program.said, 5)
        found = json.loads(next(line for line in own.program.lines if '"ready"' in line))
        assert (found["event"], found["issuer"]) == ("ready", own.issuer)
        assert found["listen"] == f"127.0.0.1:{own.port}"


def test_it_serves_https_by_itself(tmp_path: Path) -> None:
    """With a certificate in the settings, and then nothing else."""
    certificate, key = self_signed(tmp_path)
    (port,) = free_ports()
    settings = {"ISSUER": f"https://localhost:{port}", "LISTEN": f"127.0.0.1:{port}", "DATA": str(tmp_path / "data")}
    settings |= {"TLS__CERTIFICATE": str(certificate), "TLS__KEY": str(key)}
    variables = {f"WATCHWORD_{name}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "watchword_server", "serve"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environ(**variables), stderr=subprocess.DEVNULL)
    try:
        trust = ssl.create_default_context(cafile=str(certificate))
        with httpx2.Client(verify=trust, trust_env=False) as http:

            def answers() -> bool:
                try:
                    return http.get(f"https://localhost:{port}/readyz").status_code == 200
                except httpx2.TransportError:
                    return False

            until(answers, 20)
    finally:
        process.terminate()
        process.wait(15)


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


def test_serving_loads_no_framework_that_it_does_not_need(tmp_path: Path) -> None:
    """Imports are lazy: memory and start-up time are promised."""
    (port,) = free_ports()
    program = (
        "import sys, atexit; from watchword_server.main import main;"
        "sys.argv[1:] = ['serve']; atexit.register(lambda: print(*sys.modules, sep='\\n')); main()"
    )
    variables = {
        "WATCHWORD_ISSUER": URL,
        "WATCHWORD_DATA": str(tmp_path / "d"),
        "WATCHWORD_LISTEN": f"127.0.0.1:{port}",
    }
    asyncio.run(_opened(tmp_path / "d"))  # the first start migrates, and that needs Alembic
    process = subprocess.Popen(
        [sys.executable, "-c", program], env=environ(**variables), cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )

    def ready() -> bool:
        try:
            return httpx2.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200
        except httpx2.TransportError:
            return False

    until(ready, 20)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=15)
    loaded = set(out.split())
    assert "watchword_server.web.application" in loaded
    unneeded = "alembic fastapi rich pygments babel httpx2 pydantic sqlalchemy aiosmtplib redis"
    assert loaded & set(unneeded.split()) == set()


async def _opened(data: Path) -> None:
    async with open_issuer(load_settings(None, {"issuer": URL, "data": data})):
        pass


def test_an_idle_server_is_small(tmp_path: Path) -> None:
    """Under 120 MB of memory, and ready within seconds (the bench measures both exactly)."""
    with served(tmp_path) as own:
        status = Path(f"/proc/{own.program.pid}/status").read_text()
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
        assert resident < 120 * 1024


async def test_a_database_is_examined_without_being_changed(tmp_path: Path) -> None:
    """For `watchword doctor`: none, a good one, one that is locked, one that is no database."""
    settings = load_settings(None, {"issuer": URL, "data": tmp_path})
    assert await examine(settings) is None
    async with open_issuer(settings):
        pass
    report = await examine(settings)
    assert report is not None
    assert (report.integrity, report.writable) == ("ok", "ok")
    assert report.revision == report.expected_revision
    assert report.newest == pytest.approx(time.time(), abs=60)
    with closing(sqlite3.connect(tmp_path / "watchword.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        locked = await examine(settings)
    assert locked is not None
    assert "locked" in locked.writable


def test_the_module_is_the_command() -> None:
    """`python -m watchword_server` has the same help and the same exit codes."""
    assert "serve" in watchword("--help").out
    assert watchword("no-such-command").code == 2
