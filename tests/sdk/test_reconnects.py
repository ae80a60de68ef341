"""Coming back: soon, never all at once, and at once where a node says goodbye."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.sdk.honest_issuer import Issuer, eventually
from watchword import Verifier
from watchword.wire.backoff import EASED, LONGEST, SHORTEST, BackOff

FLEET = 200
"""Verifiers that lose their stream in the same moment."""


def follow(verifier: Verifier, issuer: Issuer) -> None:
    """Start, and wait until the stream is open."""
    verifier.verify_sync(issuer.token())
    eventually(lambda: issuer.streams == 1)


def widest_gap(moments: list[float], end: float) -> float:
    return max(later - earlier for earlier, later in pairwise([0.0, *sorted(moments), end]))


@pytest.mark.parametrize("failures", [0, 2, 4, 10])
def test_a_fleet_comes_back_spread_over_all_of_the_wait(failures: int) -> None:
    """After one break, and after further ones: in no twentieth of the time comes more than three times its share."""
    waits = []
    for pause in [BackOff() for _ in range(FLEET)]:
        for _ in range(failures):
            pause.next()
        waits.append(pause.next())
    bound = min(SHORTEST * 2**failures, LONGEST)
    assert all(0 <= wait < bound for wait in waits)
    shares = [sum(int(wait / bound * 20) == twentieth for wait in waits) for twentieth in range(20)]
    assert max(shares) <= 3 * FLEET / 20
    assert widest_gap(waits, bound) < bound / 10


def test_a_wait_that_was_eased_is_short_and_grows_again() -> None:
    """Half a second at most, whatever went before; and a short one stays as short as it was."""
    pause = BackOff()
    pause.ease()
    assert pause.next() < SHORTEST
    for _ in range(20):
        pause.next()
    pause.ease()
    assert pause.next() < EASED
    assert max(pause.next() for _ in range(50)) > EASED


def test_a_fleet_of_verifiers_is_back_after_a_break_and_not_in_one_moment(
    issuer: Issuer, verifier_of: Callable[..., Verifier]
) -> None:
    """Real ones, whose streams are cut in the same moment: each comes back, over most of the shortest wait."""
    fleet = [verifier_of(issuer) for _ in range(8)]
    for verifier in fleet:
        verifier.__enter__()
    eventually(lambda: issuer.streams == len(fleet), 30)
    seen = len(issuer.opened)
    issuer.cut()
    eventually(lambda: len(issuer.opened) >= seen + len(fleet) and issuer.streams == len(fleet), 30)
    back = sorted(issuer.opened[seen:])
    assert back[-1] - back[0] > SHORTEST / 10
    eventually(lambda: all(verifier.contact.streams == 2 for verifier in fleet), 30)


def test_a_node_that_says_goodbye_is_left_at_once(verifier: Verifier, issuer: Issuer) -> None:
    """Each time, without a warning, and without waits that grow."""
    issuer.farewell = True
    follow(verifier, issuer)
    for count in range(2, 4):
        lived = time.monotonic() + 1.1
        eventually(lambda lived=lived: time.monotonic() >= lived)  # type: ignore[misc]  # bound at once
        cut = time.monotonic()
        issuer.cut()
        eventually(lambda count=count: len(issuer.opened) == count)  # type: ignore[misc]  # bound at once
        assert issuer.opened[-1] - cut < 0.5


def test_a_node_that_says_goodbye_to_everybody_is_not_asked_without_end(verifier: Verifier, issuer: Issuer) -> None:
    """One that is left but goes on greeting: pauses grow to half a second, so it is asked some times, not hundreds."""
    issuer.farewell = True
    follow(verifier, issuer)
    end = time.monotonic() + 2
    while time.monotonic() < end:
        issuer.cut()
        time.sleep(0.002)
    assert 3 <= len(issuer.opened) <= 40


def test_streams_that_end_soon_but_bring_something_are_taken_up_soon(verifier: Verifier, issuer: Issuer) -> None:
    """Ten breaks in a row, each as soon as the stream is open: the tenth costs half a second at most, not five."""
    follow(verifier, issuer)
    for count in range(2, 12):
        eventually(lambda count=count: verifier.contact.streams == count - 1)  # type: ignore[misc]  # bound at once
        cut = time.monotonic()
        issuer.cut()
        eventually(lambda count=count: len(issuer.opened) == count, 2)  # type: ignore[misc]  # bound at once
    assert issuer.opened[-1] - cut < EASED + 0.25


def test_a_stream_is_opened_as_soon_as_a_question_was_answered_again(verifier: Verifier, issuer: Issuer) -> None:
    """Nobody waits out the rest of five seconds once it is known that the issuer is back."""
    follow(verifier, issuer)
    issuer.status["/revocations/stream"] = issuer.status["/revocations"] = 503
    issuer.cut()
    eventually(lambda: issuer.counts["/revocations/stream"] >= 7, 30)  # waits of up to 5 s by now
    issuer.status.clear()
    answered, opened = issuer.counts["/revocations"], len(issuer.opened)
    eventually(lambda: issuer.counts["/revocations"] > answered or len(issuer.opened) > opened, 15)
    eventually(lambda: len(issuer.opened) > opened, 1)
