"""The master key is rotated while an issuer serves, rotates its signing keys, and is killed.

A running issuer reads keys, makes one, and saves it; meanwhile the command gives every key another seal and forgets the
master key of before. Whatever the moment, and whoever is killed in it: every key opens with what the file gives.
`WATCHWORD_TEST_KILLS` says how many kills.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import httpx2
import pytest

from tests.stories.processes import Client, Site, bearer, deployment, environ, until
from watchword.jose.b64 import b64url
from watchword_server.adapters.keystore.file import MasterKeyFile
from watchword_server.adapters.keystore.sealed import SealedKeys
from watchword_server.adapters.keystore.setting import MasterKeySetting
from watchword_server.changes import StoredKey

KILLS = int(os.environ.get("WATCHWORD_TEST_KILLS", "24"))
ROTATIONS = 5
BUSY = "keys.rotate_every = 15\nkeys.publish_ahead = 6\ntokens.access_lifetime = 60\n"
"""Signing keys change all the time: the shortest settings that there are."""
HANGS = 60.0
"""Seconds after which a command should have ended."""
COLUMNS = "kid, use, alg, public, sealed, created_at, retired_at, revoked_at, active_at"


@dataclass
class Load:
    """Asks for tokens and calls the API with them, all the time."""

    site: Site
    client: Client
    answers: Counter[str] = field(default_factory=Counter)
    kids: set[str] = field(default_factory=set)
    """The keys that signed."""

    @contextmanager
    def running(self, threads: int = 3) -> Iterator[None]:
        """While the block runs."""
        stop = Event()
        workers = [Thread(target=self._work, args=(stop,), daemon=True) for _ in range(threads)]
        for worker in workers:
            worker.start()
        try:
            yield
        finally:
            stop.set()
            for worker in workers:
                worker.join(20)

    def _work(self, stop: Event) -> None:
        with httpx2.Client(trust_env=False, timeout=20) as http:
            while not stop.is_set():
                self.answers[self._turn(http)] += 1
                stop.wait(0.02)

    def _turn(self, http: httpx2.Client) -> str:
        """`ok`, or what went wrong."""
        form = {"grant_type": "client_credentials"}
        try:
            answer = http.post(f"{self.site.issuer}/token", data=form, auth=self.client.auth)
            if answer.status_code != 200:
                return f"token {answer.status_code} {answer.text}"
            token = answer.json()["access_token"]
            self.kids.add(header(token)["kid"])
            called = http.get(f"{self.site.api_url}/orders", headers=bearer(token))
        except httpx2.HTTPError as error:
            return repr(error)
        return "ok" if called.status_code == 200 else f"API {called.status_code} {called.text}"


def header(token: str) -> dict[str, str]:
    """A token's header, unverified."""
    import jwt

    found: dict[str, str] = jwt.get_unverified_header(token)
    return found


def keys_of(site: Site) -> list[StoredKey]:
    """Every key that has not been thrown away, as it lies in the database."""
    with closing(sqlite3.connect(f"file:{site.data}/watchword.db?mode=ro", uri=True, timeout=10)) as database:
        rows = database.execute(f"SELECT {COLUMNS} FROM keys WHERE revoked_at IS NULL").fetchall()
    return [StoredKey(*row) for row in rows]


def opens(site: Site, store: SealedKeys) -> int:
    """Every key opens with this; how many there are."""
    found = keys_of(site)
    for key in found:
        assert store.open(key).kid == key.kid
    assert found
    return len(found)


def texts(site: Site) -> list[str]:
    """The master keys in the file."""
    return (site.data / "master.key").read_text().split()


def left(site: Site, sealed: set[bytes]) -> bool:
    """Whether any piece of these seals is in a file of the database."""
    content = [path.read_bytes() for path in site.data.glob("watchword.db*")]
    pieces = [one[at : at + 24] for one in sealed for at in range(9, len(one) - 24, 24)]
    return any(piece in file for piece in pieces for file in content)


def is_closed_to_others(site: Site) -> bool:
    """Nothing in the data folder can be read by another account."""
    return not any(path.stat().st_mode & 0o077 for path in site.data.iterdir())


