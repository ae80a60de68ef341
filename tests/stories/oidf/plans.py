"""The seven plans."""

from __future__ import annotations

from typing import Final

from tests.stories.oidf.module import Plan
from tests.stories.oidf.plan_basic import BASIC, FORM_POST
from tests.stories.oidf.plan_config import CONFIG
from tests.stories.oidf.plan_dynamic import DYNAMIC
from tests.stories.oidf.plan_fapi2 import FAPI2
from tests.stories.oidf.plan_logout import BACKCHANNEL_LOGOUT, RP_LOGOUT

# fmt: off
PLANS: Final[dict[str, Plan]] = {
    "test_basic.py": BASIC,
    "test_config.py": CONFIG,
    "test_dynamic.py": DYNAMIC,
    "test_formpost.py": FORM_POST,
    "test_rp_logout.py": RP_LOGOUT,
    "test_backchannel_logout.py": BACKCHANNEL_LOGOUT,
    "test_fapi2.py": FAPI2,
}
"""By the file whose tests run them."""
# fmt: on
