"""The set of what is dead: what it kills, how it follows the log, and what it forgets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.errors import Gap, InvalidFeed
from watchword.jose.b64 import b64url
from watchword.log import Delta, Entry, Heartbeat, Kind, Message, Snapshot, chain, genesis
from watchword.revocations import RevocationSet, empty

ISSUER = "https://id.example.com"
UNTIL = 2_000
TOKEN: dict[str, Any] = {
    "jti": "the-token",
    "kid": "the-key",
    "rev": 5,
    "sub": "the-subject",
    "client_id": "the-client",
    "sid": "the-session",
    "gid": "the-grant",
}
KINDS: tuple[Kind, ...] = ("token", "grant", "session", "key", "subject", "client", "issuer")
MEMBER: dict[Kind, str] = {
    "token": "jti",
    "grant": "gid",
    "session": "sid",
    "key": "kid",
    "subject": "sub",
    "client": "client_id",
}
"""What of a token an entry of each kind names."""


def history(count: int, kind: Kind = "token") -> list[Entry]:
    """A log's first entries, all of one kind, ids by number."""
    return [Entry(seq, kind, "" if kind == "issuer" else f"id-{seq}", UNTIL) for seq in range(1, count + 1)]


def head(entries: list[Entry], log: str = "log") -> str:
    """The head of a log after these entries."""
    return b64url(chain(genesis(log), entries))


def snapshot(entries: list[Entry], log: str = "log", time: int = 1_000_000) -> Snapshot:
    """All of a log."""
    return Snapshot(ISSUER, log, len(entries), head(entries, log), time, tuple(entries))


def delta(entries: list[Entry], after: int, log: str = "log", time: int = 1_000_000) -> Delta:
    """The log's entries beyond `after`."""
    return Delta(
        *(ISSUER, log, after, head(entries[:after], log), len(entries), head(entries, log), time),
        tuple(entries[after:]),
    )


def beat(entries: list[Entry], log: str = "log", time: int = 1_000_000) -> Heartbeat:
    """That nothing came after these entries."""
    return Heartbeat(ISSUER, log, len(entries), head(entries, log), time)


def knowing(*messages: Message) -> RevocationSet:
    """A set that has read these messages."""
    known = RevocationSet()
    for message in messages:
        known.apply(message)
    return known


def with_entry(kind: Kind, name: str, seq: int = 5, until: int = UNTIL) -> RevocationSet:
    """A set that knows one entry."""
    return knowing(Snapshot(ISSUER, "log", seq, "head", 1_000_000, (Entry(seq, kind, name, until),)))


@pytest.mark.parametrize("kind", KINDS[:4])
def test_a_named_thing_is_dead_whatever_its_rev(kind: Kind) -> None:
    """Token, grant, session and key die by id, and nothing else does."""
    known = with_entry(kind, f"the-{kind}")
    assert known.kills(**TOKEN) == kind
    assert known.kills(**{**TOKEN, "rev": 10**9}) == kind
    assert with_entry(kind, f"another-{kind}").kills(**TOKEN) is None


@pytest.mark.parametrize("kind", KINDS[4:])
def test_what_was_issued_before_the_entry_is_dead(kind: Kind) -> None:
    """Subject, client and issuer: `rev` below `seq` is dead, the same and above lives, so no clock decides."""
    known = with_entry(kind, "" if kind == "issuer" else f"the-{kind}", seq=5)
    assert known.kills(**{**TOKEN, "rev": 4}) == kind
    assert known.kills(**{**TOKEN, "rev": 5}) is None
    assert known.kills(**{**TOKEN, "rev": 6}) is None
    assert known.kills(**{**TOKEN, "rev": 0}) == kind


@pytest.mark.parametrize("kind", ["subject", "client"])
def test_another_subject_or_client_lives(kind: Kind) -> None:
    """However old the token."""
    assert with_entry(kind, "another").kills(**{**TOKEN, "rev": 0}) is None


@pytest.mark.parametrize("kind", MEMBER)
@pytest.mark.parametrize("other", MEMBER)
def test_a_name_counts_only_for_its_kind(kind: Kind, other: Kind) -> None:
    """An id of one kind kills no token that has the same text elsewhere."""
    token = {**TOKEN, "rev": 0, MEMBER[other]: "x"}
    assert with_entry(kind, "x").kills(**token) == (kind if other == kind else None)


