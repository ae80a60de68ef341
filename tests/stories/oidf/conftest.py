"""A provider for each plan, and what the plans assert."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import IN_CI
from tests.stories.oidf.facts import Facts, modules, path
from tests.stories.oidf.module import Plan
from tests.stories.oidf.plans import PLANS
from tests.stories.oidf.proof import Stage
from tests.stories.oidf.provider import provider


@pytest.fixture(scope="module")
def plan(request: pytest.FixtureRequest) -> Plan:
    """The plan of the file at hand."""
    return PLANS[request.path.name]


@pytest.fixture(scope="module")
def facts(plan: Plan) -> dict[str, Facts]:
    """What the plan asserts, module by module."""
    file = path(plan.name)
    if file.is_file():
        return modules(file.read_text())
    sentence = f"no facts in {file}: docs/conformance.md says what they are; WATCHWORD_FACTS names another folder"
    if IN_CI:
        pytest.fail(sentence)
    pytest.skip(sentence)


@pytest.fixture(scope="module")
def stage(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A provider of this plan's own."""
    with provider(tmp_path_factory.mktemp("oidf")) as found, ThreadPoolExecutor(4) as beside:
        stage = Stage(found, plan, beside)
        stage.begin()
        yield stage
