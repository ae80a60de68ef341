"""A snapshot too long for one message comes in pages: signed, chained, in order, and believed when all are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest

from tests.sdk.honest_issuer import Clock, Issuer, eventually
from watchword import Verifier
from watchword.errors import CannotDecide, InvalidFeed, Revoked
from watchword.jose.b64 import b64url
from watchword.jose.jwk import SigningKey
from watchword.log import Delta, Entry, Heartbeat, Message, Snapshot, chain, genesis
from watchword.revocations import Pages, RevocationSet
from watchword.verifier import READY_WITHIN

change = msgspec.structs.replace
ISSUER, LOG, TIME = "https://id.example", "log-1", 1_800_000_000_000
ENTRIES = tuple(Entry(seq, "token", f"jti-{seq}", 1_800_000_900) for seq in range(1, 10))


def head(seq: int, log: str = LOG) -> str:
    return b64url(chain(genesis(log), ENTRIES[:seq]))


def page(after: int, seq: int, log: str = LOG, time: int = TIME, but: Sequence[int] = ()) -> Snapshot:
    """What is not forgotten between two places of the log."""
    entries = tuple(entry for entry in ENTRIES[after:seq] if entry.seq not in but)
    return Snapshot(ISSUER, log, seq, head(seq, log), time, entries, "", after, head(after, log))


def delta(after: int, seq: int, log: str = LOG, time: int = TIME) -> Delta:
    return Delta(ISSUER, log, after, head(after, log), seq, head(seq, log), time, ENTRIES[after:seq], "nonce")


def taken(known: RevocationSet, *pages: Snapshot) -> Pages:
    found = Pages(known)
    for each in pages:
        found.take(each)
    return found


def test_pages_and_the_delta_that_closes_them_are_a_snapshot() -> None:
    """Of where the delta ends, with its time and its nonce; the entries are in the set already."""
    known = RevocationSet()
    whole = taken(known, page(0, 4, but=(2,)), page(4, 7)).closed(delta(7, 9))
    assert (known.log, known.seq, len(known)) == ("", 0, 6), "where the log stands was believed before its end"
    known.apply(whole)
    assert (known.log, known.seq, known.head, known.time, len(known)) == (LOG, 9, head(9), TIME, 8)
    assert isinstance(whole, Snapshot)
    assert whole.nonce == "nonce"


def test_what_a_page_names_is_dead_at_once() -> None:
    """Whatever comes after it: who reads the old mark asks again."""
    known = RevocationSet()
    mark = known.mark
    taken(known, page(0, 4))
    assert known.kills("jti-4", "", 0, "", "") == "token"
    assert known.mark is not mark


def test_an_answer_without_pages_is_what_it_is() -> None:
    """A delta or a whole snapshot, as ever."""
    pages = Pages(RevocationSet())
    assert pages.closed(delta(3, 5)) == delta(3, 5)


@pytest.mark.parametrize(
    "pages",
    [
        (page(1, 4),),
        (page(0, 4), page(5, 9)),
        (page(0, 4), page(3, 9)),
        (page(0, 4), page(0, 4)),
        (page(0, 7), page(4, 9)),
        (page(0, 4), page(4, 9, "log-2")),
        (page(0, 4), change(page(4, 9), prev=head(3))),
        (change(page(0, 4), prev=head(1)),),
        (change(page(0, 4), prev=b64url(genesis("log-2"))),),
    ],
)
def test_pages_that_do_not_join_are_refused(pages: Sequence[Snapshot]) -> None:
    """One left out, one twice, two swapped, of another log, of another history."""
    with pytest.raises(InvalidFeed, match="join"):
        taken(RevocationSet(), *pages)


@pytest.mark.parametrize(
    "last",
    [
        delta(6, 9),
        delta(8, 9),
        delta(7, 9, "log-2"),
        change(delta(7, 9), prev=head(6)),
        Heartbeat(ISSUER, LOG, 7, head(7), TIME),
        Snapshot(ISSUER, LOG, 7, head(7), TIME, ENTRIES[:7]),
    ],
)
def test_pages_that_nothing_closes_are_refused(last: Message) -> None:
    """Only the delta that goes on from the last page says that it was the last."""
    with pytest.raises(InvalidFeed, match="no delta joins"):
        taken(RevocationSet(), page(0, 4), page(4, 7)).closed(last)


def test_pages_of_a_log_that_was_left_behind_are_refused() -> None:
    """As a snapshot of it would be; of the same log they may be of any age, since a page never gets wrong."""
    known = RevocationSet()
    known.apply(Snapshot(ISSUER, LOG, 0, head(0), TIME, ()))
    taken(known, page(0, 4, time=TIME - 60_000))
    with pytest.raises(InvalidFeed, match="left behind"):
        taken(known, page(0, 4, "log-0", TIME - 1))


def test_a_page_is_no_snapshot() -> None:
    """Where all that is dead is due, a part of it is not believed to be all."""
    with pytest.raises(InvalidFeed, match="a page"):
        RevocationSet().apply(page(0, 9))


def test_a_verifier_starts_from_pages(verifier: Verifier, issuer: Issuer) -> None:
    """Ten entries in four pages; the stream goes on where they end."""
    issuer.page = 3
    for number in range(10):
        issuer.revoke("session", f"session-{number}")
    for number in (0, 5, 9):
        with pytest.raises(Revoked):
            verifier.verify_sync(issuer.token(sid=f"session-{number}"))
    assert (verifier.freshness.seq, verifier.freshness.entries, verifier.freshness.state) == (10, 10, "fresh")
    eventually(lambda: issuer.streams == 1)
    issuer.revoke("session", "session-10")
    eventually(lambda: verifier.freshness.seq == 11)


def without_the_end(messages: list[Message]) -> list[Message]:
    return messages[:-1]


def with_a_page_left_out(messages: list[Message]) -> list[Message]:
    return [messages[0], *messages[2:]]


def reordered(messages: list[Message]) -> list[Message]:
    return [messages[1], messages[0], *messages[2:]]


def with_an_old_end(messages: list[Message]) -> list[Message]:
    return [*messages[:-1], change(messages[-1], nonce="another-question")]


@pytest.mark.parametrize("repage", [without_the_end, with_a_page_left_out, reordered, with_an_old_end])
def test_an_answer_in_pages_that_is_not_whole_makes_nobody_fresh(
    repage: Callable[[list[Message]], list[Message]], verifier: Verifier, issuer: Issuer, clock: Clock
) -> None:
    """Nothing is decided by it; and as soon as an answer is whole, all goes well."""
    issuer.page, issuer.repage = 3, repage
    for number in range(10):
        issuer.revoke("session", f"session-{number}")
    with verifier:
        eventually(lambda: issuer.counts["/revocations"] > 1)
        clock.forward(READY_WITHIN)
        with pytest.raises(CannotDecide):
            verifier.verify_sync(issuer.token())
        issuer.repage = lambda messages: messages
        eventually(lambda: verifier.freshness.state == "fresh")
        assert verifier.freshness.entries == 10


@pytest.mark.parametrize("whose", ["a stranger's", "the token's"])
def test_a_page_that_the_feed_did_not_sign_is_not_believed(
    whose: str, verifier: Verifier, issuer: Issuer, clock: Clock
) -> None:
    """Not an entry of it is taken in, however genuine the end of the answer."""
    issuer.page, issuer.page_key = 3, issuer.key if whose == "the token's" else SigningKey.generate("ES256")
    issuer.revoke("session", "session-0")
    with verifier:
        eventually(lambda: verifier.contact.disbelieved)
        clock.forward(READY_WITHIN)
        with pytest.raises(CannotDecide):
            verifier.verify_sync(issuer.token())
        assert verifier.freshness.entries == 0
        issuer.page_key = None
        eventually(lambda: verifier.freshness.state == "fresh")
        assert verifier.freshness.entries == 1