def test_a_token_without_session_and_grant_has_none_that_could_die() -> None:
    """A client's own token: neither None nor the empty id is anybody's session."""
    bare = {name: value for name, value in TOKEN.items() if name not in ("sid", "gid")}
    for name in ("", "None", "the-session"):
        for kind in ("session", "grant"):
            assert with_entry(kind, name).kills(**bare) is None


@pytest.mark.parametrize("kind", ["grant", "token"])
@pytest.mark.parametrize("lineage", [("x",), ("a", "x"), ("x", "b"), ("a", "b", "x")])
def test_with_what_is_named_dies_all_that_descends_from_it(kind: Kind, lineage: tuple[str, ...]) -> None:
    """One entry, however many there are and however far down; what only stands beside it lives on."""
    known = with_entry(kind, "x")
    for rev in (0, 10**9):
        assert known.kills(**{**TOKEN, "rev": rev, "lineage": lineage}) == kind
    for other in ((), ("a",), ("xx", "X", "")):
        assert known.kills(**{**TOKEN, "lineage": other}) is None


@pytest.mark.parametrize("kind", ["session", "key", "subject", "client"])
def test_of_lineage_only_grants_and_tokens_count(kind: Kind) -> None:
    """A session that happens to be called like a grant is another thing."""
    assert with_entry(kind, "x").kills(**{**TOKEN, "rev": 0, "lineage": ("x",)}) is None


def test_of_two_entries_for_a_subject_the_later_decides() -> None:
    """In whatever order they come."""
    early, late = Entry(2, "subject", "the-subject", UNTIL), Entry(9, "subject", "the-subject", UNTIL)
    for entries in ((early, late), (late, early)):
        known = knowing(Snapshot(ISSUER, "log", 9, "head", 1_000_000, entries))
        assert known.kills(**{**TOKEN, "rev": 8}) == "subject"
        assert known.kills(**{**TOKEN, "rev": 9}) is None


def test_the_log_is_followed_entry_by_entry() -> None:
    """From nothing, by deltas of any cut, to where a snapshot would have led."""
    entries = history(6)
    known = empty("log")
    for upto in (1, 1, 3, 6):
        known.apply(delta(entries[:upto], known.seq))
        assert (known.seq, known.head, len(known)) == (upto, head(entries[:upto]), upto)
    known.apply(beat(entries))
    whole = knowing(snapshot(entries))
    assert (whole.seq, whole.head, len(whole)) == (known.seq, known.head, len(known))


def test_a_delta_that_overlaps_is_joined_where_it_must_be() -> None:
    """Known entries in front of new ones, a late duplicate, and an empty delta do no harm."""
    entries = history(5)
    known = knowing(snapshot(entries[:3]))
    known.apply(delta(entries, 1))
    assert (known.seq, known.head) == (5, head(entries))
    known.apply(delta(entries[:2], 0))
    known.apply(delta(entries, 5))
    assert (known.seq, known.head, len(known)) == (5, head(entries), 5)


FORK = [*history(2), Entry(3, "token", "other", UNTIL), *history(5)[3:]]


@pytest.mark.parametrize(("message", "refusal"), [
    pytest.param(delta(history(6), 4), Gap, id="a delta with a gap before it"),
    pytest.param(delta(history(3), 0, log="log-2"), Gap, id="a delta of another log"),
    pytest.param(beat(history(4)), Gap, id="a heartbeat from further on"),
    pytest.param(beat(history(3), log="log-2"), Gap, id="a heartbeat of another log"),
    pytest.param(delta(FORK, 3), InvalidFeed, id="a delta that continues a fork"),
    pytest.param(delta(FORK, 2), InvalidFeed, id="a delta that forks in what is known"),
    pytest.param(delta(FORK[:3], 0), InvalidFeed, id="a delta that ends in a fork"),
    pytest.param(beat(FORK[:3]), InvalidFeed, id="a heartbeat of a fork"),
    pytest.param(snapshot(FORK[:3]), InvalidFeed, id="a snapshot of a fork"),
    pytest.param(snapshot(history(2)), InvalidFeed, id="an old snapshot played back"),
    pytest.param(snapshot([]), InvalidFeed, id="the empty beginning played back"),
    pytest.param(snapshot(history(9), log="log-0", time=999_999), InvalidFeed, id="a snapshot of a log left behind"),
])  # fmt: skip
def test_what_does_not_join_changes_nothing(message: Message, refusal: type[InvalidFeed]) -> None:
    """A Gap asks for what lies between; a contradiction is refused; neither moves the set or its time."""
    known = knowing(snapshot(history(3)))
    with pytest.raises(refusal) as raised:
        known.apply(message)
    assert type(raised.value) is refusal
    assert (known.log, known.seq, known.head, known.time, len(known)) == ("log", 3, head(history(3)), 1_000_000, 3)


