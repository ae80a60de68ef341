"""Every subject in one run, a page of `docs/benchmarks/` for each group. The exit code is 1 for a missed bound."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from bench import report
from bench.effort import Effort
from bench.report import Report
from bench.result import Section, Unmeasured

FOLDER: Final = Path(__file__).parents[1] / "docs" / "benchmarks"
PAGES: Final = {
    "tokens": ("verify", "sign", "cached", "threads", "footprint", "membership"),
    "proofs": ("proofs", "client_tokens"),
    "issuer": ("token_endpoint", "start"),
    "databases": ("refresh", "durable"),
    "codes": ("codes", "own_profile", "peer_profile"),
}
SUBJECTS: Final = tuple(subject for subjects in PAGES.values() for subject in subjects)
"""Each is a module here whose `measure` gives its section."""


def main() -> int:
    """Measure everything, or what is named; only whole pages at full effort are written down."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=SUBJECTS, help="this subject, and write nothing; repeatable")
    parser.add_argument("--page", action="append", choices=PAGES, help="the subjects of this page; repeatable")
    parser.add_argument("--quick", action="store_true", help="few rounds, to see that all works; writes nothing")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    arguments = parser.parse_args()
    effort = Effort.QUICK if arguments.quick else Effort.FULL
    if arguments.only:
        outcomes = [_measured("some", arguments.only, effort)]
    else:
        outcomes = [_measured(page, PAGES[page], effort) for page in arguments.page or PAGES]
    for outcome in outcomes:
        if not arguments.only and not arguments.quick:
            report.write(outcome, FOLDER)
        print(_shown(outcome, arguments.json, bool(arguments.only)))
    return int(any(outcome.missed for outcome in outcomes))


def _measured(page: str, subjects: Sequence[str], effort: Effort) -> Report:
    return report.run(page, [(name, partial(_measure, name, effort)) for name in subjects])


def _measure(name: str, effort: Effort) -> Section:
    """Import a subject only when it is wanted: most need no peer."""
    try:
        subject = importlib.import_module(f"bench.{name}")
    except ModuleNotFoundError as error:
        raise Unmeasured(f"{error.name} is not installed; `make bench` sees to it") from error
    section: Section = subject.measure(effort)
    return section


def _shown(outcome: Report, as_json: bool, in_full: bool) -> str:
    if as_json:
        return report.as_text(outcome)
    return report.markdown(outcome) if in_full else report.summary(outcome)


if __name__ == "__main__":
    sys.exit(main())
