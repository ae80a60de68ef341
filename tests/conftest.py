"""What every test may ask for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.servers.postgres import Postgres
    from tests.servers.redis import Redis

IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}
ROOT = Path(__file__).parents[1]

if not IN_CI:  # in CI, Hypothesis has a profile of its own: the same examples every time, and no deadline
    settings.register_profile("desk", deadline=None)
    settings.load_profile("desk")


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of published test vectors: `wycheproof/`, `cookbook/` and the examples of the RFCs."""
    folder = Path(os.environ.get("WATCHWORD_VECTORS") or ROOT.parent / "shared" / "vectors")
    if folder.is_dir():
        return folder
    sentence = (
        f"no test vectors in {folder}: docs/vectors.md says how to get them; WATCHWORD_VECTORS names another folder"
    )
    if IN_CI:
        pytest.fail(sentence)
    pytest.skip(sentence)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL, started when the first test asks for it; each asks it for a database of its own."""
    from tests.servers.postgres import shared

    with shared() as found:
        yield found


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    """A Redis, started when the first test asks for it; each names its keys apart from the others'."""
    from tests.servers.redis import shared

    with shared() as found:
        yield found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have recorded under `vectors`: how many of the cases of others agree, and which do not."""
    reports = [
        report for kind in terminalreporter.stats.values() for report in kind if isinstance(report, pytest.TestReport)
    ]
    said = [pair for report in reports if report.when == "call" for pair in report.user_properties]
    lines = sorted(str(value) for name, value in said if name == "vectors")
    if lines:
        terminalreporter.section("vectors of others")
        terminalreporter.write("\n".join([*lines, ""]))