def test_a_new_log_is_joined_to_what_is_known() -> None:
    """A restore changes the log's id: only a snapshot leads there, and what was dead stays dead."""
    known = knowing(snapshot(history(3)))
    fresh = [Entry(1, "session", "the-session", UNTIL)]
    with pytest.raises(Gap):
        known.apply(delta(fresh, 0, log="log-2", time=2_000_000))
    known.apply(snapshot(fresh, log="log-2", time=2_000_000))
    assert (known.log, known.seq, len(known)) == ("log-2", 1, 4)
    assert known.kills(**TOKEN) == "session"
    assert known.kills(**{**TOKEN, "sid": None, "jti": "id-2"}) == "token"
    with pytest.raises(InvalidFeed):
        known.apply(snapshot(history(3)))  # the log that was left behind does not come back


def test_time_only_moves_forward_and_only_by_who_is_up_to_date() -> None:
    """A node that lags behind, however late its clock, proves nothing about now."""
    entries = history(3)
    known = knowing(snapshot(entries, time=5_000))
    known.apply(beat(entries, time=7_000))
    assert known.time == 7_000
    known.apply(beat(entries, time=6_000))
    known.apply(beat(entries[:2], time=9_000))
    known.apply(delta(entries[:2], 0, time=9_000))
    assert known.time == 7_000
    known.apply(delta(entries, 3, time=8_000))
    assert known.time == 8_000


def test_an_entry_is_forgotten_when_both_clocks_say_so() -> None:
    """After `until` by our clock and by signed time, never by one alone, and never in the second itself."""
    known = knowing(snapshot([], time=0), delta([Entry(1, "token", "the-token", 100)], 0, time=0))
    assert known.forget(10**9) == 0  # our clock may run ahead
    entries = [Entry(1, "token", "the-token", 100)]
    known.apply(beat(entries, time=100_999))
    assert known.forget(10**9) == 0
    known.apply(beat(entries, time=101_000))
    assert known.forget(100) == 0
    assert known.kills(**TOKEN) == "token"
    assert known.forget(101) == 1
    assert known.kills(**TOKEN) is None
    assert len(known) == 0
    assert known.forget(10**9) == 0


@pytest.mark.parametrize("kind", KINDS[:6])
@pytest.mark.parametrize("untils", [(100, 200), (200, 100), (200, 200)])
def test_of_two_entries_the_longer_memory_counts(kind: Kind, untils: tuple[int, int]) -> None:
    """A second entry for the same name prolongs the first and never shortens it."""
    name = f"the-{kind}"
    entries = [Entry(seq, kind, name, until) for seq, until in enumerate(untils, 6)]
    known = knowing(Snapshot(ISSUER, "log", 7, "head", 10**9, tuple(entries)))
    assert known.forget(150) == 0
    assert known.kills(**TOKEN) == kind
    assert known.forget(201) == 1
    assert known.kills(**TOKEN) is None


def test_an_issuers_entry_is_never_forgotten() -> None:
    """It is one number, and the tokens it meant are the oldest of all."""
    known = with_entry("issuer", "", seq=9, until=1)
    known.forget(10**9)
    assert known.kills(**TOKEN) == "issuer"


def test_a_forgotten_name_may_die_again() -> None:
    """Forgetting leaves nothing behind that a new entry would stumble over."""
    entries = [Entry(1, "subject", "the-subject", 100)]
    known = knowing(snapshot(entries, time=200_000))
    assert known.forget(150) == 1
    entries.append(Entry(2, "subject", "the-subject", 900))
    known.apply(delta(entries, 1, time=200_000))
    assert known.kills(**{**TOKEN, "rev": 1}) == "subject"
    assert known.forget(901) == 0


