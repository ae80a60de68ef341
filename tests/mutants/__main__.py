"""Change one thing in the token core, see whether a test notices, change it back: for thousands of things.

It works in a copy of its own and prints the score. The exit code is 1 when a mutant lives that `explained.toml` does
not explain, or when an explanation is needed no more.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.mutants import report
from tests.mutants.breed import mutants
from tests.mutants.plan import MODULES, source_of
from tests.mutants.verdicts import load, save

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "mutants.md"


def main() -> int:
    """Run, and say what lives."""
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="module", help=f"only these, of: {', '.join(MODULES)}")
    parser.add_argument("--again", action="store_true", help="only what is new, and what lived unexplained")
    parser.add_argument("--score", action="store_true", help="try nothing, count the last run")
    parser.add_argument("--write", action="store_true", help="write docs/mutants.md")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at a time (2)")
    parser.add_argument("--folder", type=Path, default=ROOT / ".mutants", help="for the working copy (.mutants)")
    arguments = parser.parse_args()
    if unknown := set(arguments.modules) - set(MODULES):
        parser.error(f"no such module: {', '.join(sorted(unknown))}")
    modules = arguments.modules or list(MODULES)
    folder = arguments.folder.resolve()
    if not arguments.score:
        _prepare(folder, modules, arguments.again)
        if code := _try(folder, modules, arguments.jobs):
            return code
    every = [one for module in modules for one in mutants(module, (folder / "copy" / source_of(module)).read_text())]
    outcome = report.outcome(modules, every, load(folder / "verdicts.json"), report.reasons())
    print(report.summary(outcome))
    if arguments.write:
        PAGE.write_text(report.page(outcome, every), "utf-8")
    return int(bool(outcome.alive or outcome.needless))


def _prepare(folder: Path, modules: list[str], again: bool) -> None:
    """A fresh copy of what the tests need, and of the last verdicts those that still count."""
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    for part in ("sdk/src", "tests"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    last = load(folder / "verdicts.json")
    others = {name: found for name, found in last.items() if name[0] not in modules}
    explained = {name for reason in report.reasons() for name in reason.mutants}
    decided = {name: found for name, found in last.items() if again and (found.kind != "survived" or name in explained)}
    save(folder / "verdicts.json", others | decided)


def _try(folder: Path, modules: list[str], jobs: int) -> int:
    copy = folder / "copy"
    vectors = os.environ.get("WATCHWORD_VECTORS") or str(ROOT.parent / "shared" / "vectors")
    paths = os.pathsep.join((str(copy), str(copy / "sdk" / "src")))
    environment = {
        **os.environ,
        "PYTHONPATH": paths,
        "WATCHWORD_VECTORS": vectors,
        "PYTHONDONTWRITEBYTECODE": "",  # else every trial compiles all but its one module anew
    }
    command = [sys.executable, "-m", "tests.mutants.trial", str(folder / "verdicts.json"), str(jobs), *modules]
    return subprocess.run(command, cwd=copy, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
