"""What was decided for a request holds for the same bytes, while nothing has changed, and for a bounded number."""

from __future__ import annotations

import hashlib
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from watchword_server.flows.repeats import MOST, Decided, Repeats
from watchword_server.flows.token import digest

DECIDED = Decided("client", "https://orders.example", "orders:read", None)
OTHER = Decided("other", "https://orders.example", "orders:write", "EdDSA")


def sent(number: int) -> bytes:
    """The digest of some request."""
    return digest(b"Basic x", b"%d" % number)


def test_what_was_learned_is_known_under_its_state_only() -> None:
    """An older state forgets as a newer one does: what counts is that it is another."""
    repeats = Repeats()
    assert repeats.recall(sent(1), 7) is None
    repeats.learn(sent(1), 7, DECIDED)
    assert repeats.recall(sent(1), 7) == DECIDED
    assert [repeats.recall(sent(1), state) for state in (6, 8, -1, 0)] == [None] * 4
    assert repeats.recall(sent(2), 7) is None


def test_another_state_makes_everything_forgotten() -> None:
    """Whatever changed, nothing of before is known again, not even when the old state comes back."""
    repeats = Repeats()
    repeats.learn(sent(1), 7, DECIDED)
    repeats.learn(sent(2), 8, OTHER)
    assert (repeats.recall(sent(1), 8), repeats.recall(sent(2), 8)) == (None, OTHER)
    repeats.learn(sent(3), 7, DECIDED)
    assert [repeats.recall(sent(number), 7) for number in (1, 2, 3)] == [None, None, DECIDED]
    assert repeats.recall(sent(2), 8) is None


def test_only_so_many_are_remembered() -> None:
    """A flood of different requests costs a bounded memory, and no wrong answer."""
    repeats = Repeats()
    for number in range(3 * MOST + 5):
        repeats.learn(sent(number), 1, Decided(str(number), "aud", "", None))
        assert repeats.recall(sent(number), 1) == Decided(str(number), "aud", "", None)
    known = [number for number in range(3 * MOST + 5) if repeats.recall(sent(number), 1)]
    assert 0 < len(known) <= MOST
    assert all(repeats.recall(sent(number), 1) == Decided(str(number), "aud", "", None) for number in known)


def test_no_secret_is_kept() -> None:
    """A request is remembered by a hash of fixed length."""
    repeats = Repeats()
    repeats.learn(digest(b"Basic c2VjcmV0", b"grant_type=client_credentials"), 1, DECIDED)
    held = repr(vars(repeats))
    assert "secret" not in held
    assert "c2VjcmV0" not in held
    assert len(sent(1)) == hashlib.sha256().digest_size


def test_a_header_and_a_body_never_run_together() -> None:
    """The same bytes, cut elsewhere, are another request: also where a part looks like a length."""
    whole = b"12\nBasic abc\n3\ngrant_type=x"
    cut = [(whole[:at], whole[at:]) for at in range(len(whole) + 1)]
    assert len({digest(*pair) for pair in cut}) == len(cut)
    lookalikes = [
        (b"", b"1\na"),
        (b"1", b"\na"),
        (b"1\n", b"a"),
        (b"1\na", b""),
        (b"a", b""),
        (b"", b"a"),
        (b"\na", b""),
    ]
    assert all(digest(*one) != digest(*other) for one, other in combinations(lookalikes, 2))


@given(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=40))
def test_digests_are_equal_for_equal_requests_only(a: bytes, b: bytes, c: bytes, d: bytes) -> None:
    """Header and body both count, each by itself."""
    assert (digest(a, b) == digest(c, d)) == ((a, b) == (c, d))
