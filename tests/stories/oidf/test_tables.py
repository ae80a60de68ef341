"""The tables: no name that the facts do not know, no excuse that nobody needs, a page that is fresh."""

from __future__ import annotations

import pytest

from tests.conftest import IN_CI
from tests.stories.oidf.excuse import Excuse
from tests.stories.oidf.excuses import EXCUSES, holds
from tests.stories.oidf.facts import Facts, modules, path
from tests.stories.oidf.plans import PLANS
from tests.stories.oidf.report import PAGE, page

OF_PLANS = [(plan, name) for plan in PLANS.values() for name in plan.modules]


@pytest.fixture(scope="module")
def facts() -> dict[str, dict[str, Facts]]:
    """Of all plans, by their names."""
    files = {plan.name: path(plan.name) for plan in PLANS.values()}
    missing = [str(file) for file in files.values() if not file.is_file()]
    if missing and IN_CI:
        pytest.fail(f"no facts: {missing}")
    if missing:
        pytest.skip(f"no facts: {missing}")
    return {name: modules(file.read_text()) for name, file in files.items()}


def test_the_page_is_fresh() -> None:
    """`python -m tests.stories.oidf` writes it."""
    assert PAGE.read_text() == page()


def test_seven_plans_with_all_their_modules() -> None:
    """As many as the facts have."""
    assert len(PLANS) == 7
    assert len(OF_PLANS) == 113 + 62


def test_every_condition_is_one_of_the_plans(facts: dict[str, dict[str, Facts]]) -> None:
    """A name that was misspelt would assert nothing that anybody asks for."""
    known = {name for found in facts.values() for module in found.values() for name in module.severities}
    asserted = {name for plan, module in OF_PLANS for name in plan.modules[module].asserts}
    assert asserted - known == set()
    assert {name for one in EXCUSES for name in one.conditions} - known == set()


@pytest.mark.parametrize("excuse", EXCUSES, ids=lambda one: one.why)
def test_no_excuse_is_stale(excuse: Excuse, facts: dict[str, dict[str, Facts]]) -> None:
    """Each of its conditions is asked for by a module that it is good for, and that does not assert it."""
    needed = {
        condition
        for plan, name in OF_PLANS
        if holds(excuse, plan, plan.modules[name])
        for condition in facts[plan.name][name].severities.keys() - plan.modules[name].asserts
    }
    assert excuse.conditions - needed == set()


def test_few_modules_are_excused_from_being_supported() -> None:
    """These, and no other; whoever adds one says so here."""
    assert {name for plan, name in OF_PLANS if plan.modules[name].refuses} == {
        "oidcc-idtoken-unsigned",
        "oidcc-request-uri-unsigned",
        "oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported",
        "oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported",
        "oidcc-discovery-endpoint-verification",
    }


@pytest.mark.parametrize("text", [
    "",
    "a; modules: 2.\n## one\n- A [STOP]\n## Common to all\n",
    "a; modules: 1.\n## one\n- A [STOP]\n",
    "a\n## one\n- A [STOP]\n## Common to all\n",
])  # fmt: skip
def test_facts_of_another_shape_are_an_error(text: str) -> None:
    """No module is skipped because it could not be read."""
    with pytest.raises(ValueError, match="not a plan"):
        modules(text)


def test_facts_are_read_whole() -> None:
    """A module's own conditions, those that it inherits, and those of all."""
    text = "plan; modules: 1.\n## one\nWords [not one].\n- Own [FAILURE/STOP] X\n- inherited: Theirs[WARNING]\n"
    found = modules(f"{text}- SKIP when: never\n## Common to all\n- Everybodys [FAILURE] — fails: x\n- Own [INFO]\n")
    assert found["one"].severities.keys() == {"Own", "Theirs", "Everybodys"}
    assert found["one"].binding == {"Own", "Everybodys"}
