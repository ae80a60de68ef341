"""docs/conformance.md, made from the tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.stories.oidf.excuses import EXCUSES
from tests.stories.oidf.module import Module
from tests.stories.oidf.plans import PLANS

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = ROOT / "docs" / "conformance.md"
HERE: Final = "tests/stories/oidf"
TEST: Final = "test_a_module_passes"

OPENING: Final = f"""\
# Conformance

What the certification plans of the OpenID Foundation assert, asserted here: every module of seven plans runs as a test
of its own (`{HERE}/`, in `make stories`; the planted faults, and what has to wait for a minute, in `make fault`)
against the real `watchword serve`, from outside, over HTTPS.

**This is not a certification, and no run of the official suite.** The tests are ours. They assert what the plans
assert, by the same names, as far as we have understood it; where the suite asks a person for a picture of a page, a
test reads the page. Only the Foundation's own suite can say that a deployment conforms.

## How it is shown

- A relying party registers itself (for FAPI 2.0 an operator registers it), a strict browser of our own (cookies with
  their prefixes and `SameSite`, the `form-action` of a page's policy, redirects, forms, no JavaScript) signs a person
  in, and JWTs are verified, assertions and proofs signed, by a library that is not ours.
- Each module lists the conditions that it asserts (`plan_*.py`). Its test fails when it asserts any other, or when a
  condition that would fail the module in the suite is neither asserted nor excused; the excuses stand at the end.
- Each module has a fault: somebody between the tests and the server changes one thing, such as a header, a claim under
  a key of their own, or a parameter that the server never gets. A second test (`test_a_module_notices_its_fault`) shows
  that exactly the condition named here fails. What no fault shows to fail is shown to by an input of its own
  (`test_conditions.py`).
- What the plans assert is read when the tests run, from the folder `../shared/facts/oidf` beside the repository, or
  from `oidf` in the folder that `WATCHWORD_FACTS` names: one file a plan, `<plan>.md`, written down from
  [the suite](https://gitlab.com/openid/conformance-suite). Nothing of it is copied into the repository. Without it the
  tests are skipped, with `CI=true` they fail.

`python -m tests.stories.oidf` writes this page; a test compares it with the tables.

## What comes out
"""
NOTES: Final = """
## What the suite would say beyond this

- **Dynamic.** The plan wants `id_token` and `id_token token` as response types, and the implicit grant, which are left
  out on purpose: no tokens in URLs (RFC 9700 §2.1.2). So that module, and with it the plan, would fail there by design.
  All else of it is asserted here.
- **FAPI 2.0.** The plan is for several ecosystems, and the modules of the others do not apply. Of what the plain
  profile may choose, this is `private_key_jwt` and DPoP; mutual TLS and client attestation are not built. The resource
  is userinfo. The clients are those that `watchword client add --fapi2` makes ([the guide](guides/fapi2.md)).
- **Unsigned tokens and requests.** `none` is refused everywhere and not advertised. The suite then skips these modules,
  and with them the one about two redirect URIs, which runs here with signed requests.
- **A warning.** The metadata have members of our own, each with `watchword_` before its name; the suite warns of
  members that it does not know.
- **Clients register themselves** in all plans here; the config and basic plans can also be run with clients that an
  operator registered.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([OPENING, *summary(), *plans(), NOTES, *excuses(), ""])


def summary() -> Iterator[str]:
    """A row for each plan."""
    yield "| plan | modules | pass | not supported, refused properly | not applicable |"
    yield "|---|---|---|---|---|"
    for plan in PLANS.values():
        refused = sum(bool(module.refuses) for module in plan.modules.values())
        elsewhere = sum(bool(module.elsewhere) for module in plan.modules.values())
        passing = len(plan.modules) - refused - elsewhere
        yield f"| {plan.title} | {len(plan.modules)} | {passing} | {refused} | {elsewhere} |"


def plans() -> Iterator[str]:
    """A table for each plan."""
    for file, plan in PLANS.items():
        yield f"\n### {plan.title}\n"
        yield f"`{plan.name}`, in `{HERE}/{file}`{plan.how}.\n"
        yield "| module | comes out | conditions | its fault is noticed by | test |"
        yield "|---|---|---|---|---|"
        for name, module in plan.modules.items():
            yield f"| {name} | {verdict(module)} | {shown(name, module)} |"


def shown(name: str, module: Module) -> str:
    """By what: how many conditions, the one that notices the fault, and the test."""
    if module.elsewhere:
        return "| |"
    return f"{len(module.asserts)} | `{module.fault.notices}` | `{TEST}[{name}]`"


def verdict(module: Module) -> str:
    """In words."""
    if module.elsewhere:
        return f"not applicable: {module.elsewhere}"
    return f"not supported and refused properly: {module.refuses}" if module.refuses else "passes"


def excuses() -> Iterator[str]:
    """What is not asserted, and why."""
    yield "## What a module does not assert\n"
    yield "A condition of the facts that a module does not assert is only about one of these:\n"
    yield "| only about | in modules that end where | conditions |"
    yield "|---|---|---|"
    for one in EXCUSES:
        ends = "" if len(one.ends) > 1 else next(iter(one.ends)).value
        where = ", and something is refused" if one.refused else ""
        yield f"| {one.why} | {(ends + where).removeprefix(', and ')} | {' '.join(sorted(one.conditions))} |"
