"""The express lane of the token endpoint.

A program that asks for the same token again, while no client, API or key has changed, is answered right from its
connection: what it may have was decided before (`flows/repeats.py`), so only signing and the audit row are
left. What arrives while one batch is made durable shares the next transaction, and none is answered before
that is durable. A refresh, and a code, are decided anew each time, as behind the door, but spared the way there.
Everything else goes through the door as ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache
from http import HTTPStatus
from typing import Final, NamedTuple, Protocol

from watchword_server.flows.issuer import Caller
from watchword_server.flows.minting import Standing
from watchword_server.flows.repeats import Decided
from watchword_server.flows.token import digest, issue_again, recall, standing
from watchword_server.protocol.form import fields
from watchword_server.web.arrivals import Arrivals, Peer, now_answering
from watchword_server.web.asgi import Answer, Header, encoded
from watchword_server.web.door import stamp
from watchword_server.web.front import Front
from watchword_server.web.oauth import TOKEN_HEADERS, Posted, token, token_answer
from watchword_server.web.refusals import refusal

MAX_BODY: Final = 4096
"""Bytes of the longest form that is looked at here."""
SEATS: Final = 128
"""Tokens that are signed in one go: some milliseconds, in which nobody else is answered."""
FORM: Final = b"application/x-www-form-urlencoded"
ONCE: Final = (b"grant_type=refresh_token", b"grant_type=authorization_code")
"""What stands in a form that spends something; wherever it stands, the form is read in full."""
NEVER_AGAIN: Final = b""
"""What such a form is remembered by: the same bytes deserve another answer."""


class Passenger(Protocol):
    """A connection that waits for its answer."""

    def deliver(self, response: bytes) -> None:
        """Take the whole response."""
        ...


class Ticket(NamedTuple):
    """What a connection keeps of a request that was taken: if the very same bytes come again, it is enough."""

    sent: bytes
    caller: Caller


class _Ride(NamedTuple):
    passenger: Passenger
    on: Standing
    """Read after the request had come: whatever was revoked before it was sent is behind its token."""
    decided: Decided
    caller: Caller


class Express:
    """Answers what it knows; one for all connections of a process."""

    def __init__(self, front: Front, arrivals: Arrivals) -> None:
        self.path: Final = f"{front.path}/token".encode()
        self._front = front
        self._arrivals = arrivals
        # A log of requests is written at the door, and has to be complete.
        self._open = not front.log_requests
        self._waiting: list[_Ride] = []
        self._defaults: list[Header] = []
        self._lines = b"\r\n"
        self._train: asyncio.Task[None] | None = None
        self._spending: set[asyncio.Task[None]] = set()

    @property
    def stopping(self) -> bool:
        """Whether an answer is the last of its connection."""
        return self._front.stopping.is_set()

    def take(self, passenger: Passenger, peer: Peer, headers: Sequence[Header], body: bytes) -> Ticket | None:
        """A ticket if this POST to `path` is known; then it is answered by `deliver` once that is durable."""
        credentials = _credentials(headers) if self._open and len(body) <= MAX_BODY else None
        if credentials is None:
            return None
        if any(grant in body for grant in ONCE):
            caller = self._arrivals.arrive(peer, headers)
            task = asyncio.get_running_loop().create_task(self._spend(passenger, headers, credentials, body, caller))
            self._spending.add(task)
            task.add_done_callback(self._spending.discard)
            return Ticket(NEVER_AGAIN, caller)
        ticket = Ticket(digest(credentials, body), self._arrivals.arrive(peer, headers))
        return ticket if self._board(passenger, ticket.sent, ticket.caller) else None

    def take_again(self, passenger: Passenger, ticket: Ticket) -> bool:
        """Whether the request of this ticket is still known."""
        if ticket.sent == NEVER_AGAIN:
            return False
        return self._board(passenger, ticket.sent, self._arrivals.again(ticket.caller))

    def lines(self, defaults: list[Header]) -> bytes:
        """What follows the status line: uvicorn's own headers, the Date, in a list that is another every second."""
        if defaults is not self._defaults:
            self._defaults = defaults
            self._lines = b"\r\n" + b"".join([b"%b: %b\r\n" % line for line in defaults])
        return self._lines

    def _board(self, passenger: Passenger, sent: bytes, caller: Caller) -> bool:
        issuer = self._front.issuer
        try:
            on = standing(issuer, self._front.now())
            decided = recall(issuer, on, sent) if on is not None else None
        except Exception:  # whatever it was, the door meets it again and has an answer for it
            return False
        if on is None or decided is None:
            return False
        self._waiting.append(_Ride(passenger, on, decided, caller))
        # One train at a time: who comes while one is under way waits for the next, so that trains are full when
        # there are many, and a commit is not made for a few.
        if len(self._waiting) == 1 and self._train is None:
            asyncio.get_running_loop().call_soon(self._leave)
        return True

    async def _spend(
        self, passenger: Passenger, headers: Sequence[Header], credentials: bytes, body: bytes, caller: Caller
    ) -> None:
        now_answering(caller)
        scope = {"headers": headers}
        try:
            form, authorization = fields(body), credentials.decode("latin-1")
            answer = await token(self._front, Posted(authorization, body, form, caller, self._front.now(), scope))
        except Exception as error:
            answer = refusal(error, scope)
        passenger.deliver(spelled(answer, caller.request_id))

    def _leave(self) -> None:
        rides, self._waiting = self._waiting[:SEATS], self._waiting[SEATS:]
        self._train = asyncio.get_running_loop().create_task(self._ride(rides))
        self._train.add_done_callback(self._arrived)

    def _arrived(self, _: asyncio.Task[None]) -> None:
        self._train = None
        if self._waiting:
            self._leave()

    async def _ride(self, rides: Sequence[_Ride]) -> None:
        front = self._front
        try:
            made = issue_again(front.issuer, [(ride.on, ride.decided, ride.caller) for ride in rides], front.now())
            await front.issuer.stores.journal.save(*(row for _, row in made))
        except Exception as error:
            for ride in rides:
                ride.passenger.deliver(spelled(refusal(error, {"headers": ()}), ride.caller.request_id))
            return
        for ride, (tokens, _) in zip(rides, made, strict=True):
            ride.passenger.deliver(_spelled(_ISSUED, encoded(token_answer(tokens)), ride.caller.request_id))


