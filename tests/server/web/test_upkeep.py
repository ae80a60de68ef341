"""What runs beside the requests, on a real data folder."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx2
import pytest
from msgspec.structs import replace as changed

from tests.server.web.served import EMAIL, Served, filled, served
from watchword_server.changes import Audit, ResealKey, Send
from watchword_server.flows import users
from watchword_server.flows.issuer import Issuer
from watchword_server.main import load_settings, open_issuer
from watchword_server.ports import Log, MailFailed, Unavailable
from watchword_server.web import upkeep as upkeep_module
from watchword_server.web.upkeep import Upkeep

URL = "http://localhost:1"


@dataclass
class Mailbox:
    """A mailer that keeps what it is given, after failing some times."""

    failures: int = 0
    messages: list[tuple[str, str, str]] = field(default_factory=list)

    async def send(self, to: str, subject: str, text: str) -> None:
        """Keep it."""
        if self.failures:
            self.failures -= 1
            raise MailFailed("no")
        self.messages.append((to, subject, text))


@asynccontextmanager
async def deployment(folder: Path) -> AsyncIterator[Issuer]:
    """An issuer in this process."""
    await filled(URL, folder)
    async with open_issuer(load_settings(None, {"issuer": URL, "data": folder})) as issuer:
        yield issuer


async def until(fact: object, within: float = 10.0) -> None:
    """Wait for a fact, a function without arguments."""
    assert callable(fact)
    deadline = time.monotonic() + within
    while not fact():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.01)


async def test_a_message_leaves_after_its_commit(tmp_path: Path) -> None:
    """At once when a commit calls, and once only."""
    async with deployment(tmp_path) as issuer:
        user = await users.find(issuer, EMAIL)
        mailbox = Mailbox()
        upkeep = Upkeep(issuer, mailbox, time.time)
        async with upkeep:
            await issuer.stores.journal.save(Send("notice.password_changed", {"sub": user.sub}, int(time.time())))
            upkeep.news()
            await until(lambda: mailbox.messages)
            deadline = time.monotonic() + 10
            while await issuer.stores.outbox.due(int(time.time()) + 10, 10):
                assert time.monotonic() < deadline
        assert [(to, subject) for to, subject, _ in mailbox.messages] == [(EMAIL, "Your password was changed")]


async def test_a_message_that_fails_is_kept_for_later(tmp_path: Path) -> None:
    """It is due again after a pause, not lost and not sent in a loop."""
    async with deployment(tmp_path) as issuer:
        user, now = await users.find(issuer, EMAIL), int(time.time())
        await issuer.stores.journal.save(Send("notice.password_changed", {"sub": user.sub}, now))
        mailbox = Mailbox(failures=1)
        async with Upkeep(issuer, mailbox, time.time), asyncio.timeout(10):
            while [parcel.attempts for parcel in await issuer.stores.outbox.due(now + 3600, 10)] != [1]:
                await asyncio.sleep(0.01)
        assert mailbox.messages == []


async def test_what_has_expired_goes(tmp_path: Path) -> None:
    """However many batches it takes."""
    async with deployment(tmp_path) as issuer:
        await issuer.stores.journal.save(*(Audit(n, "anonymous", "old", "ok") for n in range(1200)))
        async with Upkeep(issuer, Mailbox(), time.time):
            deadline = time.monotonic() + 10
            while any(row.action == "old" for row in await issuer.stores.audit.latest(2000)):
                assert time.monotonic() < deadline
        assert await issuer.stores.audit.latest(10)


async def test_keys_are_tended(tmp_path: Path) -> None:
    """When their time has come, without anybody asking for it."""
    async with deployment(tmp_path) as issuer:
        (before,) = [key for key in await issuer.stores.keys.all() if key.use == "access" and key.active_at]
        ahead = issuer.terms.rotate_every
        async with Upkeep(issuer, Mailbox(), lambda: time.time() + ahead), asyncio.timeout(10):
            while not any(row.action == "key.rotate" for row in await issuer.stores.audit.latest(9)):
                await asyncio.sleep(0.01)
        ended = {key.kid: key.retired_at for key in await issuer.stores.keys.all()}
        assert ended[before.kid]


async def test_keys_that_cannot_be_tended_now_are_tended_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A master key that does not fit is told, and everything else goes on."""
    async with deployment(tmp_path) as issuer:
        signing, waiting = sorted(
            (key for key in await issuer.stores.keys.all() if key.use == "access"),
            key=lambda key: key.active_at is None,
        )
        await issuer.stores.journal.save(ResealKey(waiting.kid, waiting.sealed, signing.sealed))
        async with Upkeep(issuer, Mailbox(), time.time) as upkeep:
            await until(lambda: "keys put off" in caplog.text)
            await well(upkeep)
    assert "background task died" not in caplog.text


