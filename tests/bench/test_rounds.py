"""Interleaved rounds: everybody gets the same calls, and the warm-up does not count."""

from __future__ import annotations

from collections.abc import Mapping

from bench import rounds
from bench.rounds import Calls


def test_all_candidates_have_every_call_in_every_round() -> None:
    """Bursts that do not divide the calls lose none; the first round is made and left out of the times."""
    made: dict[str, list[int]] = {"one": [], "other": []}
    arguments = [(number,) for number in range(rounds.BURST + 7)]

    def prepare() -> Mapping[str, Calls]:
        return {name: (calls.append, arguments) for name, calls in made.items()}

    times = rounds.one_by_one(prepare, {"far": lambda: [1.0]}, 3, lambda number: None)
    every = list(range(rounds.BURST + 7))
    assert made == {"one": every * 4, "other": every * 4}
    assert {name: [len(calls) for calls in by_round] for name, by_round in times.items()} == {
        "one": [len(every)] * 3,
        "other": [len(every)] * 3,
        "far": [1] * 3,
    }


def test_candidates_take_turns_in_bursts() -> None:
    """Nobody has a second burst before everybody had a first: a slow moment hits all alike."""
    order: list[str] = []
    arguments = [()] * (3 * rounds.BURST)

    def prepare() -> Mapping[str, Calls]:
        return {name: (lambda name=name: order.append(name), arguments) for name in "abc"}

    rounds.one_by_one(prepare, {}, 1, lambda number: None)
    size = 3 * rounds.BURST
    assert all(
        sorted(order[start : start + size : rounds.BURST]) == list("abc") for start in range(0, len(order), size)
    )
