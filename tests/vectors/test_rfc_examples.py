"""The examples in the texts of the RFCs: each runs through a public door, or its kind is in a table with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.vectors.doors import LIMIT, TYPES, alone
from tests.vectors.outside import Json, Report, rfc_examples, say
from watchword import dpop
from watchword.dpop import ath
from watchword.errors import InvalidProof
from watchword.jose import jws
from watchword.jose.jwk import public_key, shared_key, thumbprint
from watchword_server.protocol.id_token import left_half
from watchword_server.protocol.pkce import answers

NOT_RUN: Mapping[str, str] = {
    "hotp": "no one-time codes yet",
    "totp": "no one-time codes yet",
}
ALGORITHM: Mapping[str, str] = {"RFC 7515 A.1 / RFC 7519 3.1": "HS256"}
"""What the text around an example says of its key, where the key itself does not."""
CLAIMS = '{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}'
"""The payload of RFC 7515 A.1, which its example does not repeat."""


def run_thumbprint(case: Json) -> bool:
    """RFC 7638 §3.1, RFC 8037 A.3."""
    return bool(thumbprint(case["jwk"]) == case["expect"])


def run_jws(case: Json) -> bool:
    """RFC 7515 A.1, RFC 8037 A.4."""
    jwk, alg = case["jwk"], ALGORITHM.get(case["source"])
    key = shared_key(jwk, alg) if "k" in jwk else public_key(jwk, alg)
    payload = jws.verify(case["token"], alone(key), TYPES, LIMIT)[1].decode()
    return bool(payload == case.get("payload", CLAIMS))


def run_dpop(case: Json) -> bool:
    """RFC 9449 §4.1: the proof of this request and no other, by the key that an access token names (§6.1)."""
    try:
        found = dpop.verify(case["proof"], method=case["htm"], url=case["htu"], now=case["now"])
    except InvalidProof:
        return False
    return bool(found.jkt == case["jkt"])


def run_ath(case: Json) -> bool:
    """RFC 9449 §7.1."""
    return bool(ath(case["access_token"]) == case["ath"])


def run_pkce(case: Json) -> bool:
    """RFC 7636 appendix B."""
    return answers(case["verifier"], case["challenge"])


def run_left_half(case: Json) -> bool:
    """OpenID Connect Core appendices A.3 and A.4."""
    return bool(left_half(case["value"], case["alg"]) == case["expect"])


RUNS = {
    "jwk-thumbprint": run_thumbprint,
    "jws": run_jws,
    "dpop": run_dpop,
    "dpop-ath": run_ath,
    "pkce-s256": run_pkce,
    "at_hash": run_left_half,
    "c_hash": run_left_half,
}


def test_every_example_comes_out_or_is_of_a_kind_in_the_table(vectors: Path, record_property: Report) -> None:
    """A kind that nobody knows fails, and so does one that has left the file."""
    cases = rfc_examples(vectors)
    assert {case["kind"] for case in cases} == RUNS.keys() | NOT_RUN.keys()
    run = [case for case in cases if case["kind"] in RUNS]
    assert [case["source"] for case in run if not RUNS[case["kind"]](case)] == []
    left = sorted({case["kind"] for case in cases} - RUNS.keys())
    say(record_property, f"RFC examples: {len(cases)}, {len(run)} run, all agree; not built: {' '.join(left)}")


def test_an_example_that_is_changed_does_not_come_out(vectors: Path) -> None:
    """The test above would notice."""
    by_kind = {case["kind"]: case for case in rfc_examples(vectors)}
    assert not run_thumbprint({**by_kind["jwk-thumbprint"], "expect": by_kind["dpop"]["jkt"]})
    for change in ({"jkt": by_kind["jwk-thumbprint"]["expect"]}, {"htm": "GET"}, {"now": by_kind["dpop"]["now"] + 60}):
        assert not run_dpop({**by_kind["dpop"], **change})
    assert not run_ath({**by_kind["dpop-ath"], "access_token": "another"})
    assert not run_jws({**by_kind["jws"], "payload": "another"})
    assert not run_pkce({**by_kind["pkce-s256"], "verifier": by_kind["pkce-s256"]["challenge"]})
    assert not run_left_half({**by_kind["at_hash"], "alg": "ES512"})