@pytest.mark.fault
@pytest.mark.timeout(300)
def test_the_master_key_is_rotated_under_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Five times, by command, under an issuer whose signing keys change every 15 s: every token verifies.

    Afterwards only the newest master key is needed to start, and none of them is anywhere but in its file.
    """
    with deployment(tmp_path, settings=BUSY) as site:
        load, seen, said, old = Load(site, site.new_client()), texts(site), list[str](), set[bytes]()
        with load.running():
            kids = {key["kid"] for key in site.cli("key", "list")["keys"]}
            for turn in range(ROTATIONS):
                until(lambda turn=turn: len(load.kids) > turn // 2, within=60)
                old |= {key.sealed for key in keys_of(site)}
                done = site.cli("key", "rotate-master")
                said.append(json.dumps(done))
                assert len(done["resealed"]) == done["keys"], done
                old -= {key.sealed for key in keys_of(site)}
                assert texts(site)[0] not in seen
                seen += texts(site)
                new = {key["kid"] for key in site.cli("key", "list")["keys"]} - kids
                # The next rotation waits for a key that the running issuer has made under this master key.
                until(lambda new=new, kids=kids: {key.kid for key in keys_of(site)} - new - kids, within=60)
                kids |= new
        assert set(load.answers) == {"ok"}, load.answers
        assert len(load.kids) > 2
        assert len(seen) == len(set(seen)) == ROTATIONS + 1
        assert texts(site) == seen[-1:]
        count = opens(site, SealedKeys(MasterKeySetting(seen[-1])))
        site.stop_issuer()
        assert not left(site, old)
        seconds = site.start()
        assert site.call(site.client_token(load.client)) == 200
        assert site.cli("doctor")["ok"] is True
        assert is_closed_to_others(site)
        assert site.server is not None
        logged = "\n".join([*site._log, *site.server.lines, *said])
        assert "keys put off" not in logged
        stored = b"".join(path.read_bytes() for path in site.data.glob("watchword.db*"))
        for text in seen:
            assert text not in logged
            assert text.encode() not in stored
    with capsys.disabled():
        print(
            f"\n  {ROTATIONS} rotations of the master key, {load.answers['ok']} tokens made and verified by"
            f" {len(load.kids)} keys, none refused; {count} keys open with the last; ready again after {seconds:.1f} s"
        )


# Killed.


@dataclass(frozen=True)
class Shot:
    """When to kill: `aim` is begun, changed or sealed; `part` is how far through that interval."""

    aim: str
    part: float


@dataclass
class Usual:
    """How long rotations take that nobody kills; seconds."""

    whole: list[float] = field(default_factory=list)
    working: list[float] = field(default_factory=list)
    """From the first change in the folder to the last."""

    def delay(self, shot: Shot) -> float:
        """How long after the aim's own moment to wait."""
        span = {"begun": self.whole, "changed": self.working, "sealed": self.working}[shot.aim]
        return shot.part**2 * statistics.median(span)  # most of what happens, happens at the beginning


AIMS = ("changed", "sealed", "changed", "sealed", "begun")
"""Most kills lie between the first change in the folder and the last; few anywhere in the life of the command."""
BEGUN, SEALED = "before all were sealed anew", "before the old one was forgotten"


