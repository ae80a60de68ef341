"""Hands messages to a mail server."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTPUTF8
from email.utils import formatdate, make_msgid
from typing import Final, Literal

import aiosmtplib

from watchword_server.ports import MailFailed

TIMEOUT: Final = 10.0
"""Seconds for the whole conversation with the mail server."""


@dataclass(frozen=True, slots=True)
class SmtpMailer:
    """Hands messages to one mail server (RFC 5321). `tls`: STARTTLS that must succeed, TLS from the start, or none."""

    host: str
    port: int
    sender: str
    tls: Literal["starttls", "implicit", "none"]
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    async def send(self, to: str, subject: str, text: str) -> None:
        """Raises MailFailed, whose message names neither the person nor the text."""
        try:
            await aiosmtplib.send(
                _message(self.sender, to, subject, text),
                hostname=self.host,
                port=self.port,
                username=self.username,
                password=self.password,
                use_tls=self.tls == "implicit",
                start_tls=self.tls == "starttls",
                tls_context=ssl.create_default_context() if self.tls != "none" else None,
                timeout=TIMEOUT,
            )
        except aiosmtplib.SMTPResponseException as error:
            raise MailFailed(f"{type(error).__name__} {error.code}") from error
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise MailFailed(type(error).__name__) from error


def _message(sender: str, to: str, subject: str, text: str) -> EmailMessage:
    """A message that says it was sent by a program (RFC 3834 §5). Headers are encoded, never pasted."""
    message = EmailMessage(policy=SMTPUTF8)
    message["From"] = _address(sender)
    message["To"] = _address(to)
    message["Subject"] = subject
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message


def _address(text: str) -> Address:
    """One address, whatever stands before its @: what is special there is quoted, so a comma makes no second one."""
    name, at, domain = text.rpartition("@")
    if not (name and at and domain):
        raise ValueError("not an e-mail address")
    return Address(username=name, domain=domain)