@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from("abc"), st.integers(0, 30)), max_size=20),
    st.lists(st.integers(0, 20), max_size=6),
    st.integers(0, 40),
)
def test_it_always_says_what_the_list_of_entries_says(
    made: list[tuple[Kind, str, int]], cuts: list[int], now: int
) -> None:
    """Against the plainest model: all entries in a list, and those past `until` free to be gone."""
    entries = [
        Entry(seq, kind, "" if kind == "issuer" else name, until) for seq, (kind, name, until) in enumerate(made, 1)
    ]
    known = empty("log")
    for upto in [*sorted(min(cut, len(entries)) for cut in cuts), len(entries)]:
        known.apply(delta(entries[:upto], known.seq, time=now * 1000))
    known.forget(now)
    for name, rev, (kind, member) in product("abc", (0, 3, 20), MEMBER.items()):
        token: dict[str, Any] = {**TOKEN, "rev": rev, member: name}
        meant = [entry for entry in entries if entry.kind == "issuer" or (entry.kind == kind and entry.id == name)]
        deadly = [entry for entry in meant if entry.kind in KINDS[:4] or entry.seq > rev]
        must = [entry for entry in deadly if entry.until >= now or entry.kind == "issuer"]
        killed = known.kills(**token)
        assert killed in {entry.kind for entry in deadly} or (killed is None and not must)


def test_readers_see_a_dead_token_dead_while_the_log_moves_on() -> None:
    """One thread applies and forgets, others ask: what is dead stays dead, and nothing breaks."""
    entries = [Entry(1, "token", "the-token", 10**9), Entry(2, "subject", "the-subject", 10**9)]
    entries += [Entry(seq, "subject", f"id-{seq % 50}", seq) for seq in range(3, 3_000)]
    known = knowing(snapshot(entries[:2], time=0))
    seen: list[object] = []
    stop = threading.Event()

    def ask() -> None:
        try:
            while not stop.is_set():
                seen.append(known.kills(**TOKEN) or known.kills(**{**TOKEN, "jti": "x", "rev": 1}))
                known.kills(**{**TOKEN, "jti": "x", "sub": "id-7", "rev": 2})
                del seen[:-100]
        except Exception as error:
            seen.append(error)
            raise

    readers = [threading.Thread(target=ask) for _ in range(2)]
    for reader in readers:
        reader.start()
    prev = chain(genesis("log"), entries[:2])
    for entry in entries[2:]:
        after = chain(prev, [entry])
        known.apply(
            Delta(ISSUER, "log", entry.seq - 1, b64url(prev), entry.seq, b64url(after), entry.seq * 1000, (entry,))
        )
        known.forget(entry.seq)
        prev = after
    stop.set()
    for reader in readers:
        reader.join()
    assert set(seen) == {"token"}


def test_the_mark_tells_that_something_may_have_died() -> None:
    """Who found a token alive under a mark need not ask again under the same one."""
    entries = history(3)
    revoked = knowing(snapshot(entries[:2]))
    marks = [revoked.mark]
    for message in (beat(entries[:2]), delta(entries[:2], 2), delta(entries, 2), snapshot(entries)):
        revoked.apply(message)
        marks.append(revoked.mark)
    heard, nothing_new, grown, anew = (later is not earlier for earlier, later in pairwise(marks))
    assert (heard, nothing_new, grown, anew) == (False, False, True, True)


def test_a_new_mark_is_seen_only_with_its_entries() -> None:
    """Whoever finds a token alive under a mark that its entry brought would never ask again."""
    revoked = knowing(snapshot([]))
    seen: list[tuple[object, str | None]] = []

    class Watched(tuple[Entry, ...]):
        """Entries that look, each time that one of them is asked for, at what a reader would find."""

        def __iter__(self) -> Iterator[Entry]:
            for entry in super().__iter__():
                seen.append((revoked.mark, revoked.kills(**{**TOKEN, "jti": "id-2"})))
                yield entry

    entries = history(2)
    whole = delta(entries, 0)
    before = revoked.mark
    revoked.apply(Delta(*(getattr(whole, name) for name in whole.__struct_fields__[:-2]), Watched(entries)))
    assert revoked.kills(**{**TOKEN, "jti": "id-2"}) == "token"
    assert (before, None) in seen
    assert all(mark is before for mark, death in seen if death is None)
    assert revoked.mark is not before