async def well(upkeep: Upkeep) -> None:
    """Wait until it is ready."""
    async with asyncio.timeout(10):
        while await upkeep.ailment() is not None:
            await asyncio.sleep(0.01)


class Dying:
    """A log that cannot be read, and says so with an error that nobody expects."""

    async def after(self, seq: int, limit: int) -> object:
        raise RuntimeError("broken")


class Silent:
    """A log that is locked."""

    async def head(self) -> object:
        raise Unavailable("locked")


async def test_a_task_that_dies_is_told_and_started_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Readiness names it while it is down, and is good again when it runs."""
    async with deployment(tmp_path) as issuer:
        sound = issuer.feed._log
        upkeep = Upkeep(issuer, Mailbox(), time.time)
        issuer.feed._log = Dying()  # type: ignore[assignment]  # a fault, planted where no file can be broken in time
        async with upkeep:
            await until(lambda: "background task died" in caplog.text)
            assert await upkeep.ailment() == "not running: feed"
            issuer.feed._log = sound
            await until(lambda: not upkeep._down)
            await well(upkeep)
        assert await upkeep.ailment() is not None


class Hanging:
    """A log whose head can be read, but not what is new; as far as it answers."""

    def __init__(self, sound: Log) -> None:
        self._sound = sound

    async def after(self, seq: int, limit: int) -> object:
        await asyncio.sleep(3600)

    def __getattr__(self, name: str) -> object:
        return getattr(self._sound, name)


async def test_a_feed_that_lags_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before the first look; not when it hangs, though its task runs and the database answers otherwise."""
    monkeypatch.setattr(upkeep_module, "LAG", 0.6)
    async with deployment(tmp_path) as issuer:
        sound = issuer.feed._log
        upkeep = Upkeep(issuer, Mailbox(), time.time)
        issuer.feed._log = Hanging(sound)  # type: ignore[assignment]  # a fault, planted
        async with upkeep:
            assert await upkeep.ailment() == "the feed lags behind the log"
        issuer.feed._log, issuer.feed._looking = sound, asyncio.Lock()
        async with upkeep, asyncio.timeout(10):
            await well(upkeep)
            issuer.feed._log = Hanging(sound)  # type: ignore[assignment]  # as said
            while await upkeep.ailment() is None:
                await asyncio.sleep(0.01)
            assert await upkeep.ailment() == "the feed lags behind the log"


async def test_a_database_that_does_not_answer_is_told(tmp_path: Path) -> None:
    """In words for an operator, without the error's own."""
    async with deployment(tmp_path) as issuer:
        stores = changed(issuer.stores, log=Silent())
        async with Upkeep(replace(issuer, stores=stores), Mailbox(), time.time) as upkeep:
            assert await upkeep.ailment() == "the database does not answer"


def test_health_and_readiness(server: Served) -> None:
    """Two questions with two answers."""
    alive, ready = server.http.get("/healthz"), server.http.get("/readyz")
    assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


def test_a_server_whose_database_is_gone_is_alive_and_not_ready(tmp_path: Path) -> None:
    """503 with a reason, so that nobody is sent there; and tokens are 503 too."""
    with served(tmp_path) as own:
        file = own.data / "watchword.db"
        for path in (file, *own.data.glob("watchword.db-*")):
            path.write_bytes(b"\0" * path.stat().st_size)

        def not_ready() -> bool:
            return own.http.get("/readyz").status_code == 503

        deadline = time.monotonic() + 10
        while not not_ready():
            assert time.monotonic() < deadline
        answer: httpx2.Response = own.http.get("/readyz")
        assert answer.json()["status"] == "not ready"
        assert answer.json()["reason"]
        assert own.http.get("/healthz").status_code == 200
        assert own.token().json()["error"] in ("temporarily_unavailable", "server_error")
