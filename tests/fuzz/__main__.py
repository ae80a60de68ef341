"""Fuzz the SDK's doors. Inputs, findings and logs are kept in `.watchword/fuzz/`; docs/fuzzing.md tells more."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import Final

from tests.fuzz import campaign, planted

FOLDER: Final = campaign.ROOT / ".watchword" / "fuzz"


def main() -> int:
    """The exit code is 1 when there is a finding, or when a planted defect was not found."""
    arguments = _arguments()
    began = time.monotonic()
    if arguments.self_test or arguments.prove:
        chosen = planted.QUICK if arguments.self_test else planted.DEFECTS
        return _prove([defect for defect in chosen if defect.target in arguments.target], arguments, began)
    for target in arguments.target:  # the corpus stays and grows from run to run; what was found is this run's
        for name in ("findings", "crashes", "slow"):
            shutil.rmtree(arguments.folder / target / name, ignore_errors=True)
        (arguments.folder / target / "tally.json").unlink(missing_ok=True)
    plan = campaign.Plan(arguments.folder, arguments.seconds, arguments.jobs, arguments.engine)
    outcomes = campaign.run(arguments.target, plan, _say)
    for outcome in outcomes:
        print(campaign.as_json(outcome) if arguments.json else _line(outcome), flush=True)
    executions, findings = sum(o.executions for o in outcomes), sum(len(o.findings) for o in outcomes)
    _close(f"fuzz: {len(outcomes)} targets, {executions} executions, {findings} findings", began)
    return int(findings > 0)


def _prove(defects: list[planted.Defect], arguments: argparse.Namespace, began: float) -> int:
    """Plant each defect in a copy of the SDK, and say after how long it was found."""
    missed = 0
    for defect in defects:
        after = planted.found_after(defect, arguments.seconds, arguments.engine)
        missed += after is None
        print(f"{arguments.engine:10} {defect.target:9} {defect.name}: {_words(after)}", flush=True)
    _close(f"fuzz: {len(defects)} planted defects, {len(defects) - missed} found by {arguments.engine}", began)
    return int(missed > 0)


def _words(after: float | None) -> str:
    return "not found" if after is None else f"found after {after:.1f} s of processor time"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=45, help="for each target or planted defect (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="targets at a time (default: %(default)s)")
    parser.add_argument("--target", action="append", choices=campaign.TARGETS, help="only this one; repeatable")
    parser.add_argument("--engine", choices=sorted(campaign.ENGINES), default="atheris")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where inputs and findings are kept")
    parser.add_argument("--json", action="store_true", help="one JSON object a line for each target")
    parser.add_argument("--self-test", action="store_true", help="plant a defect that must be found at once")
    parser.add_argument("--prove", action="store_true", help="plant every defect, one after another")
    arguments = parser.parse_args()
    arguments.target = arguments.target or list(campaign.TARGETS)
    return arguments


def _line(outcome: campaign.Outcome) -> str:
    found = ", ".join(f"{name} ({count})" for name, count in outcome.findings.items()) or "no finding"
    return (
        f"{outcome.target:9} {outcome.executions:>8} executions, {outcome.edges} edges, {outcome.features} features, "
        f"slowest {outcome.slowest_ms:.1f} ms for {outcome.slowest_bytes} bytes: {found}"
    )


def _say(text: str) -> None:
    print(f"fuzz: {text}", file=sys.stderr, flush=True)


def _close(text: str, began: float) -> None:
    print(f"===== {text} in {time.monotonic() - began:.2f}s =====", flush=True)


if __name__ == "__main__":
    sys.exit(main())
