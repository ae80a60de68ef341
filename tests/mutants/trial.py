"""Every mutant against the tests: one fork each, in memory, so that no file is ever a mutant.

Run at the root of a working copy, which also stands first in `sys.path`:
`python -m tests.mutants.trial VERDICTS JOBS MODULE ...`, mutants that VERDICTS has an answer for left out.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import io
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

import coverage
import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.mutants.breed import Mutant, mutants
from tests.mutants.plan import ROOM, source_of, tests_of
from tests.mutants.verdicts import Verdict, load, save

MEMORY: Final = 4 << 30
"""Bytes that one trial may ask for."""
LONGEST: Final = 300.0
"""Seconds of one trial, whatever it does."""

_QUIET: Final = ("-x", "-qq", "--no-header", "--no-summary", "--tb=line", "--hypothesis-profile=mutants")
# What they would collect, a process that ends at once does not mind.
_WITHOUT: Final = ("cacheprovider", "faulthandler", "logging", "threadexception", "unraisableexception", "xdist")

# The same examples for every mutant, no search for the smallest one, nothing remembered.
settings.register_profile(
    "mutants",
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


@dataclass(frozen=True)
class Knowledge:
    """What a run without any change showed."""

    seconds: Mapping[str, float]
    """How long each test takes."""
    runs: Mapping[str, Mapping[str, Sequence[str]]]
    """For each module and line, the tests that run it."""


class Planted:
    """Finds one module of ours, in its mutated form."""

    def __init__(self, name: str, code: CodeType) -> None:
        self.name, self.code = name, code

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """As a finder of `sys.meta_path`."""
        # Any: a loader is whatever has a loader's methods.
        loader: Any = self
        return importlib.util.spec_from_loader(name, loader) if name == self.name else None

    def create_module(self, spec: ModuleSpec) -> None:
        """None: an ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutated code."""
        exec(self.code, module.__dict__)


class Jury:
    """A pytest plugin: the tests that run the changed lines come first, the quick ones before the slow ones."""

    def __init__(self, knowledge: Knowledge, concerned: frozenset[str]) -> None:
        self.knowledge, self.concerned = knowledge, concerned
        self.killer = "import"
        self.is_late = False

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Sort, and give each test ten times its time."""
        seconds = self.knowledge.seconds
        items.sort(key=lambda item: (item.nodeid not in self.concerned, seconds.get(item.nodeid, 0)))
        for item in items:
            item.add_marker(pytest.mark.timeout(10 + 10 * seconds.get(item.nodeid, 0), method="signal"))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember who found it."""
        if report.failed:
            self.killer = report.nodeid
            self.is_late = "Timeout (>" in str(report.longrepr)


class Observer:
    """A pytest plugin: how long each test takes, and its name as coverage's context."""

    def __init__(self, watch: coverage.Coverage) -> None:
        self.watch = watch
        self.seconds: dict[str, float] = {}
        self.failed = "collecting"

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Around one test."""
        self.watch.switch_context(item.nodeid)
        start = time.perf_counter()
        outcome = yield
        self.seconds[item.nodeid] = time.perf_counter() - start
        self.watch.switch_context("")
        return outcome

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember what fails."""
        if report.failed:
            self.failed = report.nodeid


def run_pytest(tests: Sequence[str], *plugins: object) -> int:
    """pytest in this process, quiet, ending at the first failure; its exit code."""
    without = [part for name in _WITHOUT for part in ("-p", f"no:{name}")]
    return int(pytest.main([*_QUIET, *without, *tests], plugins=list(plugins)))


def warm(tests: Sequence[str]) -> None:
    """Load everything that is not ours, so that no fork has to."""
    with contextlib.redirect_stdout(io.StringIO()):
        run_pytest(["--collect-only", *tests])
    for name in [name for name in sys.modules if _is_ours(name)]:
        del sys.modules[name]
    gc.collect()
    gc.freeze()


def _is_ours(name: str) -> bool:
    return name.split(".")[0] in {"tests", "watchword"} and not f"{name}.".startswith("tests.mutants.")


def observe(tests: Sequence[str]) -> Knowledge:
    """Run the tests once, unchanged. They must pass."""
    watch = coverage.Coverage(data_file=None, include=[f"{ROOM.resolve()}/*"])
    observer = Observer(watch)
    watch.start()
    code = run_pytest(tests, observer)
    watch.stop()
    if code:
        return Knowledge({}, {"failed": {observer.failed: ()}})
    data = watch.get_data()
    lines = {file: data.contexts_by_lineno(file) for file in data.measured_files()}
    return Knowledge(
        observer.seconds, {file: {str(line): tests for line, tests in found.items()} for file, found in lines.items()}
    )


