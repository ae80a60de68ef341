"""The set of what is dead at its edges: how it begins, what it forgets, and what happens between two looks."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from watchword.errors import Gap, InvalidFeed
from watchword.jose.b64 import b64url
from watchword.log import Delta, Entry, Heartbeat, Kind, Snapshot, chain, genesis
from watchword.revocations import Pages, RevocationSet, empty

ISSUER = "https://id.example.com"
LATE = 10**9
"""A second at which every entry here has expired."""
TOKEN: dict[str, Any] = {"jti": "t", "kid": "k", "rev": 0, "sub": "s", "client_id": "c", "sid": "i", "gid": "g"}


def snapshot(entries: list[Entry], seq: int, log: str = "log", head: str = "head") -> Snapshot:
    """All of a log, signed when every entry of these tests has expired."""
    return Snapshot(ISSUER, log, seq, head, LATE * 1000, tuple(entries))


def knowing(*entries: Entry) -> RevocationSet:
    """A set that has read these entries."""
    known = RevocationSet()
    known.apply(snapshot(list(entries), max(entry.seq for entry in entries)))
    return known


def test_a_fresh_set_has_read_nothing() -> None:
    """No log, no position, no time: whatever is not a snapshot asks for one."""
    fresh = RevocationSet()
    assert (fresh.log, fresh.seq, fresh.head, fresh.time, len(fresh)) == ("", 0, "", 0, 0)
    assert fresh.kills(**TOKEN) is None
    for message in (Heartbeat(ISSUER, "log", 0, "", 1), Delta(ISSUER, "log", 0, "", 0, "", 1, ())):
        with pytest.raises(Gap):
            fresh.apply(message)


def test_an_empty_log_begins_at_its_genesis() -> None:
    """An issuer's own set: the first delta joins it without a snapshot."""
    begun = empty("log")
    assert (begun.log, begun.seq, begun.head, begun.time) == ("log", 0, b64url(genesis("log")), 0)


def test_no_two_sets_share_a_mark() -> None:
    """Who remembers a mark remembers the set with it: another set is another answer."""
    assert RevocationSet().mark is not RevocationSet().mark


@pytest.mark.parametrize("kind", ["token", "grant", "session", "key", "subject", "client", "issuer"])
def test_a_mark_ends_with_every_new_entry_and_with_nothing_else(kind: Kind) -> None:
    """What was alive under the same mark still is."""
    known = knowing(Entry(1, "token", "other", LATE + 1))
    before = known.mark
    known.apply(Heartbeat(ISSUER, "log", 1, "head", LATE * 1000))
    known.apply(snapshot([], 1))
    known.forget(0)
    assert known.mark is before
    known.apply(snapshot([Entry(2, kind, "" if kind == "issuer" else "x", LATE + 1)], 2))
    assert known.mark is not before


class Vanishing(str):
    """A name whose entry another thread forgets after it was found, and before it is read."""

    __slots__ = ("looks", "owner")

    def __new__(cls, text: str, owner: RevocationSet) -> Vanishing:
        """A text that counts how often it is looked up."""
        made = super().__new__(cls, text)
        made.looks, made.owner = 0, owner
        return made

    def __hash__(self) -> int:
        """At the second look the entry is gone."""
        self.looks += 1
        if self.looks == 2:
            assert self.owner.forget(LATE) == 1
        return super().__hash__()


@pytest.mark.parametrize(("kind", "member"), [("subject", "sub"), ("client", "client_id")])
def test_an_entry_that_goes_while_it_is_read_kills_nothing(kind: Kind, member: str) -> None:
    """It had expired, so nothing that it could hit is alive: the oldest token passes, and no error appears."""
    known = knowing(Entry(1, kind, "name", 1))
    vanishing = Vanishing("name", known)
    assert known.kills(**{**TOKEN, member: vanishing}) is None
    assert vanishing.looks == 2


def test_all_that_has_expired_is_forgotten_at_once() -> None:
    """Every kind, in whatever order it came, and nothing that has not expired."""
    kinds: tuple[Kind, ...] = ("token", "grant", "session", "key", "subject", "client")
    untils = [500, 100, 900, 300, LATE + 5, 100, 700, 101, LATE + 1, 102]
    entries = [Entry(seq, kinds[seq % 6], f"id-{seq}", until) for seq, until in enumerate(untils, 1)]
    known = knowing(*entries)
    assert known.forget(600) == 6
    assert len(known) == 4
    assert known.forget(LATE) == 2
    assert len(known) == 2


