"""A provider, and what the plans assert."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import IN_CI
from tests.stories.oidf.facts import Facts, modules, path
from tests.stories.oidf.module import Plan
from tests.stories.oidf.plans import PLANS
from tests.stories.oidf.proof import Stage
from tests.stories.oidf.provider import Provider, provider
from tests.stories.oidf.report import TEST as PASSES


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


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """A provider for all plans that this process runs: each module brings its own client and its own browser."""
    with provider(tmp_path_factory.mktemp("oidf")) as found:
        yield found


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest, plan: Plan, running: Provider) -> Iterator[Stage]:
    """A provider and the plan of the file at hand, which has begun."""
    here = [one for one in request.session.items if one.path == request.path and isinstance(one, pytest.Function)]
    chosen = [str(one.callspec.params["module"]) for one in here if one.originalname == PASSES]
    with ThreadPoolExecutor(4) as beside:
        stage = Stage(running, plan, beside)
        stage.begin(chosen)
        yield stage
