"""The database is locked, the disk is full, or writing fails: 503, nothing lost, nothing half, and it heals by itself.

Whatever needs a commit is refused with `temporarily_unavailable` and `Retry-After`, in bounded time. Whatever only
reads goes on: introspection, the feed, the keys. The API beside it does not notice.
"""

from __future__ import annotations

import resource
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.stories.processes import Client, Site, User, bearer, deployment, until
from tests.stories.watch import Watch, spans

BOUND = 6.0
"""Seconds for a refusal: a batch waits 2 for the lock, after the batch before it did; and a slow machine."""
ROOM = 4 * 1024 * 1024
"""Bytes of the small disk: more than an empty deployment needs, less than its write-ahead log may take."""
TABLES = ("revocations", "sessions", "grants", "refresh_tokens", "audit", "outbox", "users", "clients", "keys")

pytestmark = [pytest.mark.fault, pytest.mark.timeout(180)]


@dataclass(frozen=True)
class Cast:
    """Who takes part, and what they hold."""

    user: User
    app: Client
    machine: Client
    leaving: Mapping[str, str]
    """A sign-in that wants to end."""
    staying: Mapping[str, str]
    """A sign-in that wants to be refreshed."""
    bystander: str
    dead: str


Ask = Callable[[Site, Cast], httpx2.Response]


def _token(site: Site, cast: Cast) -> httpx2.Response:
    """The same request every time, so that after the first it goes by the express lane."""
    return site.http.post(f"{site.issuer}/token", data={"grant_type": "client_credentials"}, auth=cast.machine.auth)


def _token_by_the_door(site: Site, cast: Cast) -> httpx2.Response:
    """`Connection: close` is nothing for the express lane."""
    form = {"grant_type": "client_credentials"}
    return site.http.post(f"{site.issuer}/token", data=form, auth=cast.machine.auth, headers={"Connection": "close"})


def _refresh(site: Site, cast: Cast) -> httpx2.Response:
    return site.refresh(cast.app, cast.staying["refresh_token"])


def _sign_in(site: Site, cast: Cast) -> httpx2.Response:
    body = {"client_id": cast.app.client_id, "email": cast.user.email, "password": cast.user.password}
    return site.http.post(f"{site.issuer}/session", json=body)


def _revoke(site: Site, cast: Cast) -> httpx2.Response:
    form = {"token": cast.leaving["refresh_token"], "client_id": cast.app.client_id}
    return site.http.post(f"{site.issuer}/revoke", data=form)


def _sign_out(site: Site, cast: Cast) -> httpx2.Response:
    return site.http.delete(f"{site.issuer}/session", headers=bearer(cast.leaving["access_token"]))


def _introspect(site: Site, cast: Cast) -> httpx2.Response:
    return site.http.post(f"{site.issuer}/introspect", data={"token": cast.bystander}, auth=site.api.auth)


def _session(site: Site, cast: Cast) -> httpx2.Response:
    return site.http.get(f"{site.issuer}/session", headers=bearer(cast.leaving["access_token"]))


def _feed(site: Site, cast: Cast) -> httpx2.Response:
    return site.http.get(f"{site.issuer}/revocations", auth=site.api.auth)


def _keys(site: Site, cast: Cast) -> httpx2.Response:
    return site.http.get(f"{site.issuer}/jwks.json")


