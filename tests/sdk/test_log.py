"""The log as it travels: a hash chain in signed messages, of which only the genuine whole is believed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sdk.minting import ISSUER, key, trusted
from watchword import log
from watchword.errors import InvalidFeed
from watchword.jose import jws
from watchword.jose.b64 import b64url
from watchword.log import Delta, Entry, Heartbeat, Message, Snapshot, chain, genesis, link, seal, type_of, unseal

LOG = "log-1"
TIME = 1_800_000_000_000
ENTRIES = (
    Entry(1, "token", "jti-1", 1_800_000_900),
    Entry(2, "subject", "user-1", 1_800_000_900),
    Entry(3, "issuer", "", 1_800_000_900),
)
KEYS = {key().kid: trusted()}


def head(entries: Iterable[Entry] = ()) -> str:
    """The head of LOG after these entries."""
    return b64url(chain(genesis(LOG), entries))


SNAPSHOT = Snapshot(ISSUER, LOG, 3, head(ENTRIES), TIME, ENTRIES, "nonce-of-sixteen")
DELTA = Delta(ISSUER, LOG, 1, head(ENTRIES[:1]), 3, head(ENTRIES), TIME, ENTRIES[1:])
BEAT = Heartbeat(ISSUER, LOG, 3, head(ENTRIES), TIME)


def sealed(message: Message) -> bytes:
    """A message as the issuer sends it."""
    return seal(message, jws.signer(key(), type_of(type(message)))).encode()


def forged(payload: Any, typ: str = "watchword-delta+jwt", alg: str = "ES256") -> bytes:
    """Any payload under a signature of one of the test run's keys."""
    text = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
    return jws.signer(key(alg), typ)(text).encode()


@pytest.mark.parametrize("message", [SNAPSHOT, DELTA, BEAT, Delta(ISSUER, LOG, 3, BEAT.head, 3, BEAT.head, TIME, ())])
def test_what_is_sealed_is_unsealed(message: Message) -> None:
    """Each kind under its own type, a delta without entries too."""
    assert unseal(sealed(message), KEYS, ISSUER) == message


def test_the_chain_is_what_the_format_says() -> None:
    """SHA-256 of the head before and four lines: written out here, so that no refactoring changes the format."""
    first = hashlib.sha256(b"watchword-revocation-log\nlog-1").digest()
    assert genesis("log-1") == first
    second = hashlib.sha256(first + b"1\ntoken\njti-1\n1800000900\n").digest()
    assert link(first, ENTRIES[0]) == second
    assert chain(first, ENTRIES) == link(link(second, ENTRIES[1]), ENTRIES[2])
    assert msgspec.json.encode(ENTRIES[0]) == b'[1,"token","jti-1",1800000900]'


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Entry(1, "token", "a", 5), Entry(2, "token", "a", 5)),
        (Entry(1, "token", "a", 5), Entry(1, "grant", "a", 5)),
        (Entry(1, "token", "a", 5), Entry(1, "token", "b", 5)),
        (Entry(1, "token", "a", 5), Entry(1, "token", "a", 6)),
        (Entry(1, "token", "a\n5", 6), Entry(1, "token", "a", 5)),
    ],
)
def test_no_two_entries_have_the_same_link(one: Entry, other: Entry) -> None:
    """Every field counts, a line break in an id too."""
    assert link(bytes(32), one) != link(bytes(32), other)


def changed(message: Message, **changes: object) -> bytes:
    """A message with members changed, or left out by `...`, truly signed all the same."""
    members = {name: value for name, value in {**msgspec.to_builtins(message), **changes}.items() if value is not ...}
    return forged(members, type_of(type(message)))


E1, E2, E3 = (list(msgspec.to_builtins(entry)) for entry in ENTRIES)

