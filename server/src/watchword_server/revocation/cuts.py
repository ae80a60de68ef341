"""How messages are cut from the log."""

from __future__ import annotations

from collections.abc import Sequence

from watchword.jose.b64 import b64url
from watchword.log import Delta, Entry, Heartbeat, Snapshot


def snapshot(issuer: str, log: str, seq: int, head: bytes, entries: Sequence[Entry], time: int, nonce: str) -> Snapshot:
    """All that is dead at `seq`; `time` in milliseconds."""
    return Snapshot(issuer, log, seq, b64url(head), time, tuple(entries), nonce)


def page(
    issuer: str, log: str, after: int, prev: bytes, seq: int, head: bytes, entries: Sequence[Entry], time: int
) -> Snapshot:
    """What is dead of the entries after `after` up to `seq`; `prev` and `head` are the heads there."""
    return Snapshot(issuer, log, seq, b64url(head), time, tuple(entries), "", after, b64url(prev))


def delta(
    issuer: str, log: str, after: int, prev: bytes, head: bytes, entries: Sequence[Entry], time: int, nonce: str
) -> Delta:
    """What followed `after`; `prev` is the head there, `head` the one after the last entry."""
    seq = entries[-1].seq if entries else after
    return Delta(issuer, log, after, b64url(prev), seq, b64url(head), time, tuple(entries), nonce)


def heartbeat(issuer: str, log: str, seq: int, head: bytes, time: int) -> Heartbeat:
    """Nothing happened since `seq`."""
    return Heartbeat(issuer, log, seq, b64url(head), time)
