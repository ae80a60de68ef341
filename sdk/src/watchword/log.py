"""The revocation log as it travels: entries, their hash chain, signed messages. The format is docs/feed.md."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Final, Literal, TypeGuard

import msgspec

from watchword.errors import InvalidFeed, WatchwordError
from watchword.jose import jws
from watchword.jose.b64 import b64url, unb64url
from watchword.jose.jwk import PublicKey
from watchword.jose.jwt import BAD_BYTES, must_be_unique
from watchword.jose.kinds import Kind as TokenKind

Kind = Literal["token", "grant", "session", "subject", "client", "key", "issuer"]

# What a database keeps as one number. Anything else would break arithmetic that nobody guards.
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

MAX_MESSAGE: Final = 256 * 1024 * 1024
"""Bytes of the largest feed message that is read: a snapshot of some three million entries, all in one."""
LINES: Final = "application/vnd.watchword.messages"
"""The media type of several messages, one a line: who accepts it, takes a long snapshot in pages."""


class Entry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One thing that is dead: `[seq, kind, id, until]`.

    `seq` counts from 1 without gaps. `until` is in seconds since 1970: when nothing that the entry could
    hit can be alive. The id of kind `issuer` is the empty string.
    """

    seq: Count
    kind: Kind
    id: str
    until: Count


class Snapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that is dead at `seq`. `time` is the issuer's, in milliseconds since 1970; `head` is base64url.

    With `after` and `prev`, the head there, it is a page: only what is dead of the entries after `after`.
    """

    iss: str
    log: str
    seq: Count
    head: str
    time: Count
    entries: tuple[Entry, ...]
    nonce: str = ""
    after: Count | msgspec.UnsetType = msgspec.UNSET
    prev: str | msgspec.UnsetType = msgspec.UNSET


class Delta(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every entry after `after` up to `seq`. `prev` is the head at `after`, `head` the one at `seq`."""

    iss: str
    log: str
    after: Count
    prev: str
    seq: Count
    head: str
    time: Count
    entries: tuple[Entry, ...]
    nonce: str = ""


class Heartbeat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the log stands at `time`: nothing happened since `seq`."""

    iss: str
    log: str
    seq: Count
    head: str
    time: Count
    nonce: str = ""


Message = Snapshot | Delta | Heartbeat

TYPES: Final[Mapping[TokenKind, type[Snapshot] | type[Delta] | type[Heartbeat]]] = {
    TokenKind.FEED_SNAPSHOT: Snapshot,
    TokenKind.FEED_DELTA: Delta,
    TokenKind.FEED_HEARTBEAT: Heartbeat,
}


def genesis(log: str) -> bytes:
    """The head of an empty log: the SHA-256 of its id under a prefix."""
    return hashlib.sha256(b"watchword-revocation-log\n" + log.encode()).digest()


def link(head: bytes, entry: Entry) -> bytes:
    """The head after an entry: SHA-256 over the head before it and the entry's four fields, a line each."""
    line = f"{entry.seq}\n{entry.kind}\n{entry.id}\n{entry.until}\n"
    return hashlib.sha256(head + line.encode()).digest()


def chain(head: bytes, entries: Iterable[Entry]) -> bytes:
    """The head after several entries."""
    for entry in entries:
        head = link(head, entry)
    return head


def seal(message: Message, sign: Callable[[bytes], str]) -> str:
    """A message as compact JWS; `sign` comes from `jws.signer(feed_key, type_of(message))`."""
    return sign(msgspec.json.encode(message))


def type_of(message: type[Message]) -> TokenKind:
    """The `typ` that a message class travels under."""
    return next(typ for typ, kind in TYPES.items() if kind is message)


def unseal(text: bytes, keys: Mapping[str, PublicKey], issuer: str) -> Message:
    """Open a signed message of this issuer's log; anything wrong with it is one InvalidFeed.

    A delta's entries are contiguous from `after` to `seq` and hash from `prev` to `head`, or it is refused; those
    of a page are in order.
    """
    try:
        typ, payload = jws.verify(text, keys, TYPES.keys(), MAX_MESSAGE)
        message = msgspec.json.decode(payload, type=TYPES[TokenKind(typ)])
        if msgspec.json.encode(message) != payload:  # not as `seal` writes it: a member may hide behind its twin
            must_be_unique(payload)
    except (WatchwordError, *BAD_BYTES) as error:
        raise InvalidFeed(f"not a feed message: {error}") from error
    if message.iss != issuer:
        raise InvalidFeed("feed message of another issuer")
    if isinstance(message, Delta):
        _must_join(message)
    elif is_page(message):
        _must_be_between(message)
    elif isinstance(message, Snapshot) and any(not 0 < e.seq <= message.seq for e in message.entries):
        raise InvalidFeed("snapshot with an entry from beyond its seq")
    return message


def is_page(message: Message) -> TypeGuard[Snapshot]:
    """Whether it is a part of a snapshot only."""
    return isinstance(message, Snapshot) and not (message.after is msgspec.UNSET and message.prev is msgspec.UNSET)


def _must_be_between(page: Snapshot) -> None:
    if page.after is msgspec.UNSET or page.prev is msgspec.UNSET:
        raise InvalidFeed("page without `after` or without `prev`")
    last = page.after
    for entry in page.entries:
        if entry.seq <= last:
            raise InvalidFeed("page whose entries are not in order")
        last = entry.seq
    if last > page.seq:
        raise InvalidFeed("page with an entry from beyond its seq")


def _must_join(delta: Delta) -> None:
    # Counted, not compared with a range: that would be as long as the message claims to be, not as long as it is.
    is_whole = len(delta.entries) == delta.seq - delta.after
    if not is_whole or any(entry.seq != number for number, entry in enumerate(delta.entries, delta.after + 1)):
        raise InvalidFeed("delta whose entries do not run from `after` to `seq`")
    try:
        head = chain(unb64url(delta.prev), delta.entries)
    except WatchwordError as error:
        raise InvalidFeed("delta whose `prev` is not a hash") from error
    if b64url(head) != delta.head:
        raise InvalidFeed("delta whose entries do not hash to its head")
