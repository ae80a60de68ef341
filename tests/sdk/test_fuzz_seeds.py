"""Where fuzzing begins: every seed is judged without a finding, and the seeds reach what the judges judge."""

from __future__ import annotations

import importlib
from collections import Counter
from pathlib import Path

import pytest

from tests.fuzz.campaign import TARGETS
from tests.fuzz.target import Target
from tests.fuzz.watch import Watch

REACHED = {
    "tokens": {"accepted", "Malformed", "WrongType", "UnknownKey", "BadSignature", "WrongConfirmation"},
    "keys": {"key", "set", "InvalidKey"},
    "encrypted": {"accepted", "opened", "Malformed", "WrongType"},
    "feed": {"several read", "InvalidFeed"},
}


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_of_a_target_reach_its_judges(tmp_path: Path, name: str) -> None:
    """Fuzzing itself is `make fuzz`; this notices at once when a change has left it behind."""
    target: Target = importlib.import_module(f"tests.fuzz.{name}").TARGET
    watch = Watch(target, tmp_path)
    outcomes = Counter(watch.try_input(seed) for seed in target.seeds())
    assert [path.read_text() for path in tmp_path.glob("findings/*.txt")] == []
    assert outcomes.keys() >= REACHED[name]
