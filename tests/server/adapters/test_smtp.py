"""Messages reach a real mail server as they were meant, and a failure says nothing about them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTPUTF8

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.stories.processes import free_ports
from watchword_server.adapters.smtp.mailer import SmtpMailer
from watchword_server.adapters.smtp.nowhere import NoMailer
from watchword_server.ports import MailFailed


class Inbox:
    """Takes messages, but for one address."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.recipients: list[str] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """RFC 5321 §3.3."""
        if address == "refused@example.com":
            return "550 refused@example.com is not here"
        envelope.rcpt_tos.append(address)
        self.recipients.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """RFC 5321 §3.3."""
        message = BytesParser(_class=EmailMessage, policy=SMTPUTF8).parsebytes(envelope.original_content or b"")
        self.messages.append(message)
        return "250 OK"


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, SmtpMailer]]:
    """A mail server on loopback, and a mailer for it."""
    (port,) = free_ports()
    found = Inbox()
    controller = Controller(found, hostname="127.0.0.1", port=port, enable_SMTPUTF8=True)
    controller.start()
    yield found, SmtpMailer("127.0.0.1", port, "id@example.com", "none")
    controller.stop()


async def test_a_message_arrives_as_it_was_written(inbox: tuple[Inbox, SmtpMailer]) -> None:
    """Also with letters beyond ASCII; and it says that a program sent it (RFC 3834 §5)."""
    found, mailer = inbox
    await mailer.send("alice@example.com", "Grüße", "Hello Ünal,\n\nbye\n")
    (message,) = found.messages
    assert (message["From"], message["To"], message["Subject"]) == ("id@example.com", "alice@example.com", "Grüße")
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].endswith("@example.com>")
    assert message.get_content().splitlines() == ["Hello Ünal,", "", "bye"]


@pytest.mark.parametrize(
    ("to", "reached"),
    [
        ("jürgen@example.com", "jürgen@example.com"),  # RFC 6531
        ("evil,alice@example.com", '"evil,alice"@example.com'),  # RFC 5321 §4.1.2: one address, not two
    ],
)
async def test_a_strange_address_is_one_address(inbox: tuple[Inbox, SmtpMailer], to: str, reached: str) -> None:
    """Letters beyond ASCII and quoted ones reach whom they name, and nobody else."""
    found, mailer = inbox
    await mailer.send(to, "Hello", "text")
    assert found.messages[0]["To"] == reached
    assert found.recipients == [reached]


@pytest.mark.parametrize(
    ("to", "subject"),
    [
        ("refused@example.com", "Hello"),
        ("alice@example.com\r\nBcc: evil@example.com", "Hello"),
        ("alice@example.com", "Hello\r\nBcc: evil@example.com"),
        ("no address", "Hello"),
    ],
)
async def test_what_does_not_leave_is_a_failure_that_names_nobody(
    inbox: tuple[Inbox, SmtpMailer], to: str, subject: str
) -> None:
    """Refused by the server, or with a header smuggled in: nothing is sent."""
    found, mailer = inbox
    with pytest.raises(MailFailed) as error:
        await mailer.send(to, subject, "the text")
    assert found.messages == []
    assert not any(word in str(error.value) for word in ("example.com", "Hello", "text"))


async def test_no_server_and_no_encryption_are_failures(inbox: tuple[Inbox, SmtpMailer]) -> None:
    """STARTTLS that is asked for must come: a message never goes unencrypted instead."""
    found, mailer = inbox
    (nobody,) = free_ports()
    for broken in (
        SmtpMailer("127.0.0.1", nobody, "id@example.com", "none"),
        SmtpMailer("127.0.0.1", mailer.port, "id@example.com", "starttls"),
        SmtpMailer("127.0.0.1", mailer.port, "id@example.com", "implicit"),
    ):
        with pytest.raises(MailFailed):
            await broken.send("alice@example.com", "Hello", "text")
    assert found.messages == []


async def test_without_a_server_the_log_says_what_was_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    """The subject, which is ours; neither the person nor the text."""
    with caplog.at_level(logging.WARNING):
        await NoMailer().send("alice@example.com", "Your password was changed", "the text")
    (record,) = caplog.records
    assert vars(record)["subject"] == "Your password was changed"
    assert "alice" not in str(vars(record))
    assert "the text" not in str(vars(record))


def test_a_mailer_does_not_show_its_password() -> None:
    """Not even to who prints it."""
    assert "hunter2" not in repr(SmtpMailer("h", 1, "a@b", "starttls", "user", "hunter2"))
