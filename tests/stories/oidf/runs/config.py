"""The modules that only read the metadata."""

from __future__ import annotations

from tests.stories.oidf.case import Case
from tests.stories.oidf.conditions import discovery


def discovery_verification(case: Case) -> None:
    """Every member of it, and the keys that it leads to."""
    got = case.discover()
    discovery.good(case.judge, got, f"{case.issuer}{discovery.WELL_KNOWN}")
    discovery.has_usable_keys(case.judge, case.jwks, case.metadata)
    discovery.has_no_other_keys(case.judge, case.jwks)


def rp_initiated_logout(case: Case) -> None:
    """There is an endpoint."""
    case.discover()
    discovery.is_https_throughout(case.judge, case.metadata)
    discovery.signs_out(case.judge, case.metadata)


def backchannel_logout(case: Case) -> None:
    """There is an endpoint, and relying parties are told, by session."""
    rp_initiated_logout(case)
    discovery.tells_of_logouts(case.judge, case.metadata)
    discovery.tells_of_sessions(case.judge, case.metadata)
