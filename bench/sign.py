"""Signing: claims in, token out, by every algorithm and beside every peer."""

from __future__ import annotations

from typing import Final

from bench import contest, javascript, material
from bench.effort import Effort
from bench.progress import counter
from bench.result import Section

ROUNDS: Final = 20
CALLS: Final = 50
"""Tokens in one round."""


def measure(effort: Effort) -> Section:
    """All algorithms, one after the other; all contestants interleaved."""
    rounds = effort.rounds(ROUNDS)
    with javascript.running() as node:
        outcomes = [
            contest.sign(material.generate(alg), node, rounds, CALLS, counter(f"sign {alg}", rounds))
            for alg in material.NAMES
        ]
        versions = node.versions
    return Section(
        "Sign",
        [],
        contest.table(outcomes),
        [*contest.notes(rounds, CALLS, versions), *NOTES],
        contest.all_rounds(outcomes),
        plot=contest.plot("Microseconds to sign a token, by algorithm and library", outcomes),
    )


NOTES: Final = (
    "raw: the signature of `cryptography` alone, over what is signed; ES gives it as DER, as OpenSSL does.",
    "watchword: `jws.signer` on claims that msgspec encodes. The peers get the same claims, and the same header.",
    "What each of them signs was shown to verify.",
)
