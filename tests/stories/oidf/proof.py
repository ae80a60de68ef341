"""What a test of a module shows: it passes, asserts what it says and all that it should, and notices its fault."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from tests.stories.oidf.case import Case, begin
from tests.stories.oidf.excuses import excused
from tests.stories.oidf.facts import Facts
from tests.stories.oidf.judge import Failed
from tests.stories.oidf.module import Plan
from tests.stories.oidf.provider import Provider


@dataclass
class Stage:
    """A provider and a plan. Modules that let time pass begin with it, each beside the others."""

    provider: Provider
    plan: Plan
    beside: ThreadPoolExecutor
    begun: dict[str, Future[Case]] = field(default_factory=dict)

    def begin(self, chosen: Collection[str]) -> None:
        """Begin with those that wait, of the modules that are to be run at all."""
        for name, module in self.plan.modules.items():
            if module.waits and name in chosen:
                self.begun[name] = self.beside.submit(self.run, name)

    def run(self, name: str) -> Case:
        """One run of a module, as it is."""
        case = begin(self.provider, self.plan.variant)
        self.plan.modules[name].run(case)
        return case


def passes(stage: Stage, name: str, facts: dict[str, Facts]) -> None:
    """A module passes, and asserts exactly what its row lists: all that the facts list, but for what is excused."""
    module = stage.plan.modules[name]
    case = stage.begun[name].result() if name in stage.begun else stage.run(name)
    assert case.judge.asserted == module.asserts
    left = facts[name].binding - case.judge.asserted - case.judge.made - excused(stage.plan, module)
    assert left == frozenset(), "neither asserted nor excused"
    assert case.browser.jar.refused == [], "a browser refuses these cookies"


def notices(stage: Stage, name: str) -> None:
    """A module fails by the condition that is to notice its planted fault."""
    module = stage.plan.modules[name]
    case = begin(stage.provider, stage.plan.variant, module.fault)
    with pytest.raises(Failed) as failed:
        module.run(case)
    assert failed.value.condition == module.fault.notices