@pytest.mark.fault
@pytest.mark.timeout(180 + 20 * KILLS)
def test_a_rotation_that_is_killed_loses_no_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`kill -9` at random moments, the issuer serving all along, and killed itself now and then.

    After each: every key opens with what the file gives, and the issuer starts. At last one rotation finishes all.
    """
    with deployment(tmp_path, settings=BUSY, api=False) as site:
        client, usual, tally = site.new_client(), Usual(), Counter[str]()
        for _ in range(3):
            _unharmed(site, usual)
        for number in range(KILLS):
            shot = Shot(AIMS[number % len(AIMS)], random.random())
            before, sealed = texts(site), _sealed(site)
            _killed(site, shot, usual)
            tally[_fate(before, sealed, texts(site), _sealed(site))] += 1
            if number % 4 == 3:
                site.kill()
            opens(site, SealedKeys(MasterKeyFile(site.data / "master.key")))
            if number % 4 == 3:
                site.restart()
            assert site.client_token(client)
        until(lambda: len(site.cli("key", "rotate-master")["given"]) == 1)
        (last,) = texts(site)
        count = opens(site, SealedKeys(MasterKeySetting(last)))
        site.kill()
        site.restart()
        assert site.client_token(client)
        assert site.cli("doctor")["ok"] is True
        left = {path.name for path in site.data.iterdir()} - {"master.key"}
        assert not [name for name in left if "master.key" in name], left
        assert is_closed_to_others(site)
    with capsys.disabled():
        print(f"\n  {KILLS} kills: " + ", ".join(f"{number} {fate}" for fate, number in tally.most_common()))
        print(
            f"  a rotation takes {statistics.median(usual.whole):.2f} s, of which"
            f" {statistics.median(usual.working) * 1000:.0f} ms change something; {count} keys open with the last"
        )
    assert tally[BEGUN] + tally[SEALED] > KILLS // 8, tally


def _rotation(site: Site) -> subprocess.Popen[bytes]:
    arguments = ("-m", "watchword_server", "key", "rotate-master", "--json", "--config", str(site.config))
    return subprocess.Popen(
        [sys.executable, *arguments], env=environ(), cwd=site.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def _unharmed(site: Site, usual: Usual) -> None:
    start, before = time.perf_counter(), _shape(site)
    with _rotation(site) as process:
        _spin(lambda: _shape(site) != before)
        first = last = time.perf_counter()
        was = _shape(site)
        while process.poll() is None:
            if (now := _shape(site)) != was:
                was, last = now, time.perf_counter()
    assert process.returncode == 0
    usual.whole.append(time.perf_counter() - start)
    usual.working.append(last - first)


def _killed(site: Site, shot: Shot, usual: Usual) -> None:
    """Kill a rotation at the moment that was chosen; should it have ended by then, so be it."""
    before = _shape(site)
    with _rotation(site) as process:
        if shot.aim != "begun":
            _spin(lambda: _shape(site) != before or process.poll() is not None)
        if shot.aim == "sealed":  # both keys are in the file, and something was committed
            _spin(lambda: len(texts(site)) == 2 or process.poll() is not None)
            both = _shape(site)
            _spin(lambda: _shape(site)[2] != both[2] or process.poll() is not None)
        due = time.perf_counter() + usual.delay(shot)
        _spin(lambda: time.perf_counter() >= due)
        process.send_signal(signal.SIGKILL)


def _shape(site: Site) -> tuple[object, ...]:
    """Changes with the file, with its draft, and with what is committed."""
    found: list[object] = []
    for name in ("master.key", ".master.key.next", "watchword.db-wal"):
        try:
            facts = (site.data / name).stat()
            found.append((facts.st_ino, facts.st_size, facts.st_mtime_ns))
        except FileNotFoundError:
            found.append(None)
    return tuple(found)


def _spin(fact: Callable[[], bool]) -> None:
    """Wait without a pause: microseconds count here."""
    deadline = time.perf_counter() + HANGS
    while not fact():
        assert time.perf_counter() < deadline, "nothing happens"


def _sealed(site: Site) -> dict[str, bytes]:
    """Under which master key each key is sealed."""
    return {key.kid: key.sealed[1:9] for key in keys_of(site)}


def _fate(before: Sequence[str], sealed: dict[str, bytes], after: Sequence[str], now: dict[str, bytes]) -> str:
    """How far it got."""
    resealed = any(now.get(kid, name) != name for kid, name in sealed.items())
    if len(after) == 1:
        return "before anything changed" if list(after) == list(before) else "after the last change"
    return SEALED if resealed else BEGUN


# From a command.


@pytest.mark.fault
def test_a_running_issuer_takes_a_new_master_key_from_its_command(tmp_path: Path) -> None:
    """Nobody starts it again: it runs the command once more for a key that another process sealed under the new one.

    While the command fails it goes on signing; nothing that the command printed is in its log.
    """
    printed = tmp_path / "printed"
    first, second = b64url(os.urandom(32)), b64url(os.urandom(32))
    printed.write_text(first)
    command = f"master_key_command = {json.dumps(['cat', str(printed)])}\n"
    with deployment(tmp_path / "site", settings=BUSY + command) as site:
        client = site.new_client()
        printed.write_text(f"{second} {first}")
        done = site.cli("key", "rotate-master")
        assert (done["source"], len(done["resealed"])) == ("command", done["keys"])
        printed.write_text(second)
        made = {key["kid"] for key in site.cli("key", "list")["keys"]}
        site.cli("key", "rotate")

        def signs_with_a_key_of_its_own() -> bool:
            token = site.client_token(client)
            assert site.call(token) == 200
            return header(token)["kid"] not in made

        until(signs_with_a_key_of_its_own, within=60, pause=0.2)
        opens(site, SealedKeys(MasterKeySetting(second)))
        printed.write_text("")
        ran = site.run("key", "rotate-master")
        assert (ran.code, ran.document["error"]) == (2, "master_key")
        assert site.call(site.client_token(client)) == 200
        site.stop_issuer()
        refused = subprocess.run(
            [sys.executable, "-m", "watchword_server", "serve", "--config", str(site.config)],
            capture_output=True,
            text=True,
            env=environ(),
            cwd=site.folder,
            timeout=60,
            check=False,
        )
        assert refused.returncode == 2
        assert "printed nothing, where a master key is due" in refused.stderr
        printed.write_text(second)
        site.start()
        assert site.call(site.client_token(client)) == 200
        assert site.server is not None
        logged = "\n".join([*site._log, *site.server.lines])
        for text in (first, second):
            assert text not in logged
        assert not (site.data / "master.key").exists()
