"""Every line of group A of the catalogue has its test, and a line that is added there is missed here."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from typing import Final

import pytest

from tests.architecture.kinds import modules
from tests.attacks import claims, envelope
from tests.attacks.catalogue import ROOT, Row, rows

TOKENS: Final = "tests/attacks/test_tokens.py::test_a_forged_token_is_refused"
"""Shows every line that one of the tables in envelope.py and claims.py has, by the names of the line's cases."""
ENCRYPTED: Final = "tests/attacks/test_encrypted.py"

# fmt: off
SHOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "embedded jwk / x5c, jku / x5u": (
        "tests/attacks/test_following.py::test_no_address_in_a_token_is_ever_called",
    ),
    "kid path traversal, SQL, NUL, URL, 100 kB, list": (
        "tests/attacks/test_following.py::test_a_hostile_kid_is_not_logged",
    ),
    "random kid flood": (
        "tests/attacks/test_following.py::test_a_random_kid_flood_is_one_fetch_and_costs_no_known_key",
        "tests/sdk/test_keys.py::test_a_key_that_is_published_during_a_flood_is_found_after_the_cool_down",
        "tests/sdk/test_keys.py::test_a_hostile_key_set_costs_no_known_key_and_little_memory",
    ),
    "EdDSA S+L, small-order key": (
        "tests/attacks/test_keys.py::test_a_key_that_must_not_be_used_verifies_nothing",
    ),
    "ECDSA high-s twin of a good token": (
        "tests/attacks/test_following.py::test_the_high_s_twin_dies_with_its_token",
    ),
    "float exp": (
        "tests/attacks/test_following.py::test_a_float_exp_is_a_date",
    ),
    "nested 20,000 levels, 10,000-digit integer": (
        "tests/attacks/test_served.py::test_too_much_of_anything_is_a_4xx_and_the_workers_survive",
        "tests/attacks/test_cost.py::test_a_refused_token_costs_no_more_than_a_good_one",
    ),
    "1 MB header / payload / 100 kB of dots": (
        "tests/attacks/test_following.py::test_an_endless_token_takes_no_memory",
        "tests/attacks/test_served.py::test_too_much_of_anything_is_a_4xx_and_the_workers_survive",
    ),
    "ID token / logout token / DPoP proof / request object / JARM sent as access token": (
        "tests/attacks/test_confusion.py::test_exactly_the_diagonal_is_accepted",
    ),
    "access token sent as id_token_hint, client_assertion, DPoP proof, logout token": (
        "tests/attacks/test_served.py::test_an_access_token_is_none_of_the_other_kinds",
        "tests/attacks/test_served.py::test_an_access_token_authenticates_no_client_and_refreshes_nothing",
        "tests/attacks/test_served.py::test_an_access_token_is_no_hint",
        "tests/attacks/test_served.py::test_a_dpop_proof_is_no_access_token_and_the_other_way_round",
    ),
    "JWE whose inside is an unsigned JWT; claims encrypted to our public key": (
        "tests/sdk/test_encrypted_tokens.py::test_what_is_encrypted_is_not_believed_for_that",
        f"{ENCRYPTED}::test_a_token_signed_by_the_private_key_that_decrypts_is_refused",
    ),
    "PBES2 p2c = 2^31-1": (
        f"{ENCRYPTED}::test_a_pbes2_count_of_2_to_the_31_costs_nothing",
    ),
    "JWE DEF bomb (97 kB -> 100 MB)": (
        f"{ENCRYPTED}::test_what_is_inflated_is_bounded",
        "tests/sdk/jose/test_jwe.py::test_a_jwe_def_bomb_of_97_kb_costs_little",
    ),
    "RSA1_5 padding oracle": (
        f"{ENCRYPTED}::test_rsa1_5_is_off_and_no_failure_tells_why",
        "tests/sdk/jose/test_jwe.py::test_a_bad_encrypted_key_takes_as_long_as_a_bad_tag",
    ),
    "ECDH-ES epk off the curve": (
        f"{ENCRYPTED}::test_an_ephemeral_key_off_the_curve_is_refused",
    ),
    "JWE with empty encrypted_key": (
        f"{ENCRYPTED}::test_an_empty_encrypted_key_is_refused",
    ),
    "sign/encrypt key confusion (use, key_ops, alg mismatch)": (
        "tests/attacks/test_keys.py::test_a_key_that_must_not_be_used_verifies_nothing",
        f"{ENCRYPTED}::test_a_key_for_something_else_decrypts_nothing",
        f"{ENCRYPTED}::test_one_key_is_not_for_both",
    ),
    "RSA 1024, e=1, ROCA, short HMAC key": (
        "tests/attacks/test_keys.py::test_a_key_that_must_not_be_used_verifies_nothing",
        "tests/attacks/test_keys.py::test_a_short_hmac_key_is_not_registered",
        "tests/attacks/test_keys.py::test_a_short_rsa_key_does_not_sign",
        "tests/server/protocol/test_registration.py::test_a_key_that_must_not_be_encrypted_to_is_refused",
    ),
    "at_hash/c_hash with unknown alg": (
        "tests/server/protocol/test_id_token.py::test_an_algorithm_that_is_not_known_has_no_hash",
        "tests/attacks/test_lines.py::test_nothing_reads_the_hash_of_a_token",
    ),
    "DPoP- or mTLS-bound token sent as Bearer": (
        "tests/attacks/test_served.py::test_a_stolen_bound_token_opens_nothing",
        "tests/sdk/integrations/test_dpop_over_http.py::test_a_bound_token_sent_as_bearer_is_refused",
        "tests/sdk/test_bound_tokens.py::test_a_bound_token_without_a_proof_is_refused_however_often_it_was_good",
        "tests/sdk/test_bound_tokens.py::test_what_binds_in_another_way_is_refused_with_and_without_a_proof",
    ),
    "truncated opaque token still valid": (
        "tests/attacks/test_served.py::test_a_truncated_opaque_token_is_no_token",
        "tests/attacks/test_served.py::test_a_truncated_access_token_is_no_token",
    ),
    "token passed as URL query parameter": (
        "tests/attacks/test_served.py::test_a_token_in_a_query_is_refused_by_the_issuer",
        "tests/attacks/test_served.py::test_a_token_in_a_query_is_refused_by_an_api",
        "tests/sdk/integrations/test_fastapi.py::test_a_token_sent_wrongly_is_a_400",
    ),
}
"""What shows a line, beside or instead of the tables of forged tokens."""
# fmt: on


