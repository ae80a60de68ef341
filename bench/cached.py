"""Verifying a token that was seen before, with every revocation lookup, beside a bare `dict.get` of the same text."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from bench import deployment, report, rounds, seed
from bench.deployment import Deployment
from bench.progress import counter, say
from bench.result import Figure, Section, Unmeasured, median, spread
from watchword import Principal, Verifier

TOKENS: Final = 10_000
ENTRIES: Final = 10_000
ROUNDS: Final = 30
KNOWN_WITHIN: Final = 10.0
"""Seconds for the verifier to have read the whole feed."""
GET, SYNC, ASYNC = "dict.get", "verify_sync", "await verify"


def measure() -> Section:
    """An online Verifier that follows a real issuer, whose log holds the entries."""
    say(f"cached: appending {ENTRIES:,} revocation entries, minting {TOKENS:,} tokens")
    with deployment.fresh() as issuer:
        made = seed.sow(issuer, TOKENS, ENTRIES)
        with deployment.served(issuer), _following(issuer) as verifier:
            times = _compare(verifier, made)
            known = verifier.freshness
    if known.state != "fresh" or known.entries != ENTRIES:
        raise Unmeasured(f"the verifier was {known.state} with {known.entries} entries at the end")
    return _section(times, len(made[0]))


@contextmanager
def _following(issuer: Deployment) -> Iterator[Verifier]:
    """A verifier that knows the whole log."""
    with Verifier(issuer=issuer.issuer, audience=deployment.AUDIENCE, credentials=issuer.api) as verifier:
        deadline = time.monotonic() + KNOWN_WITHIN
        while verifier.freshness.entries != ENTRIES or verifier.freshness.state != "fresh":
            if time.monotonic() > deadline:
                raise Unmeasured(f"the verifier knows {verifier.freshness.entries} entries after {KNOWN_WITHIN:.0f} s")
            time.sleep(0.01)
        yield verifier


def _compare(verifier: Verifier, made: Sequence[bytes]) -> dict[str, list[float]]:
    known = {token.decode(): verifier.verify_sync(token.decode()) for token in made}
    candidates: dict[str, Callable[[], rounds.Turn]] = {
        GET: lambda: _get(known, _fresh(made)),
        SYNC: lambda: _sync(verifier, _fresh(made)),
        ASYNC: lambda: _async(verifier, _fresh(made)),
    }
    return rounds.interleave(candidates, ROUNDS, len(made), counter("cached", ROUNDS))


def _fresh(made: Sequence[bytes]) -> list[str]:
    """Strings that nobody has hashed or seen before, in random order: what requests bring."""
    return [token.decode() for token in random.sample(made, len(made))]


def _get(known: dict[str, Principal], texts: Sequence[str]) -> rounds.Turn:
    get = known.get

    def turn() -> None:
        for text in texts:
            get(text)

    return turn


def _sync(verifier: Verifier, texts: Sequence[str]) -> rounds.Turn:
    verify = verifier.verify_sync

    def turn() -> None:
        for text in texts:
            verify(text)

    return turn


def _async(verifier: Verifier, texts: Sequence[str]) -> rounds.Turn:
    verify = verifier.verify

    async def run() -> None:
        for text in texts:
            await verify(text)

    return lambda: asyncio.run(run())


def _section(times: dict[str, list[float]], size: int) -> Section:
    ratios = {name: [ours / bare for ours, bare in zip(times[name], times[GET], strict=True)] for name in (SYNC, ASYNC)}
    return Section(
        "Verify, cached",
        [
            Figure("verify cached: verify_sync to dict.get", median(ratios[SYNC]), "×"),
            Figure("verify cached: await verify to dict.get", median(ratios[ASYNC]), "×"),
            Figure("verify cached: verify_sync", median(times[SYNC]), "µs"),
        ],
        [
            ("", "µs a token", "to dict.get"),
            (GET, spread(times[GET], 2), "1"),
            *((name, spread(times[name], 2), spread(ratios[name], 2)) for name in (SYNC, ASYNC)),
        ],
        [
            f"{TOKENS:,} tokens of {size} bytes of as many people, with `sid` and `gid`, all in the cache.",
            f"{ENTRIES:,} revocation entries of five kinds, none of which hits a token.",
            "Every hit asks again: time, the key's trust, the feed's freshness, every lookup of the revocation set.",
            "The Verifier is online: it follows `watchword serve` with an API's credentials and was fresh to the end.",
            "Each turn has new strings, decoded from bytes just before, in another random order, in the same loop.",
            f"CPU time of the calling thread: median (lowest to highest) of {ROUNDS} interleaved rounds of all tokens.",
        ],
        dict(times),
    )


if __name__ == "__main__":
    sys.exit(report.alone(measure))
