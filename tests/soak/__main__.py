"""The long runs. Exit code 1 for a missed bound.

WATCHWORD_TEST_SECONDS says for how long those run that may run for any time.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import msgspec

from bench import report
from bench.result import Section
from tests.soak import crowd, million, promotion, storm
from tests.soak.databases import DATABASES

SECONDS = os.environ.get("WATCHWORD_TEST_SECONDS")


def main() -> int:
    """Run what is named, or everything; a table and one line of JSON for each run."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("runs", nargs="*", metavar="RUN", help=", ".join(RUNS))
    parser.add_argument("--bounded", action="store_true", help="the short versions, as in CI")
    parser.add_argument("--database", choices=DATABASES, default="postgres")
    parser.add_argument("--silent", action="store_true", help="crowd: readers acknowledge nothing")
    arguments = parser.parse_args()
    subjects = [(name, partial(RUNS[name], arguments)) for name in arguments.runs or RUNS]
    return max([_run(name, work) for name, work in subjects])


def _run(name: str, work: Callable[[], Section]) -> int:
    outcome = report.run(name, [(name, work)])
    print(report.markdown(outcome).replace("`make bench`", "`make soak`"))
    print(msgspec.json.encode(outcome).decode(), flush=True)
    return int(outcome.missed)


def _storm(arguments: argparse.Namespace) -> Section:
    size = storm.BOUNDED if arguments.bounded else storm.WHOLE
    return storm.measure(replace(size, seconds=float(SECONDS or size.seconds)), DATABASES[arguments.database])


def _crowd(arguments: argparse.Namespace) -> Section:
    size = crowd.BOUNDED if arguments.bounded else crowd.WHOLE
    size = replace(size, acknowledge=not arguments.silent)
    return crowd.measure(replace(size, seconds=float(SECONDS or size.seconds)), DATABASES[arguments.database])


def _million(arguments: argparse.Namespace) -> Section:
    return million.measure(million.BOUNDED if arguments.bounded else million.WHOLE, DATABASES[arguments.database])


def _promotion(arguments: argparse.Namespace) -> Section:
    return promotion.measure(promotion.BOUNDED if arguments.bounded else promotion.WHOLE)


RUNS: Mapping[str, Callable[[argparse.Namespace], Section]] = {
    "storm": _storm,
    "crowd": _crowd,
    "million": _million,
    "promotion": _promotion,
}

if __name__ == "__main__":
    sys.exit(main())
