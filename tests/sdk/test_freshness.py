"""The arithmetic of freshness: signed time against two clocks, all of them arguments."""

from __future__ import annotations

import pytest

from watchword.freshness import DRIFT, PROMPT, Moment, Progress, offline

STALE = 10.0
SIGNED = 1_790_000_000_000  # the issuer's clock, in ms; nothing relates it to ours
START = Moment(100.0, 5_000.0)


def anchored() -> Progress:
    progress = Progress(STALE)
    progress.answered(START, SIGNED, START.after(0.05))
    return progress


def is_fresh(progress: Progress, now: Moment) -> bool:
    return now.monotonic < progress.fresh_monotonic and now.wall < progress.fresh_wall


def test_a_progress_without_an_answer_is_never_fresh() -> None:
    """Nothing known is older than everything."""
    progress = Progress(STALE)
    progress.heard(SIGNED, START)
    assert progress.age(START) == float("inf")
    assert not is_fresh(progress, START)


def test_an_answer_is_as_old_as_its_question() -> None:
    """The issuer may have signed the moment after it was asked."""
    assert anchored().age(START.after(3)) == pytest.approx(3, abs=0.01)


def test_a_heartbeat_in_time_makes_fresh() -> None:
    """Signed 8 s after the anchor and here 8 s after the anchor: nothing was held back."""
    progress = anchored()
    progress.heard(SIGNED + 8_000, START.after(8.1))
    assert progress.age(START.after(8.5)) == pytest.approx(0.5, abs=0.02)
    assert is_fresh(progress, START.after(17.9))
    assert not is_fresh(progress, START.after(18.1))


def test_a_delayed_stream_ages_although_messages_keep_coming() -> None:
    """Every message is 9 s old when it comes, and counts as 9 s old."""
    progress = anchored()
    for second in range(1, 30):
        progress.heard(SIGNED + 1000 * second, START.after(second + 9))
    assert progress.age(START.after(38)) == pytest.approx(9, abs=0.1)


def test_a_message_played_back_makes_nothing_younger() -> None:
    """The same signed time again is no progress."""
    progress = anchored()
    for second in range(1, 20):
        progress.heard(SIGNED + 1000, START.after(second))
    assert progress.age(START.after(20)) == pytest.approx(19, abs=0.1)
    assert not is_fresh(progress, START.after(20))


def test_a_message_from_the_issuers_future_counts_from_its_arrival() -> None:
    """An issuer's clock that jumps ahead does not make tomorrow fresh."""
    progress = anchored()
    progress.heard(SIGNED + 3_600_000, START.after(1))
    assert progress.age(START.after(12)) == pytest.approx(11, abs=0.1)


def test_a_machine_that_slept_is_stale_by_its_wall_clock() -> None:
    """Monotonic clocks stand still in suspend."""
    progress = anchored()
    awake = Moment(START.monotonic + 1, START.wall + 3_600)
    assert progress.age(awake) > 3_590
    assert not is_fresh(progress, awake)


def test_a_wall_clock_set_back_hides_nothing() -> None:
    """The monotonic clock still says how long ago it was."""
    progress = anchored()
    later = Moment(START.monotonic + 11, START.wall - 3_600)
    assert progress.age(later) == pytest.approx(11, abs=0.1)
    assert not is_fresh(progress, later)


def test_a_new_answer_heals_a_step_of_the_issuers_clock() -> None:
    """After the step every heartbeat looks old, until the clocks are tied anew."""
    progress, stepped = anchored(), SIGNED - 3_600_000
    progress.heard(stepped + 9_000, START.after(9))
    assert progress.age(START.after(9)) == pytest.approx(9, abs=0.1)
    assert progress.answered(START.after(9), stepped + 9_010, START.after(9.05))
    progress.heard(stepped + 12_010, START.after(12.1))
    assert progress.age(START.after(12.1)) == pytest.approx(0.1, abs=0.02)


def test_a_slow_answer_does_not_make_older_what_is_known_better() -> None:
    """It took longer than PROMPT, and a heartbeat younger than its question is known."""
    progress = anchored()
    progress.heard(SIGNED + 9_000, START.after(9))
    assert not progress.answered(START.after(5), SIGNED + 8_000, START.after(5 + PROMPT + 4))
    assert progress.age(START.after(10)) == pytest.approx(1, abs=0.02)


def test_an_old_tie_between_the_clocks_loosens() -> None:
    """Clocks drift apart, so an anchor of hours ago proves less than it seems to."""
    progress = anchored()
    progress.heard(SIGNED + 10_000_000, START.after(10_000))
    assert progress.age(START.after(10_000)) == pytest.approx(10_000 * DRIFT, abs=0.1)
    assert not is_fresh(progress, START.after(10_001))


def test_an_answer_that_is_not_the_newest_ties_clocks_and_proves_no_more() -> None:
    """Another node of the issuer, behind the one whose stream is read."""
    progress = anchored()
    assert progress.answered(START.after(5), SIGNED + 5_000, START.after(5.01), is_newest=False)
    assert progress.age(START.after(5)) == pytest.approx(5, abs=0.02)


def test_fixed_keys_are_always_fresh() -> None:
    """Offline there is no feed that could be old."""
    assert is_fresh(offline(), Moment(1e12, 1e12))
