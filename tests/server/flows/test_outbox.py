"""Messages leave after the commit, through a real mail server, at least once, and wait longer for one that fails."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTPUTF8

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.server.flows.house import ALICE, BOB, BY, NOW, House
from tests.stories.processes import free_ports
from watchword_server.adapters.smtp.mailer import SmtpMailer
from watchword_server.changes import Send
from watchword_server.flows import users
from watchword_server.flows.outbox import BATCH, FIRST_PAUSE, LONGEST_PAUSE, deliver, pause
from watchword_server.flows.purge import purge
from watchword_server.ports import Unavailable
from watchword_server.protocol.errors import RefreshReused


class PostOffice:
    """A mail server on loopback that refuses as long as it is told to."""

    def __init__(self) -> None:
        self.refusals = 0
        self.asked = 0
        self.messages: list[EmailMessage] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """RFC 5321 §4.2: 4yz is a failure that passes."""
        self.asked += 1
        if self.refusals:
            self.refusals -= 1
            return "451 not now, alice@example.com"
        message = BytesParser(_class=EmailMessage, policy=SMTPUTF8).parsebytes(envelope.original_content or b"")
        self.messages.append(message)
        return "250 OK"


@contextmanager
def running(office: PostOffice, port: int) -> Iterator[None]:
    """While it is open."""
    controller = Controller(office, hostname="127.0.0.1", port=port, enable_SMTPUTF8=True)
    controller.start()
    try:
        yield
    finally:
        controller.stop()


@pytest.fixture
def port() -> int:
    """Where it is."""
    return free_ports()[0]


@pytest.fixture
def mailer(port: int) -> SmtpMailer:
    """A way there."""
    return SmtpMailer("127.0.0.1", port, "id@example.com", "none")


def waiting(house: House) -> list[tuple[int | None, int, str]]:
    """What stands in the outbox: when it is due, how often it failed, why."""
    return house.rows("SELECT due_at, attempts, reason FROM outbox ORDER BY number")


async def test_who_got_another_password_is_told(house: House, port: int, mailer: SmtpMailer) -> None:
    """The person herself, in words that help, without the password; once."""
    office = PostOffice()
    await users.set_password(house.issuer, BY, ALICE, "another Password 9", NOW)
    with running(office, port):
        assert await deliver(house.issuer, mailer, NOW) == 1
        assert await deliver(house.issuer, mailer, NOW + LONGEST_PAUSE) == 0
    (message,) = office.messages
    assert (message["To"], message["Subject"]) == (ALICE, "Your password was changed")
    text = message.get_content()
    assert "Hello Alice" in text
    assert "another Password 9" not in message.as_string()


async def test_who_is_signed_out_for_safety_is_told_by_whom(house: House, port: int, mailer: SmtpMailer) -> None:
    """A replayed refresh token: the client's name and the address it came from, and never the token."""
    office = PostOffice()
    first = (await house.sign_in()).tokens.refresh_token or ""
    second = (await house.refresh(first)).refresh_token
    await house.refresh(second)
    with pytest.raises(RefreshReused):
        await house.refresh(first)
    with running(office, port):
        assert await deliver(house.issuer, mailer, NOW) == 1
    text = office.messages[0].get_content()
    assert "Page" in text
    assert "192.0.2.7" in text
    assert first not in office.messages[0].as_string()