# fmt: off
WRITES: Mapping[str, tuple[Ask, int]] = {  # in an order in which all of them succeed once it is over
    "POST /token":              (_token,             200),
    "POST /token, by the door": (_token_by_the_door, 200),
    "POST /token, refresh":     (_refresh,           200),
    "POST /session":            (_sign_in,           200),
    "DELETE /session":          (_sign_out,          204),
    "POST /revoke":             (_revoke,            200),
}
# fmt: on
READS: tuple[Ask, ...] = (_introspect, _session, _feed, _keys)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A deployment on an ordinary disk."""
    with _deployment(tmp_path_factory.mktemp("locked")) as found:
        yield found


def test_a_locked_database(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Another process holds the write lock for longer than anybody waits; the command line gives up as well."""
    cast = _cast(site)
    with _watched(site, cast) as said:
        before = _state(site)
        with closing(sqlite3.connect(site.data / "watchword.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            slowest = _must_all_refuse(site, cast)
            ran = site.run("revoke", "session", cast.leaving["session_id"])
            assert (ran.code, "Traceback" in ran.err) == (5, False), ran
            assert site.call(cast.leaving["access_token"]) == 200, "nothing was acknowledged"
            other.execute("ROLLBACK")
        _must_be_back(site, cast, before)
    with capsys.disabled():
        print(f"\n  database locked: {len(WRITES)} kinds of requests at once refused within {slowest:.2f} s; {said[0]}")


def test_a_disk_that_takes_no_more(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Every write beyond the end of the file fails (EFBIG): an I/O error, for which the writer reconnects."""
    cast = _cast(site)
    assert site.server is not None
    with _watched(site, cast) as said:
        before = _state(site)
        with _no_longer_files(site.server.pid, (site.data / "watchword.db-wal").stat().st_size):
            slowest = _must_all_refuse(site, cast)
        _must_be_back(site, cast, before)
    with capsys.disabled():
        print(f"\n  writes fail: {len(WRITES)} kinds of requests at once refused within {slowest:.2f} s; {said[0]}")


def test_a_full_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A real one that is full to its last page (ENOSPC), and empty again later."""
    with ExitStack() as stack:
        stack.enter_context(_small_disk(tmp_path / "data"))
        site = stack.enter_context(_deployment(tmp_path))
        cast = _cast(site)
        said = stack.enter_context(_watched(site, cast))
        with _filler(tmp_path / "data"):
            until(lambda: _token(site, cast).status_code == 503, within=30)
            before = _state(site)
            slowest = _must_all_refuse(site, cast)
        _must_be_back(site, cast, before)
        assert site.cli("doctor")["ok"]
        stack.close()
        with capsys.disabled():
            print(f"\n  disk full: {len(WRITES)} kinds of requests at once refused within {slowest:.2f} s; {said[0]}")


def _cast(site: Site) -> Cast:
    user, app = site.new_user(), site.new_client("App", first_party=True, public=True)
    machine = site.new_client("Machine")
    leaving, staying, bystander, dead = (site.sign_in(user, app) for _ in range(4))
    site.sign_out(dead["access_token"])
    until(lambda: site.call(dead["access_token"]) == 401, within=1)
    cast = Cast(user, app, machine, leaving, staying, bystander["access_token"], dead["access_token"])
    assert _token(site, cast).status_code == 200
    return cast


@contextmanager
def _deployment(folder: Path) -> Iterator[Site]:
    """One with an express lane, which a log of requests would close."""
    with deployment(folder, running=False) as site:
        site.config.write_text(site.config.read_text().replace("log.requests = true", "log.requests = false"))
        site.start()
        site.start_api()
        yield site


@contextmanager
def _watched(site: Site, cast: Cast) -> Iterator[list[str]]:
    """Meanwhile the API serves the good token, refuses the dead one, and stays fresh. What to say of it, at the end."""
    said: list[str] = []
    with (
        Watch(f"{site.api_url}/orders", cast.bystander) as good,
        Watch(f"{site.api_url}/orders", cast.dead) as dead,
        Watch(f"{site.api_url}/readyz") as fresh,
    ):
        until(lambda: good.calls and dead.calls and fresh.calls)
        yield said
    assert good.statuses(0.0) == {200}
    assert dead.statuses(0.0) == {401}
    assert fresh.statuses(0.0) == {200}
    said.append(f"the API meanwhile: {spans(good.calls)}")


def _must_all_refuse(site: Site, cast: Cast) -> float:
    """Everything that writes is refused, all at once; everything that reads is answered. The slowest refusal."""
    with ThreadPoolExecutor(len(WRITES)) as pool:
        under_way = {name: pool.submit(ask, site, cast) for name, (ask, _) in WRITES.items()}
        for read in READS:
            assert read(site, cast).status_code == 200
        assert _introspect(site, cast).json()["active"] is True
        answers = {name: each.result() for name, each in under_way.items()}
    for name, answer in answers.items():
        assert (name, answer.status_code) == (name, 503), answer.text
        assert answer.json() == {
            "error": "temporarily_unavailable",
            "error_description": "the server cannot answer now; nothing is acknowledged, so ask again",
        }
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["cache-control"] == "no-store"
    slowest = max(answer.elapsed.total_seconds() for answer in answers.values())
    assert slowest < BOUND
    return slowest


def _must_be_back(site: Site, cast: Cast, before: Mapping[str, int]) -> None:
    """Nothing of what was refused happened, not even late; and all of it can be done now, by the same process."""
    assert _state(site) == before
    for name, (ask, status) in WRITES.items():
        answer = ask(site, cast)
        assert (name, answer.status_code) == (name, status), answer.text
    until(lambda: site.call(cast.leaving["access_token"]) == 401, within=1)
    after = _state(site)
    assert after["audit"] == before["audit"] + len(WRITES), "one row of the trail for each answer, and no other"
    # Signing out ended the grant as well, so that the /revoke after it found nothing to revoke.
    assert after["revocations"] == before["revocations"] + 1


def _state(site: Site) -> Mapping[str, int]:
    """What is kept, in numbers."""
    with closing(sqlite3.connect(f"file:{site.data}/watchword.db?mode=ro", uri=True)) as database:

        def number(query: str) -> int:
            ((found,),) = database.execute(query).fetchall()
            assert isinstance(found, int)
            return found

        found = {table: number(f"SELECT count(*) FROM {table}") for table in TABLES}
        ended = {f"ended {table}": number(f"SELECT count(ended_at) FROM {table}") for table in ("sessions", "grants")}
        spent = number("SELECT count(spent_at) FROM refresh_tokens")
        return {**found, **ended, "spent": spent, "seq": number("SELECT seq FROM head")}


@contextmanager
def _no_longer_files(pid: int, size: int) -> Iterator[None]:
    """The process can write no file beyond that size (setrlimit(2))."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


@contextmanager
def _small_disk(place: Path) -> Iterator[None]:
    """A file system of a few MB. Skips where this account may not mount one; the test above needs no rights."""
    place.mkdir(mode=0o700)
    options = f"size={ROOM},mode=0700"
    command = ("mount", "-t", "tmpfs", "-o", options, "watchword-test", str(place))
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if ran.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {ran.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(("umount", str(place)), check=True)


@contextmanager
def _filler(folder: Path) -> Iterator[None]:
    """A file that takes all the room there is."""
    file = folder / "filler"
    with suppress(OSError), file.open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))
    try:
        yield
    finally:
        file.unlink()
