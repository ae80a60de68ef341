"""The config plan."""

from __future__ import annotations

from typing import Final

from tests.stories.oidf import faults
from tests.stories.oidf.case import Variant
from tests.stories.oidf.conditions.discovery import WELL_KNOWN
from tests.stories.oidf.module import DISCOVERY, End, Module, Plan, row
from tests.stories.oidf.runs import config

MODULES: Final[dict[str, Module]] = {
    "oidcc-discovery-endpoint-verification": row(
        config.discovery_verification,
        DISCOVERY,
        faults.member("CheckDiscEndpointScopesSupportedContainsOpenId", WELL_KNOWN, "scopes_supported", ["email"]),
        ends=End.METADATA,
    ),
}
CONFIG: Final = Plan("oidcc-config-certification-test-plan", "Config", Variant(), MODULES)
