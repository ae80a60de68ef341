"""Every module of the form_post plan against the real server, and each with a planted fault."""

from __future__ import annotations

import pytest

from tests.stories.oidf.facts import Facts
from tests.stories.oidf.plan_basic import FORM_POST
from tests.stories.oidf.proof import Stage, notices, passes


def test_every_module_of_the_plan_is_here(facts: dict[str, Facts]) -> None:
    """In its order, and no other."""
    assert list(FORM_POST.modules) == list(facts)


@pytest.mark.parametrize("module", FORM_POST.modules)
def test_a_module_passes(stage: Stage, module: str, facts: dict[str, Facts]) -> None:
    """It asserts what its row lists; whatever else the facts list has an excuse."""
    passes(stage, module, facts)


@pytest.mark.parametrize("module", FORM_POST.modules)
@pytest.mark.fault
def test_a_module_notices_its_fault(stage: Stage, module: str) -> None:
    """A module that cannot fail shows nothing."""
    notices(stage, module)
