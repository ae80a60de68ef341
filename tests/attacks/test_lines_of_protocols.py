"""Every line of group B of the catalogue has its test, or is of a protocol that is not spoken yet.

What is not spoken must not be half there: its words must not stand in the code. Whoever begins to speak it finds
that here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest

from tests.architecture.kinds import modules
from tests.attacks.catalogue import ROOT, Row, folder, rows
from tests.attacks.test_lines import named_in

ASSERTIONS: Final = "tests/server/web/test_client_assertions.py"
AUTHORIZE: Final = "tests/server/web/test_authorize.py"
CLIENTS: Final = "tests/server/flows/test_client_authentication.py"
DOCUMENTS: Final = "tests/server/web/test_client_documents.py"
FETCH: Final = "tests/server/adapters/test_fetch.py"
FETCHING: Final = "tests/attacks/test_fetching.py"
DEVICE: Final = "tests/server/web/test_device.py"
DEVICE_FLOW: Final = "tests/server/flows/test_device.py"
ONE_DEVICE: Final = "tests/stories/test_one_device_code.py"
LOGOUT: Final = "tests/server/web/test_logout.py"
PAGES: Final = "tests/server/web/pages/test_rendering.py"
REFRESH: Final = "tests/server/flows/test_refresh.py"
REQUESTS: Final = "tests/server/flows/test_requests.py"
ONE_LINE: Final = "tests/stories/test_one_line_of_descent.py"
ONE_ASSERTION: Final = "tests/stories/test_one_assertion.py"
ONE_CODE: Final = "tests/stories/test_one_code.py"
EXCHANGE: Final = "tests/server/flows/test_exchange.py"
ONE_PROOF: Final = "tests/stories/test_one_proof.py"
DPOP: Final = "tests/server/web/test_dpop.py"
DPOP_API: Final = "tests/sdk/integrations/test_dpop_over_http.py"

# fmt: off
SHOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "redirect_uri: userinfo@": (
        f"{AUTHORIZE}::test_only_the_very_same_redirect_uri_gets_an_answer",
        f"{AUTHORIZE}::test_two_of_what_says_where_to_are_none",
        f"{AUTHORIZE}::test_a_native_app_may_listen_at_any_port_of_loopback_and_nowhere_else",
        f"{AUTHORIZE}::test_a_web_app_has_the_port_that_it_has_registered",
    ),
    "error path redirecting": (
        f"{AUTHORIZE}::test_only_the_very_same_redirect_uri_gets_an_answer",
        "tests/server/web/test_pushed.py::test_a_bad_object_is_refused_and_nobody_sent_where_it_says",
    ),
    "error_hint": (
        f"{AUTHORIZE}::test_an_unknown_client_is_told_to_the_person",
        "tests/server/protocol/test_responses.py::test_a_description_has_only_what_it_may_have",
    ),
    "code sent to another client": (
        f"{AUTHORIZE}::test_a_code_of_another_client_is_burnt",
        f"{REFRESH}::test_a_strangers_token_is_refused_and_not_spent",
    ),
    "code replay": (
        f"{AUTHORIZE}::test_a_code_becomes_tokens_once_and_who_comes_again_ends_them",
        f"{ONE_CODE}::test_a_code_is_spent_across_a_restart_of_everything",
    ),
    "50 parallel redemptions": (
        f"{ONE_CODE}::test_of_fifty_at_once_at_two_nodes_one_gets_tokens_and_keeps_none",
        f"{ONE_CODE}::test_a_node_that_is_killed_meanwhile_gives_no_second_success",
    ),
    "50 parallel uses of one refresh token": (
        f"{ONE_LINE}::test_fifty_at_once_at_two_nodes_have_one_successor_though_one_node_is_killed",
    ),
    "refresh after user disabled": (
        f"{REFRESH}::test_what_has_ended_is_not_refreshed",
        f"{AUTHORIZE}::test_access_taken_back_on_the_account_page_is_gone_at_once",
        "tests/server/web/test_userinfo.py::test_nothing_is_told_of_a_person_who_is_disabled",
    ),
    "refresh widening scope": (
        f"{REFRESH}::test_a_refresh_narrows_and_never_widens",
        f"{AUTHORIZE}::test_a_refresh_gives_another_id_token_and_no_more_than_was_granted",
    ),
    "PKCE downgrade": (
        f"{AUTHORIZE}::test_a_code_is_bound_to_what_was_asked",
        f"{AUTHORIZE}::test_a_confidential_client_may_be_let_do_without_pkce",
        f"{AUTHORIZE}::test_what_is_refused_goes_back_with_state_and_issuer",
    ),
    "disabled response_type": (
        f"{AUTHORIZE}::test_what_is_refused_goes_back_with_state_and_issuer",
        f"{AUTHORIZE}::test_a_client_that_changes_while_its_request_waits_is_as_it_is_now",
    ),
    "mix-up": (
        f"{AUTHORIZE}::test_what_is_refused_goes_back_with_state_and_issuer",
        "tests/server/web/test_discovery.py::test_what_is_advertised_of_requests_and_answers",
    ),
    "client_assertion: aud": (
        "tests/server/protocol/test_client_assertion.py::test_what_is_not_for_us_or_not_now_or_of_nobody_is_refused",
        f"{ASSERTIONS}::test_every_refusal_looks_the_same",
        f"{ASSERTIONS}::test_an_authorization_request_is_pushed_by_an_assertion",
        f"{CLIENTS}::test_a_client_of_fapi2_signs_well_and_names_the_issuer",
    ),
    "client_assertion jti replay": (
        f"{CLIENTS}::test_what_is_refused_spends_nothing",
        f"{CLIENTS}::test_of_fifty_at_once_in_two_processes_one_is_believed",
        f"{ONE_ASSERTION}::test_of_fifty_at_once_at_two_nodes_one_is_believed",
        f"{ONE_ASSERTION}::test_a_node_that_is_killed_meanwhile_believes_it_no_second_time",
    ),
    "client auth by two methods": (
        f"{ASSERTIONS}::test_two_ways_at_once_are_none",
        "tests/server/web/test_token.py::test_every_failed_authentication_looks_the_same",
    ),
    "private IP / redirect / DNS rebinding": (
        f"{FETCHING}::test_a_name_that_leads_inside_is_refused_and_nothing_connected",
        f"{FETCHING}::test_what_is_no_url_of_the_web_is_refused_and_nothing_connected",
        f"{FETCHING}::test_a_name_that_changes_its_mind_leads_nowhere_else",
        f"{FETCHING}::test_a_redirect_leads_nowhere",
        f"{FETCHING}::test_no_flood_is_swallowed",
        f"{FETCHING}::test_a_byte_too_many_is_too_many",
        f"{FETCHING}::test_nobody_waits_for_a_server_that_stalls",
        f"{FETCHING}::test_five_seconds_are_five_seconds",
        f"{FETCHING}::test_an_operators_networks_are_not_for_what_a_stranger_has_named",
        "tests/attacks/test_fetching_table.py::test_the_table_has_every_place_where_something_is_fetched",
        f"{FETCH}::test_this_machine_is_never_spoken_to_however_it_is_spelled",
        f"{FETCH}::test_a_name_that_answers_differently_the_second_time_is_not_asked_twice",
        f"{FETCH}::test_a_redirect_is_not_followed",
        f"{REQUESTS}::test_no_inner_address_is_spoken_to_for_a_client",
        f"{REQUESTS}::test_a_clients_server_that_redirects_or_never_ends_is_given_up",
        "tests/server/flows/test_registration.py::test_a_sector_that_leads_elsewhere_is_refused",
    ),
    "CIMD document": (
        "tests/server/protocol/test_client_document.py::test_what_parsers_could_see_differently_is_none",
        "tests/server/protocol/test_client_document.py::test_what_is_not_in_order_is_no_client",
        f"{DOCUMENTS}::test_an_address_that_is_none_is_refused_and_not_visited",
        f"{DOCUMENTS}::test_without_a_document_in_order_the_person_goes_nowhere",
        "tests/server/flows/test_client_documents.py::test_what_is_not_in_order_is_no_client_and_is_not_remembered",
    ),
    "CIMD / DCR client impersonating": (
        f"{DOCUMENTS}::test_consent_is_asked_for_each_time",
        f"{DOCUMENTS}::test_of_a_web_app_too",
        f"{DOCUMENTS}::test_from_a_document_to_tokens_with_a_person_who_sees_whose_it_is",
        "tests/server/protocol/test_client_document.py::test_pictures_and_links_of_other_hosts_are_left_out",
        f"{PAGES}::test_of_an_agent_the_host_comes_first_and_its_name_is_its_own_word",
        f"{PAGES}::test_the_host_of_an_agent_is_whole_however_long_it_is",
        "tests/server/protocol/test_self_registration.py::test_what_would_pass_for_somebody_else_is_left_out",
        "tests/server/flows/test_registration.py::test_a_client_that_registers_itself_is_nobodys_but_its_own",
    ),
    "consent reuse by another client": (
        f"{AUTHORIZE}::test_a_second_app_needs_no_new_sign_in",
        f"{AUTHORIZE}::test_a_request_that_waits_is_for_one_browser",
    ),
    "consent/login clickjacking": (
        f"{AUTHORIZE}::test_pages_may_not_be_framed_kept_or_scripted",
    ),
    "CSRF on consent": (
        f"{AUTHORIZE}::test_a_form_of_another_site_does_nothing",
        f"{LOGOUT}::test_another_site_cannot_answer_for_the_person",
        f"{DEVICE}::test_another_site_cannot_allow_a_device",
    ),
    "device flow phishing": (
        f"{DEVICE}::test_the_page_says_who_asks_from_where_since_when_and_for_what",
        f"{DEVICE}::test_a_link_with_the_code_asks_all_the_same",
        f"{DEVICE}::test_a_consent_to_a_device_is_never_remembered",
        f"{DEVICE_FLOW}::test_an_account_may_guess_a_few_times_and_a_code_of_ones_own_does_not_pay_for_more",
        f"{DEVICE_FLOW}::test_a_network_may_guess_a_few_times_however_many_browsers_it_has",
        f"{DEVICE_FLOW}::test_all_together_may_guess_so_often_however_many_networks_they_have",
        f"{DEVICE_FLOW}::test_a_device_code_is_used_once_and_its_tokens_live_on",
        f"{DEVICE_FLOW}::test_who_polls_too_fast_is_told_to_slow_down_and_has_to",
        f"{DEVICE_FLOW}::test_a_code_expires_for_both",
        f"{ONE_DEVICE}::test_of_fifty_polls_at_once_at_two_nodes_one_gets_tokens_and_keeps_them",
        f"{ONE_DEVICE}::test_a_node_that_is_killed_meanwhile_gives_no_second_success",
    ),
    "PAR request_uri reuse": (
        f"{REQUESTS}::test_reused_expired_guessed_and_anothers_look_alike",
        f"{REQUESTS}::test_two_processes_take_a_pushed_request_once",
        "tests/server/web/test_pushed.py::test_another_clients_pushed_request_is_no_use_and_is_not_used_up",
        "tests/server/web/test_same_link.py::test_another_browser_is_nowhere",
    ),
    "request object: aud": (
        "tests/server/protocol/test_request_object.py::test_what_is_not_for_us_or_not_now_or_not_a_request_is_refused",
        "tests/server/protocol/test_request_object.py::test_what_the_client_has_not_signed_is_refused",
        f"{REQUESTS}::test_inside_wins_and_nothing_outside_counts",
    ),
    "DPoP:": (
        f"{DPOP}::test_a_proof_counts_once",
        f"{DPOP}::test_a_proof_that_proves_nothing_gives_nothing",
        f"{DPOP}::test_two_proofs_at_once_are_refused",
        f"{DPOP}::test_userinfo_wants_a_proof_of_this_very_token",
        f"{DPOP}::test_a_proof_that_failed_may_be_mended",
        f"{DPOP}::test_where_nonces_are_required_a_proof_without_one_is_sent_back",
        f"{ONE_PROOF}::test_of_fifty_at_once_at_two_nodes_one_gets_a_token",
        f"{ONE_PROOF}::test_a_node_that_is_killed_meanwhile_gives_no_second_success",
        "tests/sdk/test_dpop.py::test_a_bad_header_is_refused",
        "tests/sdk/test_dpop.py::test_bad_claims_are_refused",
        "tests/sdk/test_dpop.py::test_a_proof_signed_with_the_public_key_as_a_secret_is_refused",
        f"{DPOP_API}::test_a_proof_that_is_not_for_this_request_is_refused",
        f"{DPOP_API}::test_a_request_that_is_played_back_is_refused",
        f"{DPOP_API}::test_a_client_brings_the_nonce_that_an_api_asks_for",
        "tests/sdk/test_bound_tokens.py::test_what_is_refused_uses_up_no_proof",
    ),
    "introspection by another client": (
        f"{AUTHORIZE}::test_an_api_takes_the_token_that_a_person_allowed",
        "tests/server/web/test_token.py::test_introspection_is_for_the_api_of_the_token_only",
    ),
    "token exchange": (
        f"{EXCHANGE}::test_a_token_that_is_no_good_one_is_worth_nothing",
        f"{EXCHANGE}::test_whose_tokens_an_agent_may_bring_is_the_operators_to_say",
        f"{EXCHANGE}::test_a_bound_token_needs_the_proof_of_its_key",
        f"{EXCHANGE}::test_a_cut_kills_what_came_of_it_and_nothing_beside_it",
        "tests/server/protocol/test_token_exchange.py::test_scopes_are_what_both_the_token_and_the_client_may_have",
        "tests/server/flows/test_trusted_issuers.py::test_only_the_clients_that_the_operator_names_may_bring_them",
        "tests/server/flows/test_trusted_issuers.py::test_its_subject_is_nobody_of_ours",
    ),
    "logout: id_token_hint": (
        f"{LOGOUT}::test_a_bad_hint_signs_nobody_out_and_leads_nowhere",
        f"{LOGOUT}::test_a_uri_that_is_not_registered_is_never_followed",
        f"{LOGOUT}::test_a_link_alone_signs_nobody_out",
    ),
    "JWKS exposing private": (
        "tests/server/web/test_discovery.py::test_keys_are_public_and_nothing_else",
    ),
}
"""What shows a line; a line is found by how it begins."""
LATER: Final[Mapping[str, tuple[str, ...]]] = {
    "login CSRF / state not bound to browser (as RP)": ("state_cookie", "upstream"),
    "signed cookies/pagination": ("page_token",),
    "tenant mix": ("tenant_id",),
}
"""Lines of what is not spoken yet, with words that stand in the code as soon as it is."""
# fmt: on


@pytest.fixture(scope="module")
def lines(catalogue: list[Row]) -> list[str]:
    """The attacks of group B; where `catalogue` is missing, it has said so."""
    return [row.attack for row in rows((folder() / "attacks.md").read_text(), "B")]


def test_every_line_has_a_test_or_waits_for_its_protocol(lines: list[str]) -> None:
    """A line that is new in the catalogue fails here until something shows it."""
    known = (*SHOWN, *LATER)
    assert [line for line in lines if not line.startswith(known)] == []
    assert [name for name in known if not any(line.startswith(name) for line in lines)] == []
    assert [line for line in lines if line.startswith(tuple(SHOWN)) and line.startswith(tuple(LATER))] == []


def test_every_test_that_is_named_is_there() -> None:
    """A test that was renamed or lost shows nothing."""
    named = {test for tests in SHOWN.values() for test in tests}
    assert {test for test in named if test.partition("::")[2] not in named_in(test.partition("::")[0])} == set()


@pytest.mark.parametrize("word", sorted({word for words in LATER.values() for word in words}))
def test_what_is_not_spoken_yet_is_not_half_there(word: str) -> None:
    """Whoever adds the protocol adds what its lines ask for, and moves them up."""
    assert [name for name, source in modules(ROOT) if word in source] == []