FALSE = {
    # forged
    "another key's signature": forged(DELTA, alg="EdDSA"),
    "unsigned": sealed(DELTA).rpartition(b".")[0] + b".",
    "an access token": forged(DELTA, "at+jwt"),
    "a snapshot sent as a delta": forged(SNAPSHOT, "watchword-delta+jwt"),
    "a heartbeat sent as a snapshot": forged(BEAT, "watchword-snapshot+jwt"),
    "of another issuer": changed(DELTA, iss="https://evil.example"),
    "of an issuer with a slash": changed(DELTA, iss=ISSUER + "/"),
    "an entry changed": changed(DELTA, entries=[[*E2[:2], "user-2", E2[3]], E3]),
    "an entry's until changed": changed(DELTA, entries=[[*E2[:3], 5], E3]),
    "a head of another history": changed(DELTA, prev=head(), entries=[E2, E3]),
    "a head that is none": changed(DELTA, head="x"),
    "a prev that is none": changed(DELTA, prev="=="),
    # gapped, reordered, cut, doubled
    "an entry left out in front": changed(DELTA, entries=[E3]),
    "an entry left out at the end": changed(DELTA, entries=[E2]),
    "entries reordered": changed(DELTA, entries=[E3, E2]),
    "entries reordered, and hashed so": changed(
        DELTA, entries=[E3, E2], head=head((ENTRIES[0], ENTRIES[2], ENTRIES[1]))
    ),
    "an entry twice": changed(DELTA, entries=[E2, E2, E3]),
    "an entry too many": changed(DELTA, entries=[E1, E2, E3]),
    "after beyond seq": changed(DELTA, after=4, entries=[]),
    "seq that skips": changed(DELTA, seq=4),
    "a snapshot's entry beyond its seq": changed(SNAPSHOT, seq=2),
    "a snapshot's entry of seq 0": changed(SNAPSHOT, entries=[[0, "token", "x", 5]]),
    "a snapshot's entry of seq -1": changed(SNAPSHOT, entries=[[-1, "token", "x", 5]]),
    # not the format
    "an unknown kind": changed(SNAPSHOT, entries=[[1, "device", "x", 5]]),
    "an entry too long": changed(SNAPSHOT, entries=[[1, "token", "x", 5, 6]]),
    "an entry too short": changed(SNAPSHOT, entries=[[1, "token", "x"]]),
    "a true seq": changed(SNAPSHOT, seq=True),
    "a fractional time": changed(BEAT, time=TIME + 0.5),
    "an unknown member": changed(BEAT, also=1),
    "no nonce's type": changed(BEAT, nonce=5),
    **{f"no {name}": changed(DELTA, **{name: ...}) for name in ("iss", "log", "after", "prev", "seq", "head", "time")},
    "a member twice": forged(msgspec.json.encode(BEAT)[:-1] + b',"seq":3}', "watchword-heartbeat+jwt"),
    "a member twice, the same": forged(b'{"iss":"x",' + msgspec.json.encode(BEAT)[1:], "watchword-heartbeat+jwt"),
    "a list": forged([1], "watchword-delta+jwt"),
    "nothing": forged(b""),
    "bad UTF-8": forged(b'{"iss":"\xff"}'),
    "nested": forged(b"[" * 100_000),
    "no JWS": b"x",
    "empty": b"",
}


@pytest.mark.parametrize("name", FALSE)
def test_a_message_that_is_not_genuine_is_not_believed(name: str) -> None:
    """Whatever is wrong with it is one InvalidFeed."""
    with pytest.raises(InvalidFeed):
        unseal(FALSE[name], KEYS, ISSUER)


def test_a_feed_message_is_no_access_token() -> None:
    """The feed's keys and types stand apart: what is signed here opens nothing there (RFC 8725 §3.12)."""
    for typ in log.TYPES:
        assert typ not in ("at+jwt", "jwt")
        assert typ == typ.lower()


def test_another_spelling_of_a_genuine_message_is_read() -> None:
    """A team's own issuer may order and space the members as it likes."""
    spaced = json.dumps(dict(reversed(msgspec.to_builtins(DELTA).items())), indent=1).encode()
    assert unseal(forged(spaced), KEYS, ISSUER) == DELTA


def test_a_snapshot_may_be_large() -> None:
    """Far beyond what an access token may be, and without a slow path."""
    entries = tuple(Entry(seq, "token", f"jti-{seq}", 1_800_000_900) for seq in range(1, 20_001))
    large = Snapshot(ISSUER, LOG, 20_000, "x", TIME, entries)
    assert unseal(sealed(large), KEYS, ISSUER) == large


@given(st.binary(max_size=60))
def test_any_signed_bytes_end_in_a_message_or_in_one_error(payload: bytes) -> None:
    """No other exception, whatever the bytes."""
    for typ in log.TYPES:
        with suppress(InvalidFeed):
            unseal(forged(payload, typ), KEYS, ISSUER)


GOOD = sealed(DELTA)


@given(st.integers(0, 10**6), st.integers(0, 255))
def test_no_mutated_message_is_believed(place: int, byte: int) -> None:
    """One byte is enough to refuse it."""
    place %= len(GOOD)
    mutated = GOOD[:place] + bytes([byte]) + GOOD[place + 1 :]
    if mutated != GOOD:
        with pytest.raises(InvalidFeed):
            unseal(mutated, KEYS, ISSUER)
