"""Every subject in one run: `docs/benchmarks/first.md` and `first.json`. The exit code is 1 when a bound is missed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from bench import cached, report, start, token_endpoint, verify

EDITION: Final = "first"
FOLDER: Final = Path(__file__).parents[1] / "docs" / "benchmarks"
SUBJECTS: Final = {
    "verify": verify.measure,
    "cached": cached.measure,
    "token_endpoint": token_endpoint.measure,
    "start": start.measure,
}


def main() -> int:
    """Measure everything, or what is named; only a full run is written down."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=SUBJECTS, help="this subject, and write nothing; repeatable")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    chosen = arguments.only or list(SUBJECTS)
    outcome = report.run([(name, SUBJECTS[name]) for name in chosen])
    if not arguments.only:
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / f"{EDITION}.md").write_text(report.markdown(outcome), "utf-8")
        (FOLDER / f"{EDITION}.json").write_text(report.as_text(outcome), "utf-8")
    print(report.as_text(outcome) if arguments.json else report.summary(outcome))
    return int(outcome.missed)


if __name__ == "__main__":
    sys.exit(main())
