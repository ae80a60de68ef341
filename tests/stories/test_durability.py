"""strace as the witness: no answer leaves before what it says is on the disk.

`kill -9` cannot show this, since the kernel keeps what a dead process has written; only a power cut would. So the
order of the system calls is looked at: the request is read, the write-ahead log is written, an fsync or fdatasync
of it returns, and only then does the first byte of the answer go out.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.stories import raw, tracing
from tests.stories.processes import TETHER, Client, Site, deployment, start, until
from tests.stories.raw import Line, Whole
from tests.stories.tracing import Call

CROWD = 24
"""Requests at the same moment."""

pytestmark = [pytest.mark.fault, pytest.mark.timeout(180)]


@dataclass(frozen=True)
class Traced:
    """A deployment whose issuer has been traced since its start."""

    site: Site
    trace: Path
    app: Client
    machine: Client

    @property
    def wal(self) -> str:
        """Where a commit becomes durable."""
        return f"{self.site.data}/watchword.db-wal"

    def calls(self) -> list[Call]:
        """What it did so far."""
        return tracing.calls(self.trace.read_text(errors="replace"))

    def ask(self, line: Line, request: bytes) -> Whole:
        """Send, and have the whole answer."""
        line.send(request)
        answer = line.answer()
        assert answer is not None
        return answer


@dataclass(frozen=True)
class Proof:
    """One request in the trace, from its first byte read to its first byte answered."""

    heard: Call
    written: Sequence[Call]
    synced: Call
    answered: Call
    writes: int
    """Calls that sent the answer."""


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    """An issuer under strace that logs no requests: else there is no express lane."""
    tracing.must_be_here()
    folder = tmp_path_factory.mktemp("durability")
    with deployment(folder, running=False) as site:
        site.config.write_text(site.config.read_text().replace("log.requests = true", "log.requests = false"))
        app, machine = site.new_client("App", first_party=True, public=True), site.new_client("Machine")
        trace = folder / "trace"
        serve = ("-m", *TETHER[1:], "watchword_server", "serve", "--config", str(site.config), "--json")
        site.server = start("issuer", (*tracing.command(trace), sys.executable, *serve), cwd=folder)
        try:
            site.server.wait_until_ready(f"http://127.0.0.1:{site.port}/readyz")
        except AssertionError:
            tracing.must_be_allowed(site.server.said)
            raise
        yield Traced(site, trace, app, machine)


def test_an_answer_leaves_only_after_the_disk_has_it(traced: Traced, capsys: pytest.CaptureFixture[str]) -> None:
    """Sign-out, /revoke, refresh, /token by both lanes: read, write, sync, answer, in this order."""
    site, app, machine = traced.site, traced.app, traced.machine
    user = site.new_user()
    first, second = site.sign_in(user, app), site.sign_in(user, app)
    again = raw.client_token(site, machine)
    # The first of two equal requests is decided at the door, the second goes by the express lane.
    asked: dict[str, tuple[bytes, int]] = {
        "DELETE /session": (raw.sign_out(site, first["access_token"]), 204),
        "POST /revoke, access token": (raw.revoke(site, app, second["access_token"]), 200),
        "POST /token, refresh": (raw.refresh(site, app, second["refresh_token"]), 200),
        "POST /token, ordinary lane": (again, 200),
        "POST /token, express lane": (again, 200),
    }
    proofs = {}
    for name, (request, status) in asked.items():
        with Line(site) as line:
            assert traced.ask(line, request).status == status
            proofs[name] = _proof(traced, line.port)
    # The express lane hands over head and body as one, the door as two.
    assert proofs["POST /token, express lane"].writes < proofs["POST /token, ordinary lane"].writes
    with capsys.disabled():
        print("\n  from the request's arrival, in ms; of the write-ahead log:")
        print(*(_told(name, proof) for name, proof in proofs.items()), sep="\n")


def test_the_file_itself_is_on_the_disk(traced: Traced) -> None:
    """A log that is synced and whose name is not would be gone with the power: the folder is synced, too."""
    with Line(traced.site) as line:
        traced.ask(line, raw.client_token(traced.site, traced.machine))
        proof = _proof(traced, line.port)
    found = traced.calls()
    born = next(call for call in found if call.fills(traced.wal))
    folders = [call for call in found if call.syncs(str(traced.site.data)) and call.began > born.ended]
    assert folders, "the folder of the write-ahead log was never synced"
    assert folders[0].ended < proof.answered.began


def test_many_answers_share_a_sync_and_none_goes_before_it(traced: Traced, capsys: pytest.CaptureFixture[str]) -> None:
    """Group commit: fewer syncs than answers; for each answer a write and a sync after its request was read."""
    site = traced.site
    request = raw.client_token(site, traced.machine)
    lines = [Line(site) for _ in range(CROWD)]
    assert site.server is not None
    try:
        for line in lines:  # each connection has been accepted, and the token is one that was asked for before
            traced.ask(line, f"GET /healthz HTTP/1.1\r\nHost: localhost:{site.port}\r\n\r\n".encode())
        with _frozen(site.server.pid):  # so that all of them are there when it wakes
            for line in lines:
                line.send(request)
        assert all((answer := line.answer()) is not None and answer.status == 200 for line in lines)
        proofs = [_proof(traced, line.port, alone=False) for line in lines]
    finally:
        for line in lines:
            line.close()
    first, last = min(proof.heard.began for proof in proofs), max(proof.answered.began for proof in proofs)
    syncs = [call for call in traced.calls() if call.syncs(traced.wal) and first < call.began < last]
    assert 1 <= len(syncs) < CROWD
    with capsys.disabled():
        print(f"\n  {CROWD} requests for tokens at once: {len(syncs)} syncs, each answer after its own")


def test_a_request_that_changes_nothing_has_no_sync(traced: Traced) -> None:
    """The witness can also say no: reading the key set leaves the disk alone."""
    with Line(traced.site) as line:
        request = f"GET /jwks.json HTTP/1.1\r\nHost: localhost:{traced.site.port}\r\n\r\n".encode()
        assert traced.ask(line, request).status == 200
        with pytest.raises(AssertionError, match="no sync"):
            _proof(traced, line.port)


# fmt: off
READ   = '7 1.0 read(9<TCP:[127.0.0.1:80->127.0.0.1:4242]>, "POST", 256000) = 4'
WROTE  = '8 1.1 pwrite64(5</d/watchword.db-wal>, "x", 4096, 0) = 4096'
SYNCED = '8 1.2 fdatasync(5</d/watchword.db-wal>) = 0'
BEGAN  = '8 1.2 fdatasync(5</d/watchword.db-wal> <unfinished ...>'
ENDED  = '8 1.4 <... fdatasync resumed>) = 0'
FAILED = '8 1.4 <... fdatasync resumed>) = -1 EIO (Input/output error)'
SENT   = '7 1.5 write(9<TCP:[127.0.0.1:80->127.0.0.1:4242]>, "HTTP", 99) = 99'
# fmt: on


@pytest.mark.parametrize(
    ("trace", "holds"),
    [
        ((READ, WROTE, SYNCED, SENT), True),
        ((READ, WROTE, BEGAN, ENDED, SENT), True),
        ((READ, WROTE, BEGAN, SENT, ENDED), False),
        ((READ, WROTE, BEGAN, FAILED, SENT), False),
        ((READ, WROTE, SENT, SYNCED), False),
        ((WROTE, SYNCED, READ, SENT), False),
        ((READ, SYNCED, WROTE, SENT), False),
        ((READ, WROTE, SYNCED, WROTE, SENT), False),
        ((READ, SYNCED, SENT), False),
        ((READ, WROTE, SENT), False),
    ],
)
def test_the_order_is_judged_strictly(trace: Sequence[str], holds: bool) -> None:
    """A sync that failed, ended late, or came before the write counts for nothing."""

    def judge() -> bool:
        try:
            _judged(tracing.calls("\n".join(trace)), "/d/watchword.db-wal", 4242)
        except AssertionError:
            return False
        return True

    assert judge() is holds


def _proof(traced: Traced, port: int, *, alone: bool = True) -> Proof:
    """The proof for the last request of a connection. strace writes a line when the call has ended: wait for it."""
    until(lambda: _ends(traced.calls(), port) is not None)
    return _judged(traced.calls(), traced.wal, port, alone=alone)


def _judged(found: Sequence[Call], wal: str, port: int, *, alone: bool = True) -> Proof:
    """Raises AssertionError unless read, write, sync and answer come in this order.

    Where nothing else was going on (`alone`), nothing may have been written between the sync and the answer.
    """
    ends = _ends(found, port)
    assert ends is not None, "no request with an answer"
    heard, answers = ends
    synced = [call for call in found if call.syncs(wal) and heard.ended < call.began and call.ended < answers[0].began]
    assert synced, "no sync between the request and its answer"
    written = [call for call in found if call.fills(wal) and heard.ended < call.began < answers[0].began]
    assert any(call.ended < synced[-1].began for call in written), "nothing was written before the sync"
    assert not alone or written[-1].ended < synced[-1].began, "something was written after the sync"
    return Proof(heard, written, synced[-1], answers[0], len(answers))


def _ends(found: Sequence[Call], port: int) -> tuple[Call, Sequence[Call]] | None:
    """The last request that came from a port, each being one read, and what its answer was sent by."""
    heard = [call for call in found if call.hears(port)]
    answers = [call for call in found if call.answers(port) and heard and call.began > heard[-1].ended]
    return (heard[-1], answers) if answers else None


@contextmanager
def _frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] in "Tt")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _told(name: str, proof: Proof) -> str:
    def after(call: Call) -> float:
        return (call.at - proof.heard.at) * 1000

    return (
        f"    {name:<27} {len(proof.written):>2} writes from {after(proof.written[0]):5.2f}, {proof.synced.name} "
        f"at {after(proof.synced):5.2f}, the answer's first byte at {after(proof.answered):5.2f}"
    )
