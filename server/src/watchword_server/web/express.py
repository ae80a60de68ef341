"""The express lane of the token endpoint.

A program that asks for the same token again, while no client, API or key has changed, is answered right from its
connection: what it may have was decided before (`flows/repeats.py`), so only signing and the audit row are
left. All that arrive in one turn of the event loop share one transaction, and none is answered before it is
durable. Everything else, refusals too, goes through the door as ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache
from http import HTTPStatus
from typing import Final, NamedTuple, Protocol

from watchword_server.changes import Audit
from watchword_server.flows.minting import Tokens
from watchword_server.flows.token import again, digest
from watchword_server.web.arrivals import Arrive, Peer
from watchword_server.web.asgi import Answer, Header
from watchword_server.web.door import stamp
from watchword_server.web.front import Front
from watchword_server.web.oauth import issued
from watchword_server.web.refusals import refusal

MAX_BODY: Final = 4096
"""Bytes of the longest form that is looked at here."""
FORM: Final = b"application/x-www-form-urlencoded"


class Passenger(Protocol):
    """A connection that waits for its answer."""

    def deliver(self, response: bytes) -> None:
        """Take the whole response."""
        ...


class _Ride(NamedTuple):
    passenger: Passenger
    tokens: Tokens
    audit: Audit


class Express:
    """Answers what it knows; one for all connections of a process."""

    def __init__(self, front: Front, arrive: Arrive) -> None:
        self.path: Final = f"{front.path}/token".encode()
        self._front = front
        self._arrive = arrive
        # A log of requests is written at the door, and has to be complete.
        self._open = not front.log_requests
        self._waiting: list[_Ride] = []
        self._leaving: set[asyncio.Task[None]] = set()

    def take(self, passenger: Passenger, peer: Peer, headers: Sequence[Header], body: bytes) -> bool:
        """Whether this POST to `path` is known; then it is answered by `deliver` once that is durable."""
        credentials = _credentials(headers) if self._open and len(body) <= MAX_BODY else None
        if credentials is None:
            return False
        front = self._front
        caller = self._arrive(peer, headers)
        try:
            known = again(front.issuer, digest(credentials, body), caller, front.now())
        except Exception:  # whatever it was, the door meets it again and has an answer for it
            return False
        if known is None:
            return False
        self._waiting.append(_Ride(passenger, *known))
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._leave)
        return True

    def _leave(self) -> None:
        rides, self._waiting = self._waiting, []
        task = asyncio.get_running_loop().create_task(self._arrive_all(rides))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _arrive_all(self, rides: Sequence[_Ride]) -> None:
        try:
            await self._front.issuer.stores.journal.save(*(ride.audit for ride in rides))
        except Exception as error:
            for ride in rides:
                ride.passenger.deliver(spelled(refusal(error, {"headers": ()}), ride.audit.request_id))
            return
        for ride in rides:
            ride.passenger.deliver(spelled(issued(ride.tokens), ride.audit.request_id))


def spelled(answer: Answer, request_id: str) -> bytes:
    """An answer as it goes over the wire (RFC 9112 §4), with what every answer has."""
    head, body = _head(answer.status, answer.headers), answer.body
    return b"%b%b\r\ncontent-length: %d\r\n\r\n%b" % (head, request_id.encode("ascii"), len(body), body)


@cache
def _head(status: int, headers: tuple[Header, ...]) -> bytes:
    """What is the same for all answers of a kind, up to the request id."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode("ascii")]
    lines += [b"%b: %b" % header for header in (*headers, *stamp(""))]
    return b"\r\n".join(lines)


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


_UNUSUAL: Final = frozenset((b"expect", b"upgrade", b"transfer-encoding", b"content-encoding"))
