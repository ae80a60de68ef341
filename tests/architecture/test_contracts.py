"""The import contracts of pyproject.toml hold, and each of them bites when a fault is planted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.purity import impurities, sources

ROOT = Path(__file__).parents[2]
SDK = "sdk/src/watchword"
SERVER = "server/src/watchword_server"

SDK_ALONE = "The SDK never imports the server"
SDK_LAYERS = "The rooms of the SDK point downwards"
CLIENT_BESIDE = "The SDK's client stands beside its verifier"
SERVER_LAYERS = "The rooms of the server point downwards"
ADAPTERS_HIDDEN = "Only the composition root knows the adapters"
SETTINGS_HIDDEN = "Only the composition root and the command line know the settings"
GRANTS_APART = "Grants are independent of each other"
ADAPTERS_APART = "Adapters are independent of each other"
PURE = "Pure rooms import no clock, socket, database or framework"

FAULTS = [
    (SDK_ALONE, f"{SDK}/errors.py", "import watchword_server"),
    (SDK_LAYERS, f"{SDK}/jose/jws.py", "from watchword import policy"),
    (SDK_LAYERS, f"{SDK}/keys.py", "from watchword.verifier import Verifier"),
    (SDK_LAYERS, f"{SDK}/gossip.py", "NEWS = 1"),
    (CLIENT_BESIDE, f"{SDK}/client/gossip.py", "import watchword.revocations"),
    (SERVER_LAYERS, f"{SERVER}/protocol/values.py", "from watchword_server import web"),
    (SERVER_LAYERS, f"{SERVER}/flows/gossip.py", "import watchword_server.adapters"),
    (SERVER_LAYERS, f"{SERVER}/adapters/gossip.py", "import watchword_server.flows"),
    (SERVER_LAYERS, f"{SERVER}/web/gossip.py", "import watchword_server.cli"),
    (SERVER_LAYERS, f"{SERVER}/people/values.py", "import watchword_server.protocol.values"),
    (SERVER_LAYERS, f"{SERVER}/protocol/gossip.py", "import watchword_server.revocation"),
    (SERVER_LAYERS, f"{SERVER}/demo/gossip.py", "import watchword_server.flows"),
    (SERVER_LAYERS, f"{SERVER}/gossip.py", "NEWS = 1"),
    (ADAPTERS_HIDDEN, f"{SERVER}/cli/gossip.py", "import watchword_server.adapters"),
    (SETTINGS_HIDDEN, f"{SERVER}/web/gossip.py", "import watchword_server.settings"),
    (GRANTS_APART, f"{SERVER}/protocol/grants/gossip.py", "from watchword_server.protocol.grants import refresh_token"),
    (ADAPTERS_APART, f"{SERVER}/adapters/gossip.py", "import watchword_server.adapters.sql"),
    (PURE, f"{SERVER}/people/values.py", "import sqlite3"),
    (PURE, f"{SERVER}/protocol/values.py", "from watchword.keys import KeySource"),
    (PURE, f"{SERVER}/revocation/gossip.py", "import socket"),
    (PURE, f"{SDK}/policy.py", "from time import time"),
]


@pytest.fixture
def trees(tmp_path: Path) -> Path:
    """A copy of both source trees, to plant faults in."""
    for tree in ("sdk/src", "server/src"):
        shutil.copytree(ROOT / tree, tmp_path / tree, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def plant(trees: Path, file: str, fault: str) -> None:
    with (trees / file).open("a") as source:
        source.write(f"\n{fault}\n")


def lint(trees: Path) -> subprocess.CompletedProcess[str]:
    """Hold a copy of the trees against the contracts of this repository."""
    linter = Path(sys.executable).with_name("lint-imports")
    paths = os.pathsep.join(str(trees / tree) for tree in ("sdk/src", "server/src"))
    return subprocess.run(
        [linter, "--no-cache", "--config", ROOT / "pyproject.toml"],
        cwd=trees,
        env={**os.environ, "PYTHONPATH": paths, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_every_contract_holds(trees: Path) -> None:
    """The trees as they are keep every contract."""
    verdict = lint(trees)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


@pytest.mark.parametrize(("contract", "file", "fault"), FAULTS)
def test_a_planted_import_breaks_its_contract(trees: Path, contract: str, file: str, fault: str) -> None:
    """One forbidden import, or one unlisted room, is found by the contract that forbids it."""
    plant(trees, file, fault)
    verdict = lint(trees)
    assert verdict.returncode == 1, verdict.stdout + verdict.stderr
    assert f"{contract} BROKEN" in verdict.stdout


def test_every_contract_has_a_planted_fault() -> None:
    """A contract that nothing was seen to break may be one that cannot break."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = {contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]}
    assert contracts == {contract for contract, _, _ in FAULTS}


def test_pure_rooms_are_pure() -> None:
    """No pure module awaits, reads a clock, opens a file or imports what is not listed as pure."""
    found = {str(path.relative_to(ROOT)): impurities(path.read_text()) for path in sources(ROOT)}
    assert {path: faults for path, faults in found.items() if faults} == {}


@pytest.mark.parametrize(
    "fault",
    [
        "async def verify() -> None: ...",
        "from datetime import datetime\nT = datetime.now()",
        "import datetime as d\nT = d.datetime.utcnow",
        "from datetime import date\nT = date.today()",
        "import time",
        "from time import monotonic",
        "import hashlib, os",
        "from os import environ",
        "import urllib.request",
        "import random",
        "import secrets",
        "import socket",
        "import threading",
        "import sqlalchemy",
        "T = open('/etc/passwd').read()",
        "def f() -> None:\n    print('x')",
        "T = __import__('time').time()",
    ],
)
def test_a_planted_impurity_is_found(trees: Path, fault: str) -> None:
    """What import-linter cannot see is found in the source of a pure module."""
    victim = trees / SDK / "jose" / "jws.py"
    assert impurities(victim.read_text()) == []
    plant(trees, f"{SDK}/jose/jws.py", fault)
    assert len(impurities(victim.read_text())) == 1


def test_a_pure_room_that_is_gone_is_not_a_pass(tmp_path: Path) -> None:
    """A renamed room must not leave the test with nothing to look at."""
    with pytest.raises(FileNotFoundError, match="no such room"):
        list(sources(tmp_path))
