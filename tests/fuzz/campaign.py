"""A campaign: one process for each target, some at a time, and what came of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

ROOT: Final = Path(__file__).parents[2]
TARGETS: Final = ("tokens", "keys", "encrypted", "feed")
ENGINES: Final = {"atheris": "tests.fuzz.by_coverage", "hypothesis": "tests.fuzz.by_examples"}
GRACE: Final = 300
"""Seconds beyond its time after which a process is ended: it hangs where no engine can see it."""
BUSY: Final = 20
"""How many seconds one second of processor time may take."""
TELL_EVERY: Final = 15.0
PULSE: Final = re.compile(
    rb"^#(?P<runs>\d+)\s.*?cov: (?P<edges>\d+) ft: (?P<features>\d+) corp: (?P<kept>\d+)", re.MULTILINE
)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How to fuzz: seconds for each target, and how many targets at a time."""

    folder: Path
    seconds: int
    jobs: int = 1
    engine: str = "atheris"
    sdk: Path | None = None
    """Where another copy of the SDK is, to be fuzzed instead."""
    race: bool = False
    """Count processor time, and end with the first finding."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one target. `slowest_ms` is processor time without coverage counting."""

    target: str
    engine: str
    seconds: float
    executions: int
    edges: int
    features: int
    kept: int
    """Inputs in the corpus, each for something that no other runs."""
    slowest_ms: float
    slowest_bytes: int
    slowest: str
    outcomes: dict[str, int]
    findings: dict[str, int]
    """How often each was seen; the inputs are in the target's folder."""
    first_after_cpu_s: dict[str, float]


def run(targets: Iterable[str], plan: Plan, say: Say) -> list[Outcome]:
    """Fuzz every target."""
    with ThreadPoolExecutor(plan.jobs) as pool:
        return list(pool.map(lambda target: _fuzz(target, plan, say), targets))


def _fuzz(target: str, plan: Plan, say: Say) -> Outcome:
    folder = plan.folder / target
    folder.mkdir(parents=True, exist_ok=True)
    command = [ENGINES[plan.engine], target, str(folder), str(plan.seconds)]
    log = folder / "log"
    with log.open("wb") as sink, _process([*command, *["--race"] * plan.race], plan, sink) as process:
        code = _watched(process, plan.seconds * (BUSY if plan.race else 1) + GRACE, lambda: _tell(target, log, say))
    return _outcome(target, plan, code)


def _process(module: list[str], plan: Plan, output: int | IO[bytes]) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(str(place) for place in (plan.sdk, ROOT) if place)
    errors = subprocess.STDOUT if output != subprocess.PIPE else subprocess.DEVNULL
    return subprocess.Popen(
        [sys.executable, "-m", *module],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
    )


def _watched(process: subprocess.Popen[bytes], seconds: float, tell: Callable[[], None]) -> int:
    """The exit code; the process is killed when its time and GRACE are over."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(TELL_EVERY):
            tell()

    teller = threading.Thread(target=watch)
    teller.start()
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
    finally:
        done.set()
        teller.join()


def _tell(target: str, log: Path, say: Say) -> None:
    runs, edges, features, kept = _pulse(log)
    say(f"{target}: {runs} executions, {edges} edges, {features} features, {kept} inputs kept")


def _pulse(log: Path) -> tuple[int, ...]:
    """What libFuzzer said last: executions, edges, features, inputs kept."""
    found = PULSE.findall(log.read_bytes())
    return tuple(map(int, found[-1])) if found else (0, 0, 0, 0)


def _outcome(target: str, plan: Plan, code: int) -> Outcome:
    folder = plan.folder / target
    tally = json.loads((folder / "tally.json").read_text()) if (folder / "tally.json").is_file() else {}
    runs, edges, features, kept = _pulse(folder / "log")
    timed = _timed(target, plan)
    nothing: dict[str, Any] = {"ms": 0.0, "bytes": 0, "file": ""}
    slowest = max(timed, key=lambda line: float(line["ms"]), default=nothing)
    return Outcome(
        target=target,
        engine=plan.engine,
        seconds=float(tally.get("seconds", 0.0)),
        executions=max(runs, int(tally.get("executions", 0))),
        edges=edges,
        features=features,
        kept=kept,
        slowest_ms=slowest["ms"],
        slowest_bytes=slowest["bytes"],
        slowest=slowest["file"],
        outcomes=tally.get("outcomes", {}),
        findings=_findings(tally, code, sum(line["slow"] for line in timed)),
        first_after_cpu_s=tally.get("first_after_cpu_s", {}),
    )


def _findings(tally: dict[str, Any], code: int, slow: int) -> dict[str, int]:
    findings = dict(tally.get("findings", {}))
    if slow:
        findings["slow-input"] = slow
    if code or not tally:  # a crash or a hang beneath Python, or a defect of the harness: the log says which
        findings[f"ended-with-{code}"] = 1
    return findings


def _timed(target: str, plan: Plan) -> list[dict[str, Any]]:
    """What suspects cost without any engine, in a process of their own."""
    suspects = sorted(map(str, (plan.folder / target / "slow").glob("*")))
    if not suspects or plan.race:
        return []
    with _process(["tests.fuzz.replay", target, *suspects], plan, subprocess.PIPE) as process:
        output, _ = process.communicate(timeout=GRACE)
    return [json.loads(line) for line in output.splitlines()]


def as_json(outcome: Outcome) -> str:
    """One line."""
    return json.dumps(asdict(outcome))
