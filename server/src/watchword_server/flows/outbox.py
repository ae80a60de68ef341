"""Sending what was put into the outbox: after the commit, at least once, with a growing pause between tries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from watchword_server.flows.issuer import Issuer
from watchword_server.people.values import User
from watchword_server.ports import Mailer, MailFailed, Parcel

BATCH = 50
FIRST_PAUSE = 5
LONGEST_PAUSE = 3600
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What a person is told."""

    subject: str
    text: str


def _refresh_reused(user: User, body: Mapping[str, str | int]) -> Notice:
    return Notice(
        "You were signed out for safety",
        f"Hello {user.name or user.email},\n\n"
        f"somebody at {body.get('address') or 'an unknown address'} used an old key of your sign-in to "
        f"{body.get('client')}. It may have been copied, so that sign-in was ended.\n"
        "If the sign-in page asks you for your password again, that is why. "
        "If you did not expect this, change your password.\n",
    )


def _password_changed(user: User, body: Mapping[str, str | int]) -> Notice:
    return Notice(
        "Your password was changed",
        f"Hello {user.name or user.email},\n\nyour password was changed, and all your sign-ins were ended.\n"
        "If that was not you or your administrator, tell them now.\n",
    )


NOTICES: Mapping[str, Callable[[User, Mapping[str, str | int]], Notice]] = {
    "notice.refresh_reused": _refresh_reused,
    "notice.password_changed": _password_changed,
}


async def deliver(issuer: Issuer, mailer: Mailer, now: int) -> int:
    """Send what is due; how many messages left."""
    sent = 0
    for parcel in await issuer.stores.outbox.due(now, BATCH):
        try:
            await _deliver(issuer, mailer, parcel)
        except MailFailed as error:
            await issuer.stores.outbox.retry(parcel.number, now + pause(parcel.attempts), str(error))
        else:
            await issuer.stores.outbox.sent(parcel.number)
            sent += 1
    return sent


def pause(attempts: int) -> int:
    """Seconds until the next try after this many failed ones."""
    return min(LONGEST_PAUSE, FIRST_PAUSE << min(attempts, 16))


async def _deliver(issuer: Issuer, mailer: Mailer, parcel: Parcel) -> None:
    user = await issuer.stores.users.find(str(parcel.body.get("sub", "")))
    write = NOTICES.get(parcel.topic)
    if user is None or write is None:
        return  # The person is gone, or a newer version wrote a topic that this one does not know how to tell.
    notice = write(user, parcel.body)
    await mailer.send(user.email, notice.subject, notice.text)