def spelled(answer: Answer, request_id: str) -> bytes:
    """An answer as it goes over the wire (RFC 9112 §4), with what every answer has."""
    return _spelled(_head(answer.status, answer.headers), answer.body, request_id)


def _spelled(head: bytes, body: bytes, request_id: str) -> bytes:
    return b"%b%b\r\ncontent-length: %d\r\n\r\n%b" % (head, request_id.encode("ascii"), len(body), body)


@cache
def _head(status: int, headers: tuple[Header, ...]) -> bytes:
    """What is the same for all answers of a kind, up to the request id."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode("ascii")]
    lines += [b"%b: %b" % header for header in (*headers, *stamp(""))]
    return b"\r\n".join(lines)


_ISSUED: Final = _head(200, TOKEN_HEADERS)


def _credentials(headers: Sequence[Header]) -> bytes | None:
    """The one Authorization of a plain form; None where anything is unusual."""
    credentials: bytes | None = None
    plain = False
    for name, value in headers:
        if name == b"authorization":
            if credentials is not None:
                return None
            credentials = value
        elif name == b"content-type":
            if plain or value != FORM:
                return None
            plain = True
        elif name in _UNUSUAL or (name == b"connection" and value.lower() != b"keep-alive"):
            return None
    return credentials if plain else None


# At the door a page of another origin is told whether it may read the answer, and a proof of possession is judged.
_UNUSUAL: Final = frozenset((b"expect", b"upgrade", b"transfer-encoding", b"content-encoding", b"origin", b"dpop"))
