"""What the conditions of the FAPI 2.0 plan have to refuse, as far as no planted fault shows it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from tests.stories.oidf import tokens
from tests.stories.oidf.browser import Arrival
from tests.stories.oidf.conditions import fapi2
from tests.stories.oidf.shaking import Agreed
from tests.stories.oidf.wire import Got

HERE: Final = "https://rp.example/callback"


def got(status: int = 200, **members: Any) -> Got:
    """A response."""
    return Got(status, (("content-type", "application/json"),), json.dumps(members).encode())


def came(fragment: str) -> Arrival:
    """Somebody who comes back with something in the fragment."""
    return Arrival("GET", f"{HERE}?code=c#{fragment}")


# fmt: off
ROWS: Final[tuple[tuple[Callable[..., None], *tuple[Any, ...]], ...]] = (
    (fapi2.answers_codes, {"response_types_supported": ["id_token"]}),
    (fapi2.takes_challenges, {"code_challenge_methods_supported": ["plain"]}),
    (fapi2.names_itself, {"authorization_response_iss_parameter_supported": "true"}),
    (fapi2.says_whether_all_are_pushed, {"require_pushed_authorization_requests": "false"}),
    (fapi2.reads_good_algorithms, {"request_object_signing_alg_values_supported": ["RS256"]}),
    (fapi2.is_where_oauth_looks, "https://op.example/oauth"),
    (fapi2.speaks_of_itself_there_too, {"issuer": "https://another.example"}, "https://op.example"),
    (fapi2.has_a_request_uri, got(201, request_uri="made-up")),
    (fapi2.expires, got(201, expires_in=600)),
    (fapi2.is_hard_to_guess, got(201, request_uri="urn:ietf:params:oauth:request_uri:0123456789")),
    (fapi2.NOT_IN_THE_FRAGMENT[0], came("error=access_denied")),
    (fapi2.NOT_IN_THE_FRAGMENT[1], came("code=c")),
    (fapi2.NOT_IN_THE_FRAGMENT[2], came("state=s")),
    (fapi2.is_told_of_the_uri, {"error": "invalid_request"}),
    (fapi2.is_told_of_the_link, {"error": "access_denied"}),
    (fapi2.is_no_client, got(401, error="invalid_grant")),
    (fapi2.is_no_client_or_grant, got(400, error="invalid_request")),
    (fapi2.is_no_client_grant_or_request, got(403, error="invalid_client")),
    (fapi2.is_one_or_the_other, got(403, error="invalid_client")),
    (fapi2.is_long, got(access_token="short")),
    (fapi2.has_no_code_hash, {"c_hash": "x"}),
    (fapi2.has_no_state_hash, {"s_hash": "x"}),
    (fapi2.is_signed_well, tokens.signed({"sub": "jane"}, "known")),
    (fapi2.says_when, got()),
    (fapi2.refuses_a_token_in_its_url, got()),
    (fapi2.knows_claims, {"claims_supported": ["sub"]}),
    (fapi2.has_what_was_asked, {"name": "Jane"}, ["name", "email"]),
    (fapi2.tells_nothing_unasked, {"sub": "jane", "roles": ["staff"]}, ["name"]),
    (fapi2.refuses_tls_10, Agreed("TLSv1", "ECDHE-ECDSA-AES128-SHA")),
    (fapi2.refuses_tls_11, Agreed("TLSv1.1", "ECDHE-ECDSA-AES128-SHA")),
    (fapi2.takes_tls_12_well, Agreed("TLSv1.2", "ECDHE-ECDSA-AES256-SHA")),
    (fapi2.takes_no_other_suite, Agreed("TLSv1.2", "ECDHE-ECDSA-NULL-SHA")),
    (fapi2.prefers_tls_13, Agreed("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256")),
)
"""A condition, and what it has to refuse."""
# fmt: on
