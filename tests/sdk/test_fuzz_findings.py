"""What fuzzing found, each as the smallest input that shows it (docs/fuzzing.md): it must not come back."""

from __future__ import annotations

import tracemalloc
from typing import Any

import msgspec
import pytest

from tests.sdk.minting import ISSUER, key, trusted
from watchword.errors import InvalidFeed, InvalidKey
from watchword.jose import jws
from watchword.jose.b64 import b64url
from watchword.jose.encryption_keys import DecryptionKey, encryption_key
from watchword.log import genesis, unseal

KEYS = {key().kid: trusted()}
HEAD = b64url(genesis("log-1"))
SNAPSHOT: dict[str, Any] = {"iss": ISSUER, "log": "log-1", "seq": 3, "head": HEAD, "time": 1, "entries": []}
DELTA: dict[str, Any] = {**SNAPSHOT, "after": 3, "prev": HEAD}
BEAT: dict[str, Any] = {name: SNAPSHOT[name] for name in ("iss", "log", "seq", "head", "time")}
MEBIBYTE = 2**20


def sealed(typ: str, payload: dict[str, Any]) -> bytes:
    """A message that the issuer's key has truly signed."""
    return jws.signer(key(), f"watchword-{typ}+jwt")(msgspec.json.encode(payload)).encode()


@pytest.mark.parametrize(("typ", "payload"), [("snapshot", SNAPSHOT), ("delta", DELTA), ("heartbeat", BEAT)])
def test_the_messages_below_are_good_but_for_what_is_changed(typ: str, payload: dict[str, Any]) -> None:
    """Otherwise the refusals would prove nothing."""
    assert unseal(sealed(typ, payload), KEYS, ISSUER).seq == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"after": 0, "seq": 10**7},  # 400 MB of numbers to compare with
        {"after": 0, "seq": 2**62},  # MemoryError
        {"after": 0, "seq": 2**63 - 1},  # OverflowError
        {"after": 2**63 - 1, "seq": 2**63 - 2},  # fewer than none
    ],
)
def test_a_delta_that_claims_more_entries_than_it_has_is_refused_at_once(changes: dict[str, int]) -> None:
    """It was compared with a range of its numbers, which is as long as the message says."""
    message = sealed("delta", {**DELTA, **changes})
    tracemalloc.start()
    try:
        with pytest.raises(InvalidFeed):
            unseal(message, KEYS, ISSUER)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MEBIBYTE


@pytest.mark.parametrize(
    ("typ", "payload"),
    [
        ("snapshot", {**SNAPSHOT, "seq": -1}),
        ("snapshot", {**SNAPSHOT, "time": -1}),
        ("snapshot", {**SNAPSHOT, "entries": [[1, "token", "a", -1]]}),
        ("delta", {**DELTA, "after": -1, "seq": -1}),
        ("heartbeat", {**BEAT, "seq": -1}),
        ("heartbeat", {**BEAT, "time": -1}),
        ("heartbeat", {**BEAT, "time": 2**63}),
    ],
)
def test_a_number_below_nought_or_beyond_a_database_is_refused(typ: str, payload: dict[str, Any]) -> None:
    """`seq` counts from 1 and times from 1970; a set that stands at -1 would take every log for its own."""
    with pytest.raises(InvalidFeed):
        unseal(sealed(typ, payload), KEYS, ISSUER)


def test_an_rsa_key_for_encryption_with_an_empty_curve_is_refused() -> None:
    """An empty `crv` was the same as none."""
    jwk = DecryptionKey.generate("RSA-OAEP-256").public_jwk()
    assert encryption_key(jwk).alg == "RSA-OAEP-256"
    with pytest.raises(InvalidKey):
        encryption_key({**jwk, "crv": ""})
