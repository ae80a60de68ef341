"""Verifying a token that is bound to a key, with its proof (DPoP), beside the same token without either."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bench import material, raw, rounds, tokens
from bench.effort import Effort
from bench.material import Material
from bench.progress import counter
from bench.result import Figure, Section, median, spread
from bench.rounds import Calls
from bench.tokens import AUDIENCE, ISSUER
from watchword import Verifier, dpop
from watchword.dpop import Presented, ProofKey

ALGORITHMS: Final = ("ES256", "EdDSA", "PS256")
"""Of the clients' keys; the issuer signs with ES256."""
ROUNDS: Final = 30
CALLS: Final = 100
"""Requests in one round."""
URL: Final = "https://api.example.com/orders/4711"
TIMES_PLAIN: Final = 2.5
"""How many times as long as a plain token a bound one with its proof may take, both never seen before, for ES256."""

RAW, PROOF = "raw", "proof"
COLD, COLD_BOUND = "plain, new", "bound, new"
HIT, HIT_BOUND = "plain, cached", "bound, cached"
STRANGER: Final = "proof, new key"
NAMES: Final = (RAW, PROOF, STRANGER, COLD, COLD_BOUND, HIT, HIT_BOUND)


def measure(effort: Effort) -> Section:
    """One algorithm after the other; all ways interleaved."""
    total = effort.rounds(ROUNDS)
    found = {alg: _times(alg, total) for alg in ALGORITHMS}
    return _section(found, total)


def _times(alg: str, total: int) -> dict[str, list[float]]:
    issuer, client = material.generate("ES256"), material.generate(alg)
    strangers = [ProofKey.generate(alg) for _ in range(CALLS if alg != "PS256" else 8)]
    known = rounds.one_by_one(lambda: _turn(issuer, client, strangers), {}, total, counter(f"proofs {alg}", total))
    return {name: [median(calls) for calls in by_round] for name, by_round in known.items()}


def _turn(issuer: Material, client: Material, strangers: Sequence[ProofKey]) -> dict[str, Calls]:
    """Every request of the turn has a token and a proof that nobody has seen; the keys are known."""
    key = ProofKey(client.ours)  # type: ignore[arg-type]  # of an asymmetric algorithm, so it is a SigningKey
    first, *plain = _distinct(tokens.program_tokens(issuer.ours, CALLS + 1))
    bound = _distinct(tokens.bound_tokens(issuer.ours, key.jkt, CALLS))
    judge = Verifier(issuer=ISSUER, audience=AUDIENCE, jwks={"keys": [issuer.jwk]})
    cached = Verifier(issuer=ISSUER, audience=AUDIENCE, jwks={"keys": [issuer.jwk]})
    for text in (first, *plain):
        cached.verify_sync(text)
    for text in bound:
        cached.verify_sync(text, _shown(key, text))
    judge.verify_sync(first)
    dpop._key_of.cache_clear()
    dpop.verify(_shown(key, first).proof, method="GET", url=URL, now=time.time())
    proofs = [_shown(key, text) for text in bound]
    return {
        RAW: raw.checks(client, [proof.proof.encode() for proof in proofs]),
        PROOF: _judging([(text, _shown(key, text)) for text in bound]),
        STRANGER: _judging([(text, _shown(other, text)) for text, other in zip(bound, strangers, strict=False)]),
        COLD: (judge.verify_sync, [(text,) for text in plain]),
        COLD_BOUND: (judge.verify_sync, [(text, _shown(key, text)) for text in bound]),
        HIT: (cached.verify_sync, [(text,) for text in _distinct([text.encode() for text in plain])]),
        HIT_BOUND: (cached.verify_sync, [(text, _shown(key, text)) for text in bound]),
    }


def _judging(given: Sequence[tuple[str, Presented]]) -> Calls:
    def judge(text: str, shown: Presented) -> object:
        return dpop.verify(shown.proof, method=shown.method, url=shown.url, now=time.time(), access_token=text)

    return judge, list(given)


def _shown(key: ProofKey, text: str) -> Presented:
    proof = key.prove("GET", URL, now=time.time(), jti=secrets.token_urlsafe(16), access_token=text)
    return Presented(proof, "GET", URL)


def _distinct(made: Sequence[bytes]) -> list[str]:
    """Strings that nobody has hashed."""
    return [text.decode() for text in made]


def _section(found: Mapping[str, Mapping[str, Sequence[float]]], total: int) -> Section:
    return Section(
        "Proofs of possession",
        [figure for alg in ALGORITHMS for figure in _figures(alg, found[alg])],
        [("µs a request", *ALGORITHMS), *(_row(name, found) for name in NAMES)],
        [
            f"µs from call to result: median (lowest to highest) of {total} interleaved rounds' medians of {CALLS}.",
            "raw: the signature check of `cryptography` alone, over the proof.",
            "proof: `dpop.verify`, by a key that has been seen: RFC 9449 §4.3 without the memory of used proofs.",
            "proof, new key: by a key that was never seen, which has to be read and judged first.",
            "new: `Verifier.verify_sync` of a token never seen before, signed by ES256; bound: with its proof.",
            "cached: the same for a token that was seen. A bound one is asked for another proof all the same.",
            "The Verifier is offline, with no revocation in its set: tokens.md has cached tokens with many.",
        ],
        {f"{alg} {name}": times for alg in ALGORITHMS for name, times in found[alg].items()},
    )


def _figures(alg: str, times: Mapping[str, Sequence[float]]) -> list[Figure]:
    bound = TIMES_PLAIN if alg == "ES256" else None
    return [
        Figure(
            f"proofs {alg}: proof over raw cryptography", _of(times, PROOF, RAW, lambda one, other: one - other), "µs"
        ),
        Figure(
            f"proofs {alg}: bound with proof to plain, new tokens", _of(times, COLD_BOUND, COLD, _ratio), "×", bound
        ),
        Figure(f"proofs {alg}: bound with proof, cached, to plain, new", _of(times, HIT_BOUND, COLD, _ratio), "×"),
    ]


def _ratio(one: float, other: float) -> float:
    return one / other


def _of(times: Mapping[str, Sequence[float]], one: str, other: str, compare: Callable[[float, float], float]) -> float:
    return median([compare(*pair) for pair in zip(times[one], times[other], strict=True)])


def _row(name: str, found: Mapping[str, Mapping[str, Sequence[float]]]) -> tuple[str, ...]:
    return name, *(spread(found[alg][name], 1) for alg in ALGORITHMS)
