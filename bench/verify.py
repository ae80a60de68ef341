"""Verifying a token never seen before, with every check on, by every algorithm and beside every peer."""

from __future__ import annotations

from typing import Final

from bench import contest, javascript, material
from bench.contest import Outcome
from bench.effort import Effort
from bench.libraries import PYJWT
from bench.progress import counter
from bench.result import Figure, Section, median

ROUNDS: Final = 30
CALLS: Final = 100
"""Tokens in one round."""
OVER_RAW: Final = 7.0
"""Microseconds over raw `cryptography`, for each algorithm."""
TIMES_PYJWT: Final = 2.2
"""How many times as fast as PyJWT, at least, for RS256."""


def measure(effort: Effort) -> Section:
    """All algorithms, one after the other; all contestants interleaved."""
    rounds = effort.rounds(ROUNDS)
    with javascript.running() as node:
        outcomes = [
            contest.verify(material.generate(alg), node, rounds, CALLS, counter(f"verify {alg}", rounds))
            for alg in material.NAMES
        ]
        versions = node.versions
    return Section(
        "Verify, cold",
        [*map(_over_raw, outcomes), *(_beside_pyjwt(outcome) for outcome in outcomes if outcome.alg == "RS256")],
        contest.table(outcomes),
        [*contest.notes(rounds, CALLS, versions), *NOTES],
        contest.all_rounds(outcomes),
        plot=contest.plot("Microseconds to verify a token never seen before, by algorithm and library", outcomes),
    )


def _over_raw(outcome: Outcome) -> Figure:
    return Figure(f"verify cold {outcome.alg}: over raw cryptography", median(outcome.over), "µs", OVER_RAW)


def _beside_pyjwt(outcome: Outcome) -> Figure:
    ratio = median(contest.ratios(outcome, PYJWT.name))
    return Figure(f"verify cold {outcome.alg}: PyJWT to watchword", ratio, "×", TIMES_PYJWT, "at least")


NOTES: Final = (
    "raw: the signature check of `cryptography` alone, all split, decoded and converted in advance.",
    "watchword: `Verifier.verify_sync`, offline on fixed keys, with an empty cache in every round and all checks on.",
    "A secret (HS) signs no access tokens: there it is `jws.verify`, strict JSON, and the same claims one by one.",
    "All were shown to refuse another signature, issuer or audience, what has expired, and each of the four missing.",
    "None but watchword looks at duplicate members, lifetime or revocation; `jose` and `fast-jwt` do look at `typ`.",
)