def shown() -> dict[str, set[str]]:
    """The tests of every line."""
    found = {line: set(tests) for line, tests in SHOWN.items()}
    for attack in [*envelope.ATTACKS, *claims.ATTACKS]:
        if attack.line:
            found.setdefault(attack.line, set()).add(TOKENS)
    return found


def missed(catalogue: list[Row]) -> set[str]:
    """Lines without a test."""
    return {row.attack for row in catalogue} - shown().keys()


@cache
def named_in(file: str) -> frozenset[str]:
    """The names of the tests in a file."""
    tree = ast.parse((ROOT / file).read_text())
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(function.name for function in functions if function.name.startswith("test_"))


def test_every_line_has_a_test(catalogue: list[Row]) -> None:
    """A line that is new in the catalogue fails here until something shows it."""
    assert missed(catalogue) == set()


def test_every_test_has_a_line(catalogue: list[Row]) -> None:
    """A line that was changed or taken out is no longer claimed to be shown."""
    assert shown().keys() - {row.attack for row in catalogue} == set()


def test_every_test_that_is_named_is_there() -> None:
    """A test that was renamed or lost shows nothing."""
    named = {test for tests in shown().values() for test in tests}
    assert {test for test in named if test.partition("::")[2] not in named_in(test.partition("::")[0])} == set()


def test_a_new_line_is_noticed(catalogue: list[Row]) -> None:
    """Also one that differs from another by a word."""
    assert missed([*catalogue, Row("a new attack", "401")]) == {"a new attack"}
    assert missed([Row("alg none / None", "401")]) == {"alg none / None"}


@pytest.mark.parametrize("text", [
    "",
    "\n## B. Others\n| attack | expected | seen in |\n|---|---|---|\n| x | 401 | |\n",
    "\n## A. Empty\n| attack | expected | seen in |\n|---|---|---|\n",
    "\n## A. Odd\n| attack | expected | seen in |\n|---|---|---|\n| two cells | only |\n",
    "\n## A. Odd\n| attack | expected | seen in |\n|---|---|---|\n| an attack | | nowhere |\n",
])  # fmt: skip
def test_a_catalogue_of_another_shape_is_an_error(text: str) -> None:
    """No line is skipped because it could not be read."""
    with pytest.raises(ValueError, match="catalogue has no|not an attack"):
        rows(text, "A")


def mentions(word: str) -> set[str]:
    """Modules of both packages in which a word stands."""
    return {name for name, source in modules(ROOT) if word in source}


@pytest.mark.parametrize("claim", ["at_hash", "c_hash", "s_hash"])
def test_nothing_reads_the_hash_of_a_token(claim: str) -> None:
    """OpenID Connect Core §3.1.3.6. The issuer makes such a hash, with the algorithms that it signs with; whoever comes
    to compare one finds this test failing.
    """
    makers = ("protocol.id_token", "protocol.metadata", "flows.id_tokens")
    assert mentions(claim) <= {f"watchword_server.{name}" for name in makers}
    assert mentions("client_id")
