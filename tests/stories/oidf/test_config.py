"""Every module of the config plan against the real server, and each with a planted fault."""

from __future__ import annotations

import pytest

from tests.stories.oidf.facts import Facts
from tests.stories.oidf.plan_config import CONFIG
from tests.stories.oidf.proof import Stage, notices, passes


def test_every_module_of_the_plan_is_here(facts: dict[str, Facts]) -> None:
    """In its order, and no other."""
    assert list(CONFIG.modules) == list(facts)


@pytest.mark.parametrize("module", CONFIG.modules)
def test_a_module_passes(stage: Stage, module: str, facts: dict[str, Facts]) -> None:
    """It asserts what its row lists; whatever else the facts list has an excuse."""
    passes(stage, module, facts)


@pytest.mark.parametrize("module", CONFIG.modules)
@pytest.mark.fault
def test_a_module_notices_its_fault(stage: Stage, module: str) -> None:
    """A module that cannot fail shows nothing."""
    notices(stage, module)