async def test_nothing_leaves_before_the_commit(house: House, port: int, mailer: SmtpMailer) -> None:
    """What did not happen is not told: the message is in the transaction."""
    office = PostOffice()
    before = house.everything()
    with closing(sqlite3.connect(house.data / "watchword.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            await users.set_password(house.issuer, BY, ALICE, "another Password 9", NOW)
        other.execute("ROLLBACK")
    assert house.everything() == before
    with running(office, port):
        assert await deliver(house.issuer, mailer, NOW) == 0
    assert office.asked == 0


async def test_a_server_that_fails_is_asked_again_later_and_later(house: House, port: int, mailer: SmtpMailer) -> None:
    """5 s, then twice as long each time, at most an hour; nothing is lost, and the reason names nobody."""
    office = PostOffice()
    office.refusals = 12
    await users.set_password(house.issuer, BY, ALICE, "another Password 9", NOW)
    now, pauses = NOW, []
    with running(office, port):
        for tries in range(1, 13):
            assert await deliver(house.issuer, mailer, now) == 0
            ((due, attempts, reason),) = waiting(house)
            assert (attempts, office.asked) == (tries, tries)
            assert "451" in reason
            assert "alice" not in reason
            assert due is not None
            assert await deliver(house.issuer, mailer, due - 1) == 0
            assert office.asked == tries, "asked before it was time"
            pauses.append(due - now)
            now = due
        assert await deliver(house.issuer, mailer, now) == 1
    assert pauses == [min(LONGEST_PAUSE, FIRST_PAUSE * 2**n) for n in range(12)]
    assert len(office.messages) == 1
    assert waiting(house)[0][0] is None


async def test_a_server_that_is_not_there_is_no_loss(house: House, port: int, mailer: SmtpMailer) -> None:
    """Nobody listens; then somebody does."""
    office = PostOffice()
    await users.set_password(house.issuer, BY, ALICE, "another Password 9", NOW)
    assert await deliver(house.issuer, mailer, NOW) == 0
    assert waiting(house)[0][:2] == (NOW + FIRST_PAUSE, 1)
    with running(office, port):
        assert await deliver(house.issuer, mailer, NOW + FIRST_PAUSE) == 1
    assert len(office.messages) == 1


async def test_one_failure_holds_up_nobody_else(house: House, port: int, mailer: SmtpMailer) -> None:
    """The first message is refused, those behind it arrive; more than a batch in several goes."""
    office = PostOffice()
    office.refusals = 1
    sub = await house.sub(BOB)
    for _ in range(BATCH + 5):
        await house.issuer.stores.journal.save(Send("notice.password_changed", {"sub": sub}, NOW))
    with running(office, port):
        assert await deliver(house.issuer, mailer, NOW) == BATCH - 1
        assert await deliver(house.issuer, mailer, NOW) == 5
        assert await deliver(house.issuer, mailer, NOW + FIRST_PAUSE) == 1
    assert {message["To"] for message in office.messages} == {BOB}
    assert len(office.messages) == BATCH + 5


async def test_what_cannot_be_told_to_anybody_goes(house: House, mailer: SmtpMailer) -> None:
    """A person who is gone, a topic of a newer version: they do not clog the outbox."""
    sub = await house.sub()
    for send in (
        Send("notice.password_changed", {"sub": "nobody"}, NOW),
        Send("notice.from_the_future", {"sub": sub}, NOW),
    ):
        await house.issuer.stores.journal.save(send)
    assert await deliver(house.issuer, mailer, NOW) == 2
    assert [due for due, *_ in waiting(house)] == [None, None]


async def test_what_was_sent_is_forgotten_and_what_waits_is_not(house: House, port: int, mailer: SmtpMailer) -> None:
    """The purge takes sent messages only, however old the others are."""
    office = PostOffice()
    await users.set_password(house.issuer, BY, ALICE, "another Password 9", NOW)
    with running(office, port):
        assert await deliver(house.issuer, mailer, NOW) == 1
        office.refusals = 1
        await users.set_password(house.issuer, BY, BOB, "another Password 9", NOW)
        assert await deliver(house.issuer, mailer, NOW) == 0
        assert await purge(house.issuer, NOW + 300 * 24 * 3600) >= 1
        ((due, attempts, _),) = waiting(house)
        assert (due, attempts) == (NOW + FIRST_PAUSE, 1)
        assert await deliver(house.issuer, mailer, NOW + FIRST_PAUSE) == 1
    assert [message["To"] for message in office.messages] == [ALICE, BOB]


async def test_of_two_that_deliver_at_once_one_sends(house: House, port: int, mailer: SmtpMailer) -> None:
    """Another process has the same outbox: nobody is left out, and nobody gets anything twice."""
    office = PostOffice()
    subs = [await house.sub(email) for email in (ALICE, BOB)]
    for sub in subs * 5:
        await house.issuer.stores.journal.save(Send("notice.password_changed", {"sub": sub}, NOW))
    async with house.another_process() as other:
        with running(office, port):
            await asyncio.gather(deliver(house.issuer, mailer, NOW), deliver(other.issuer, mailer, NOW))
    assert {due for due, *_ in waiting(house)} == {None}
    for email in (ALICE, BOB):
        assert sum(message["To"] == email for message in office.messages) == 5


def test_the_pause_never_shrinks_and_never_overflows() -> None:
    """However often it failed."""
    pauses = [pause(attempts) for attempts in (*range(50), 10**6, 10**12)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (FIRST_PAUSE, LONGEST_PAUSE)
