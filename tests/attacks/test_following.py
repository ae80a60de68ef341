"""Attacks that take more than one token: what leaves the verifier, what it remembers, what it logs."""

from __future__ import annotations

import logging
import socket
import time
import tracemalloc
from collections.abc import Iterator

import pytest

from tests.attacks.attack import Attack
from tests.attacks.claims import ATTACKS as CLAIMS
from tests.attacks.envelope import ATTACKS as ENVELOPE
from tests.attacks.envelope import P256_ORDER, paired, with_pair
from tests.attacks.judges import Judge
from tests.sdk.honest_issuer import AUDIENCE, CREDENTIALS, Issuer, eventually
from tests.sdk.minting import header, key
from watchword import Principal, Verifier
from watchword.errors import BadSignature, Revoked, UnknownKey
from watchword.jose.jwk import SigningKey

KIB = 1024


def of_line(*lines: str) -> list[Attack]:
    """The forged tokens of some lines."""
    return [attack for attack in [*ENVELOPE, *CLAIMS] if attack.line in lines]


@pytest.fixture
def trap() -> Iterator[socket.socket]:
    """An address at which nobody should ever call."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "kid", "iss"])
async def test_no_address_in_a_token_is_ever_called(name: str, trap: socket.socket, judges: list[Judge]) -> None:
    """A token does not say whom to trust, so nobody is asked where it says that a key lies (RFC 8725 §3.10)."""
    address = f"http://127.0.0.1:{trap.getsockname()[1]}/jwks.json"
    value: object = {**key("ES384").public_jwk(), "x5u": address} if name == "jwk" else address
    for judge in judges:
        mint = judge.mint()
        body = mint.claims(iss=address) if name == "iss" else None
        unknown = mint.token(header("ES384", **{name: value}), body, "ES384")
        assert await judge.verdicts(unknown) == [UnknownKey] * 3
        known = mint.token(header(**{name: value, "kid": key().kid}), body, "ES384")
        assert await judge.verdicts(known) == [BadSignature] * 3
    with pytest.raises(BlockingIOError):
        trap.accept()


def test_a_random_kid_flood_is_one_fetch_and_costs_no_known_key(target: Issuer, judges: list[Judge]) -> None:
    """500 invented names, one fetch; and while fetches fail, the keys that were known go on."""
    judge = judges[-1]
    assert isinstance(judge.blocking(judge.mint().token()), Principal)
    before = target.counts["/jwks.json"]
    target.status["/jwks.json"] = 500
    try:
        for number in range(500):
            assert judge.blocking(judge.mint().token(header(kid=f"kid-{number}"))) is UnknownKey
        assert target.counts["/jwks.json"] <= before + 1
        assert isinstance(judge.blocking(judge.mint().token()), Principal)
    finally:
        target.status.clear()


def test_the_high_s_twin_dies_with_its_token(target: Issuer, judges: list[Judge]) -> None:
    """Either spelling of a revoked token is dead, seen before or not: revocation goes by `jti` (RFC 7515 §10.12)."""
    judge = judges[-1]
    for seen_before in (True, False):
        mint = judge.mint()
        good = mint.token(body=mint.claims(jti=f"twin-{seen_before}"))
        twin = with_pair(good, lambda r, s: paired(r, P256_ORDER - s))
        assert twin != good
        if seen_before:
            verdicts = [judge.blocking(text) for text in (good, twin)]
            assert all(isinstance(verdict, Principal) and verdict.token_id == "twin-True" for verdict in verdicts)
        target.revoke("token", f"twin-{seen_before}")
        eventually(lambda: judge.verifier.freshness.seq == len(target.entries))
        assert [judge.blocking(text) for text in (good, twin)] == [Revoked, Revoked]


@pytest.mark.parametrize(("exp", "iat"), [(0.5, -0.5), (900.25, 0), (1e-3, -60)])
async def test_a_float_exp_is_a_date(exp: float, iat: float, judges: list[Judge]) -> None:
    """RFC 7519 §2: a NumericDate may have a fraction; it is accepted when finite, and ends on time."""
    for judge in judges:
        mint = judge.mint()
        for verdict in await judge.verdicts(mint.token(body=mint.claims(exp=mint.now + exp, iat=mint.now + iat))):
            assert isinstance(verdict, Principal)
            assert verdict.expires_at == mint.now + exp


async def test_a_hostile_kid_is_not_logged(judges: list[Judge], caplog: pytest.LogCaptureFixture) -> None:
    """Neither as it came nor escaped: log files are read by programs too."""
    with caplog.at_level(logging.DEBUG):
        for mark in ("s3cret\r\nERROR forged line", "s3cret\x1b[2J", "${jndi:ldap://s3cret}"):
            for judge in judges:
                await judge.verdicts(judge.mint().token(header(kid=mark)))
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("attack", of_line("1 MB header / payload / 100 kB of dots"), ids=str)
def test_an_endless_token_takes_no_memory(attack: Attack, judges: list[Judge]) -> None:
    """Its length is looked at before anything is copied or parsed: what is too long costs a few bytes."""
    for judge in judges:
        text = attack.forge(judge.mint())
        judge.blocking(text)
        tracemalloc.start()
        try:
            assert judge.blocking(text) is attack.refusal
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < (8 * KIB if len(text) > 16 * KIB else 128 * KIB)


def test_a_verifier_survives_everything_at_once(judges: list[Judge]) -> None:
    """After every attack that there is, and again, it says yes to what is good: nothing was poisoned or used up."""
    for judge in judges:
        good = judge.mint().token()
        before = judge.blocking(good)
        for attack in [*ENVELOPE, *CLAIMS]:
            assert judge.blocking(attack.forge(judge.mint())) is attack.refusal
        assert judge.blocking(good) is before
        assert isinstance(judge.blocking(judge.mint().token()), Principal)


def test_a_key_that_was_revoked_is_no_key_whatever_its_tokens_say() -> None:
    """Stolen keys sign what they like: `rev` far ahead, another `jti`, a lifetime inside the bounds."""
    issuer, thief = Issuer(), SigningKey.generate("ES256")
    issuer.published.append(thief.public_jwk())
    try:
        with Verifier(issuer=issuer.url, audience=AUDIENCE, credentials=CREDENTIALS) as verifier:
            verifier.verify_sync(issuer.token(thief))
            issuer.revoke("key", thief.kid)
            eventually(lambda: verifier.freshness.seq == 1)
            for changes in ({}, {"rev": 2**62}, {"jti": "x"}, {"iat": int(time.time()) + 4}):
                with pytest.raises(Revoked):
                    verifier.verify_sync(issuer.token(thief, **changes))
            verifier.verify_sync(issuer.token())
    finally:
        issuer.stop()
