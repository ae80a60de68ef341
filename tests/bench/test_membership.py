"""The process that holds a revocation set for the bench does what a verifier does, and says what a verifier refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench import processes
from bench.lines import ask
from bench.result import Unmeasured

ROOT = Path(__file__).parents[2]
HOLDER = [sys.executable, "-m", "bench.holder"]
COUNT = 500


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """A signed snapshot of COUNT entries, and its key set beside it."""
    file = tmp_path / "snapshot"
    subprocess.run([sys.executable, "-m", "bench.logs", str(COUNT), str(file)], cwd=ROOT, check=True, timeout=60)
    return file


def test_a_holder_loads_a_snapshot_and_grows_by_deltas(snapshot: Path) -> None:
    """What is measured is what was put in: a set that silently stayed empty would be fast."""
    with processes.running(HOLDER, ROOT) as holder:
        loaded = ask(holder, "load", file=str(snapshot))
        grown = ask(holder, "delta")
        asked = ask(holder, "kills")
    assert "refused" not in loaded
    assert min(loaded["unseal"], loaded["apply"], grown["microseconds"], asked["microseconds"]) > 0
    assert grown["entries"] == COUNT + 200


def test_a_snapshot_that_a_verifier_refuses_is_told(snapshot: Path) -> None:
    """Longer than the bound of a message: it is measured all the same, and nobody takes it for loadable."""
    start = "import watchword.log as log; log.MAX_MESSAGE = 1000; import bench.holder; bench.holder.main()"
    with processes.running([sys.executable, "-c", start], ROOT) as holder:
        loaded = ask(holder, "load", file=str(snapshot))
        grown = ask(holder, "delta")
    assert "too long" in loaded["refused"]
    assert grown["entries"] == COUNT + 200


def test_a_holder_that_ends_is_noticed() -> None:
    """The bench says so, with the last words, and does not wait for ever."""
    with pytest.raises(Unmeasured, match="SystemExit|no answer|ended"), processes.running(HOLDER, ROOT) as holder:
        ask(holder, "load", file="/nowhere/at/all")
