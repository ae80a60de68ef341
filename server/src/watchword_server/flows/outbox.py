"""Sending what was put into the outbox: after the commit, at least once, with a growing pause between tries.

Each receiver has a lane: its messages go one after the other, and all lanes side by side, so that who does not answer
keeps nobody else waiting. Before a message goes it is claimed, so that of many nodes one sends it. A node that dies
meanwhile leaves it to the others: it is sent twice then, where it had gone already.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from watchword_server.flows import backchannel
from watchword_server.flows.backchannel import NotTold
from watchword_server.flows.endings import BACKCHANNEL
from watchword_server.flows.issuer import Issuer
from watchword_server.people.values import User
from watchword_server.ports import Conflict, Mailer, MailFailed, Parcel, Unavailable

BATCH: Final = 100
"""Messages that are looked at in one go."""
LANES: Final = 32
"""Clients that are told at once; mail has a lane of its own beside these."""
MAIL: Final = "mail"
FIRST_PAUSE: Final = 5
LONGEST_PAUSE: Final = 3600
CLAIM: Final = 60
"""Seconds; the last is longer than any attempt takes."""

logger = logging.getLogger(__name__)


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


class Outgoing:
    """The messages that this process has under way. `clock` is in seconds; `moved` is called when a lane is through."""

    def __init__(
        self, issuer: Issuer, mailer: Mailer, clock: Callable[[], float], moved: Callable[[], None] = lambda: None
    ) -> None:
        self._issuer = issuer
        self._mailer = mailer
        self._clock = clock
        self._moved = moved
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self.sent = 0
        """How many messages have left."""

    async def begin(self) -> int:
        """Open lanes for what is due, and wait for none of them; how many. Raises Unavailable."""
        opened = 0
        for name, parcels in _by_lane(await self._issuer.stores.outbox.due(self._now(), BATCH)).items():
            if name not in self._lanes and (name == MAIL or len(self._lanes.keys() - {MAIL}) < LANES):
                self._lanes[name] = asyncio.create_task(self._run(name, parcels))
                opened += 1
        return opened

    async def through(self) -> None:
        """Wait until nothing is under way."""
        while self._lanes:
            await asyncio.wait(self._lanes.values())

    async def close(self) -> None:
        """Stop. What has not left is due again when its claim is over."""
        lanes = list(self._lanes.values())
        for task in lanes:
            task.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)

    async def _run(self, name: str, parcels: Sequence[Parcel]) -> None:
        try:
            await (self._mail(parcels) if name == MAIL else self._tell(parcels))
        except (Unavailable, Conflict) as error:
            logger.warning("messages put off", extra={"lane": name, "reason": str(error)})
        except Exception:
            logger.exception("messages put off", extra={"lane": name})
        else:
            self._moved()
        finally:
            del self._lanes[name]

    async def _mail(self, parcels: Sequence[Parcel]) -> None:
        for parcel in parcels:
            if await self._claimed(parcel, CLAIM):
                await self._mailed(parcel)

    async def _mailed(self, parcel: Parcel) -> None:
        outbox = self._issuer.stores.outbox
        try:
            await _notify(self._issuer, self._mailer, parcel)
        except MailFailed as error:
            await outbox.retry(parcel.number, self._now() + pause(parcel.attempts), str(error))
        else:
            await outbox.sent(parcel.number)
            self.sent += 1

    async def _tell(self, parcels: Sequence[Parcel]) -> None:
        """All that waits for one client. Where it fails, the rest waits as long: it may not be there at all."""
        rest = iter(parcels)
        for parcel in rest:
            if await self._claimed(parcel, CLAIM) and not await self._told(parcel):
                break
        for parcel in rest:
            await self._claimed(parcel, FIRST_PAUSE)

    async def _told(self, parcel: Parcel) -> bool:
        outbox = self._issuer.stores.outbox
        try:
            await backchannel.tell(self._issuer, parcel, self._now())
        except NotTold as error:
            now, reason = self._now(), str(error)
            if backchannel.is_over(parcel, now):
                await outbox.sent(parcel.number, backchannel.row(parcel, now, "given up", reason))
            else:
                failed = backchannel.row(parcel, now, "failed", reason)
                await outbox.retry(parcel.number, now + pause(parcel.attempts), reason, failed)
            return False
        await outbox.sent(parcel.number, backchannel.row(parcel, self._clock(), "ok"))
        self.sent += 1
        return True

    async def _claimed(self, parcel: Parcel, seconds: int) -> bool:
        now = self._now()
        return await self._issuer.stores.outbox.claim(parcel.number, now, now + seconds)

    def _now(self) -> int:
        return int(self._clock())


async def deliver(issuer: Issuer, mailer: Mailer, now: int) -> int:
    """Send what is due, and wait for it; how many messages left."""
    outgoing = Outgoing(issuer, mailer, lambda: now)
    try:
        await outgoing.begin()
        await outgoing.through()
    finally:
        await outgoing.close()
    return outgoing.sent


def pause(attempts: int) -> int:
    """Seconds until the next try after this many failed ones."""
    return min(LONGEST_PAUSE, FIRST_PAUSE << min(attempts, 16))


def _by_lane(parcels: Sequence[Parcel]) -> Mapping[str, Sequence[Parcel]]:
    found: dict[str, list[Parcel]] = {}
    for parcel in parcels:
        name = f"client:{parcel.body['client_id']}" if parcel.topic == BACKCHANNEL else MAIL
        found.setdefault(name, []).append(parcel)
    return found


async def _notify(issuer: Issuer, mailer: Mailer, parcel: Parcel) -> None:
    user = await issuer.stores.users.find(str(parcel.body.get("sub", "")))
    write = NOTICES.get(parcel.topic)
    if user is None or write is None:
        return  # The person is gone, or a newer version wrote a topic that this one does not know how to tell.
    notice = write(user, parcel.body)
    await mailer.send(user.email, notice.subject, notice.text)