def concerned(mutant: Mutant, knowledge: Knowledge) -> frozenset[str]:
    """The tests that run a changed line."""
    runs = knowledge.runs.get(str(source_of(mutant.module).resolve()), {})
    first, last = mutant.lines
    return frozenset(test for line in range(first, last + 1) for test in runs.get(str(line), ()))


def judge(mutant: Mutant, knowledge: Knowledge) -> Verdict:
    """Try one mutant in this process, which is good for nothing else afterwards."""
    file = source_of(mutant.module).resolve()
    try:
        code, good = (compile(text, file, "exec", dont_inherit=True) for text in (mutant.source, file.read_text()))
    except SyntaxError:
        return Verdict("none", "no program")
    if _essence(code) == _essence(good):
        return Verdict("none", "the same program")
    finder: Any = Planted(f"watchword.{mutant.module}", code)
    sys.meta_path.insert(0, finder)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    jury = Jury(knowledge, concerned(mutant, knowledge))
    for tests in tests_of(mutant.module):
        if run_pytest([tests], jury) != 0:
            return Verdict("timeout" if jury.is_late else "killed", jury.killer)
    return Verdict("survived", "")


def _essence(code: CodeType) -> tuple[object, ...]:
    """What a program does, without where its lines stand."""
    constants = tuple(_essence(part) if isinstance(part, CodeType) else (type(part), part) for part in code.co_consts)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    arguments = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    return code.co_name, code.co_code, code.co_exceptiontable, constants, names, arguments


def fork(work: Callable[[], Any], answer: Path) -> int:
    """Do it in a child of its own group; what it returns becomes a file."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        gc.disable()
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silence, stream)
        answer.write_text(json.dumps(asdict(work())))
    finally:
        os._exit(0)


def trials(queue: Sequence[Mutant], knowledge: Knowledge, jobs: int, folder: Path) -> Iterator[tuple[Mutant, Verdict]]:
    """Verdicts in the order in which they fall, so many trials at a time."""
    waiting = iter(enumerate(queue))
    running: dict[int, tuple[Mutant, Path, float]] = {}
    while True:
        while len(running) < jobs and (following := next(waiting, None)) is not None:
            number, mutant = following
            answer = folder / f"{number}.json"
            pid = fork(partial(judge, mutant, knowledge), answer)
            running[pid] = (mutant, answer, time.monotonic() + LONGEST)
        if not running:
            return
        pid, _ = os.waitpid(-1, os.WNOHANG)
        if pid:
            mutant, answer, deadline = running.pop(pid)
            yield mutant, _verdict(answer, time.monotonic() > deadline)
        else:
            _end_the_late(running)
            time.sleep(0.01)


def _verdict(answer: Path, is_late: bool) -> Verdict:
    if answer.exists():
        return Verdict(**json.loads(answer.read_text()))
    return Verdict("timeout" if is_late else "killed", "the process ended")


def _end_the_late(running: Mapping[int, tuple[Mutant, Path, float]]) -> None:
    for pid, (_, _, deadline) in running.items():
        if time.monotonic() > deadline:
            os.killpg(pid, signal.SIGKILL)


def main() -> None:
    """Try all mutants of the modules, and keep the verdicts as they come."""
    target, jobs, modules = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    folder = Path("answers")
    folder.mkdir()
    tests = sorted({test for module in modules for test in tests_of(module)})
    warm(tests)
    os.waitpid(fork(partial(observe, tests), folder / "knowledge.json"), 0)
    knowledge = Knowledge(**json.loads((folder / "knowledge.json").read_text()))
    if "failed" in knowledge.runs:
        raise SystemExit(f"without any change, this fails: {', '.join(knowledge.runs['failed'])}")
    verdicts = load(target)
    every = [mutant for module in modules for mutant in mutants(module, source_of(module).read_text())]
    queue = [mutant for mutant in every if mutant.name not in verdicts]
    print(
        f"{len(queue)} mutants, {len(knowledge.seconds)} tests of {sum(knowledge.seconds.values()):.0f} s", flush=True
    )
    began = time.monotonic()
    for count, (mutant, verdict) in enumerate(trials(queue, knowledge, jobs, folder), 1):
        verdicts[mutant.name] = verdict
        if verdict.kind == "survived":
            where = f"{mutant.module}:{mutant.lines[0]} {mutant.where}"
            print(f"alive: {where}\n  - {mutant.before}\n  + {mutant.after}", flush=True)
        if count % 50 == 0:
            print(f"{count} of {len(queue)} after {time.monotonic() - began:.0f} s", flush=True)
            save(target, verdicts)
    names = {mutant.name for mutant in every}
    gone = [name for name in verdicts if name[0] in modules and name not in names]
    for name in gone:
        del verdicts[name]
    save(target, verdicts)


if __name__ == "__main__":
    main()
