"""Tokens that are bound to a key (RFC 9449 §6, §7): no use without the key, at the first look and at every other."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.sdk.honest_issuer import AUDIENCE, Clock, Issuer, eventually
from tests.sdk.minting import NOW, claims, opener, token
from watchword import Verifier
from watchword.dpop import Nonces, Presented, ProofKey
from watchword.errors import CannotDecide, InvalidProof, InvalidToken, NonceRequired, Revoked, WrongConfirmation
from watchword.policy import Verified
from watchword.replay import Proofs, SpentHere

URL = "https://orders.example.com/orders"
KEY, OTHER = ProofKey.generate(), ProofKey.generate("EdDSA")


def bound(issuer: Issuer, **changes: object) -> str:
    return issuer.token(**{"cnf": {"jkt": KEY.jkt}, **changes})


def shown(text: str, key: ProofKey = KEY, method: str = "GET", now: float | None = None) -> Presented:
    """A new proof for a GET of URL."""
    when = time.time() if now is None else now
    proof = key.prove(method, URL, now=when, jti=secrets.token_urlsafe(16), access_token=text)
    return Presented(proof, "GET", URL)


def offline(issuer: Issuer, **settings: Any) -> Verifier:
    return Verifier(issuer=issuer.url, audience=AUDIENCE, jwks={"keys": [issuer.key.public_jwk()]}, **settings)


@pytest.fixture(params=["offline", "online"])
def judge(request: pytest.FixtureRequest, issuer: Issuer, verifier: Verifier) -> Verifier:
    """Both kinds of Verifier."""
    return offline(issuer) if request.param == "offline" else verifier


async def test_a_bound_token_opens_with_a_proof_of_its_key(issuer: Issuer, judge: Verifier) -> None:
    """Every time with another proof, and the principal names the key."""
    text = bound(issuer)
    found = {await judge.verify(text, shown(text)) for _ in range(3)} | {judge.verify_sync(text, shown(text))}
    assert [(one.subject, one.confirmation) for one in found] == [("user-1", KEY.jkt)]


async def test_a_bound_token_without_a_proof_is_refused_however_often_it_was_good(
    issuer: Issuer, judge: Verifier
) -> None:
    """Nothing that is remembered of it opens anything: not from the younger generation, not from the older."""
    text = bound(issuer)
    for _ in range(3):
        with pytest.raises(WrongConfirmation):
            await judge.verify(text)
        with pytest.raises(WrongConfirmation):
            judge.verify_sync(text)
        assert await judge.verify(text, shown(text))
        judge._old, judge._young = judge._young, {}
        with pytest.raises(WrongConfirmation):
            await judge.verify(text)
    assert len(judge._young) + len(judge._old) == 1, "it is remembered"


async def test_a_proof_is_used_up(issuer: Issuer, judge: Verifier) -> None:
    """RFC 9449 §11.1: by `verify` and by `verify_sync` alike."""
    text = bound(issuer)
    proof = shown(text)
    assert await judge.verify(text, proof)
    with pytest.raises(InvalidProof, match="used before"):
        await judge.verify(text, proof)
    with pytest.raises(InvalidProof, match="used before"):
        judge.verify_sync(text, proof)


async def test_a_proof_of_another_key_or_for_another_token_is_refused(issuer: Issuer, judge: Verifier) -> None:
    """The key that `cnf` names, and the hash of this very token."""
    text, other = bound(issuer), bound(issuer)
    with pytest.raises(WrongConfirmation):
        await judge.verify(text, shown(text, OTHER))
    with pytest.raises(InvalidProof, match="ath"):
        await judge.verify(text, shown(other))
    with pytest.raises(InvalidProof, match="htm"):
        await judge.verify(text, shown(text, method="POST"))
    with pytest.raises(InvalidProof, match="old"):
        await judge.verify(text, shown(text, now=time.time() - 60))
    with pytest.raises(InvalidProof):
        await judge.verify(text, Presented("", "GET", URL))


async def test_a_token_that_is_not_bound_is_refused_with_a_proof(issuer: Issuer, judge: Verifier) -> None:
    """RFC 9449 §7.1; also when it was good a moment ago, and it still is without."""
    text = issuer.token()
    for _ in range(2):
        with pytest.raises(WrongConfirmation):
            await judge.verify(text, shown(text))
        assert await judge.verify(text)


async def test_what_is_refused_uses_up_no_proof(issuer: Issuer, judge: Verifier) -> None:
    """Somebody who plays it back elsewhere first, or with another token, spoils nothing."""
    text, dead = bound(issuer), bound(issuer, exp=int(time.time()) - 10)
    proof = shown(text)
    for method, url in (("POST", URL), ("GET", URL + "/1")):
        with pytest.raises(InvalidProof):
            await judge.verify(text, proof._replace(method=method, url=url))
    for other in (bound(issuer), issuer.token(), dead):
        with pytest.raises(InvalidToken):
            await judge.verify(other, proof)
    assert await judge.verify(text, proof)


@pytest.mark.parametrize("cnf", [
    None, "x", {}, {"jkt": 1}, {"jkt": "x"}, {"x5t#S256": KEY.jkt}, {"jkt": KEY.jkt, "x5t#S256": KEY.jkt},
    {"jwk": {"kty": "EC"}}, [KEY.jkt],
])  # fmt: skip
def test_what_binds_in_another_way_is_refused_with_and_without_a_proof(cnf: object) -> None:
    """RFC 7800 §3.1: a certificate, two keys, none: what cannot be asked for is not passed over."""
    for bound_too in (False, True):
        with pytest.raises(WrongConfirmation):
            opener().open(token(body=claims(cnf=cnf)), NOW, bound=bound_too)


def test_an_opener_refuses_what_is_bound_unless_it_is_told_that_a_proof_will_be_asked() -> None:
    """Whoever does not think of it lets nothing through."""
    text = token(body=claims(cnf={"jkt": KEY.jkt}))
    with pytest.raises(WrongConfirmation):
        opener().open(text, NOW)
    assert opener().open(text, NOW, bound=True).principal.confirmation == KEY.jkt


async def test_a_bound_token_dies_like_any_other(issuer: Issuer, verifier: Verifier) -> None:
    """By the feed, at the next request, with a proof or without."""
    text = bound(issuer, sid="s-1")
    assert await verifier.verify(text, shown(text))
    issuer.revoke("session", "s-1")
    eventually(lambda: verifier.freshness.seq == 1)
    with pytest.raises(Revoked):
        await verifier.verify(text, shown(text))


@pytest.mark.parametrize("claim", ["lineage", "via"])
async def test_a_token_that_is_remembered_dies_with_what_it_came_of(
    issuer: Issuer, verifier: Verifier, claim: str
) -> None:
    """However often it was good: the grants above its own, and the clients that it came through."""
    text = issuer.token(**{claim: ["x-1", "x-2"]})
    for _ in range(3):
        assert await verifier.verify(text)
    issuer.revoke("grant" if claim == "lineage" else "client", "x-2")
    eventually(lambda: verifier.freshness.seq == 1)
    with pytest.raises(Revoked):
        await verifier.verify(text)
    with pytest.raises(Revoked):
        verifier.verify_sync(text)


@pytest.mark.parametrize(("changes", "plain"), [
    ({}, True), ({"act": {"sub": "a"}}, True), ({"cnf": {"jkt": KEY.jkt}}, False), ({"lineage": ["g"]}, False),
    ({"via": ["c"]}, False),
])  # fmt: skip
def test_only_of_a_plain_token_less_is_asked(changes: dict[str, object], plain: bool) -> None:
    """And what is not said to be plain is not."""
    found = opener().open(token(body=claims(**changes)), NOW, bound=True)
    assert found.plain is plain
    assert Verified(found.principal, found.key, found.starts, found.ends).plain is False


async def test_a_blind_verifier_takes_no_proof_either(
    issuer: Issuer, verifier_of: Callable[..., Verifier], clock: Clock
) -> None:
    """Nor is the proof used up: the same request may come again."""
    verifier = verifier_of(issuer)
    text = bound(issuer)
    assert await verifier.verify(text, shown(text))
    issuer.status.update({"/revocations": 503, "/revocations/stream": 503})
    issuer.cut()
    clock.forward(61)
    proof = shown(text, now=clock.wall())
    for _ in range(2):
        with pytest.raises(CannotDecide):
            await verifier.verify(text, proof)
    assert len(verifier.proofs.spent) == 1  # type: ignore[arg-type]  # SpentHere, as nothing else was given


async def test_an_api_may_ask_for_its_nonces(issuer: Issuer) -> None:
    """RFC 9449 §9: without one it says so, with one it opens; processes with the same secret know each other's."""
    nonces, again = Nonces(b"s" * 32), Nonces(b"s" * 32)
    judge, key = offline(issuer, proofs=Proofs(nonces=nonces)), ProofKey.generate()
    text = bound(issuer, cnf={"jkt": key.jkt})
    with pytest.raises(NonceRequired):
        await judge.verify(text, shown(text, key))
    key.hear(URL, again.make(time.time()))
    assert await judge.verify(text, shown(text, key))
    key.hear(URL, Nonces(b"t" * 32).make(time.time()))
    with pytest.raises(NonceRequired):
        await judge.verify(text, shown(text, key))


async def test_a_full_memory_of_proofs_is_a_503(issuer: Issuer) -> None:
    """Never a 401: the token is good, and so is the proof."""
    judge, text = offline(issuer, proofs=Proofs(spent=SpentHere(1))), bound(issuer)
    assert await judge.verify(text, shown(text))
    with pytest.raises(CannotDecide):
        await judge.verify(text, shown(text))
