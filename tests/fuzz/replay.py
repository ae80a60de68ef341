"""Try kept inputs again, without any engine: `python -m tests.fuzz.replay TARGET FILE...`, one JSON line for each."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.fuzz.watch import Watch

ROUNDS: Final = 5
"""An input counts by its best: what else the machine does is not its fault."""


def main() -> int:
    """The exit code is 1 when an input shows a finding or is slow."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.replay", description=__doc__)
    parser.add_argument("target")
    parser.add_argument("files", nargs="+", type=Path)
    arguments = parser.parse_args()
    target = importlib.import_module(f"tests.fuzz.{arguments.target}").TARGET
    bad = False
    with TemporaryDirectory() as folder:
        watch = Watch(target, Path(folder))
        for seed in target.seeds():
            watch.warm(seed)
        for path in arguments.files:
            data = path.read_bytes()
            outcome = watch.try_input(data)
            cost = min(watch.cost(data) for _ in range(ROUNDS)) if outcome != "finding" else 0.0
            slow = cost > target.budget_ms(data)
            bad = bad or slow or outcome == "finding"
            line = {"file": str(path), "bytes": len(data), "outcome": outcome, "ms": round(cost, 3), "slow": slow}
            print(json.dumps(line), flush=True)
        for report in sorted(Path(folder).glob("findings/*.txt")):
            print(report.read_text(), file=sys.stderr)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