def test_what_was_prolonged_does_not_keep_the_others() -> None:
    """The end that counts no more is passed over: what expired behind it goes in the same breath."""
    known = knowing(Entry(1, "session", "a", 100), Entry(2, "session", "a", LATE + 1), Entry(3, "session", "b", 200))
    assert known.forget(300) == 1
    assert known.kills(**{**TOKEN, "sid": "a"}) == "session"
    assert known.kills(**{**TOKEN, "sid": "b"}) is None


def test_what_was_prolonged_does_not_keep_what_ends_in_the_same_second() -> None:
    """Whichever of them came first."""
    for first, second in (("a", "b"), ("b", "a")):
        known = knowing(
            Entry(1, "subject", first, 100), Entry(2, "subject", second, 100), Entry(3, "subject", "a", LATE + 1)
        )
        assert known.forget(300) == 1
        assert known.kills(**{**TOKEN, "sub": "a"}) == "subject"
        assert known.kills(**{**TOKEN, "sub": "b"}) is None


def test_an_entry_said_twice_is_forgotten_once() -> None:
    """The same end again is no second entry."""
    known = knowing(Entry(1, "grant", "a", 100), Entry(2, "grant", "a", 100))
    assert len(known) == 1
    assert known.forget(300) == 1
    assert known.forget(300) == 0


def test_what_is_read_again_takes_no_more_room() -> None:
    """A verifier that asks for the whole set a hundred times a day holds it once."""
    again = snapshot([Entry(seq, "session", f"id-{seq}", LATE + 1) for seq in range(1, 201)], 200)
    known = RevocationSet()
    known.apply(again)
    tracemalloc.start()
    for _ in range(300):
        known.apply(again)
    room = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(known) == 200
    assert room < 50_000


def test_a_newer_snapshot_of_the_same_log_is_taken() -> None:
    """Its head is another, of course: only at the same position must it be the same."""
    known = knowing(Entry(1, "token", "t", LATE + 1))
    known.apply(snapshot([Entry(2, "session", "i", LATE + 1)], 2, head="later"))
    assert (known.seq, known.head, len(known)) == (2, "later", 2)


def test_pages_end_as_the_snapshot_of_their_last_delta() -> None:
    """Of the same issuer, log, place, time and nonce; and only its own entries are left to be taken in."""
    entries = [Entry(seq, "token", f"id-{seq}", LATE + 1) for seq in (1, 2, 3)]
    heads = [b64url(chain(genesis("log"), entries[:upto])) for upto in range(4)]
    pages = Pages(RevocationSet())
    pages.take(Snapshot(ISSUER, "log", 2, heads[2], 1, tuple(entries[:2]), "", 0, heads[0]))
    whole = pages.closed(Delta(ISSUER, "log", 2, heads[2], 3, heads[3], 7, tuple(entries[2:]), "nonce"))
    assert whole == Snapshot(ISSUER, "log", 3, heads[3], 7, tuple(entries[2:]), "nonce")


def test_pages_of_another_log_may_be_as_new_as_what_is_known() -> None:
    """As a snapshot may: only what is older was left behind."""
    known = knowing(Entry(1, "token", "t", LATE + 1))
    for time in (LATE * 1000, LATE * 1000 + 1):
        Pages(known).take(Snapshot(ISSUER, "other", 1, "head", time, (), "", 0, b64url(genesis("other"))))
    with pytest.raises(InvalidFeed, match="left behind"):
        Pages(known).take(Snapshot(ISSUER, "other", 1, "head", LATE * 1000 - 1, (), "", 0, b64url(genesis("other"))))


def test_what_was_forgotten_does_not_come_back_with_an_overlap() -> None:
    """A delta repeats what is known: of that, nothing is taken in a second time."""
    entries = [Entry(seq, "token", f"id-{seq}", 100) for seq in (1, 2, 3)]
    heads = [chain(genesis("log"), entries[:upto]) for upto in range(4)]
    known = empty("log")
    known.apply(Delta(ISSUER, "log", 0, b64url(heads[0]), 2, b64url(heads[2]), LATE * 1000, tuple(entries[:2])))
    assert known.forget(LATE) == 2
    known.apply(Delta(ISSUER, "log", 0, b64url(heads[0]), 3, b64url(heads[3]), LATE * 1000, tuple(entries)))
    assert (known.seq, len(known)) == (3, 1)
