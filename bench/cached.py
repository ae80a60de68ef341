"""Verifying a token that was seen before, beside a bare `dict.get` of the same text."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from bench import deployment, rounds, seed
from bench.deployment import Deployment
from bench.effort import Effort
from bench.progress import counter, say
from bench.result import Figure, Section, Unmeasured, median, spread
from bench.seed import Sower
from watchword import Principal, Verifier

TOKENS: Final = 10_000
ENTRIES: Final = 10_000
ROUNDS: Final = 30
KNOWN_WITHIN: Final = 10.0
"""Seconds for the verifier to have read what was appended to the log."""
BOUND: Final = 2.5
"""Times a `dict.get`, with every lookup."""
GET, SYNC, ASYNC = "dict.get", "verify_sync", "await verify"
AGAIN: Final = "verify_sync, nothing revoked since"


class Subject:
    """An online verifier that follows a real issuer, the issuer's flows, and how many entries there are by now."""

    def __init__(self, verifier: Verifier, sower: Sower) -> None:
        self.verifier: Final = verifier
        self._sower: Final = sower
        self.entries = 0

    def revoke(self, count: int) -> None:
        """Append entries, and wait until the verifier knows them all. Unmeasured when it does not come to that."""
        self._sower.revoke(count)
        self.entries += count
        deadline = time.monotonic() + KNOWN_WITHIN
        while not self.is_current():
            if time.monotonic() > deadline:
                raise Unmeasured(f"the verifier knows {self.verifier.freshness.entries} entries of {self.entries}")
            time.sleep(0.001)

    def is_current(self) -> bool:
        """Whether the verifier is fresh and knows every entry."""
        known = self.verifier.freshness
        return known.state == "fresh" and known.entries == self.entries


def measure(effort: Effort) -> Section:
    """Hits that ask all there is to ask, and hits of a token that was asked for since the last revocation."""
    total = effort.rounds(ROUNDS)
    say(f"cached: appending {ENTRIES:,} revocation entries, minting {TOKENS:,} tokens")
    with deployment.fresh() as issuer, seed.sower(issuer) as sower:
        made = sower.mint(TOKENS)
        with deployment.served(issuer), _following(issuer) as verifier:
            subject = Subject(verifier, sower)
            subject.revoke(ENTRIES)
            times = _compare(subject, made, total)
            if not subject.is_current():
                raise Unmeasured(f"the verifier was {verifier.freshness.state} at the end")
    return _section(times, len(made[0]), total)


@contextmanager
def _following(issuer: Deployment) -> Iterator[Verifier]:
    with Verifier(issuer=issuer.issuer, audience=deployment.AUDIENCE, credentials=issuer.api) as verifier:
        yield verifier


def _compare(subject: Subject, made: Sequence[bytes], total: int) -> dict[str, list[float]]:
    verifier = subject.verifier
    known = {token.decode(): verifier.verify_sync(token.decode()) for token in made}

    def looked_up(turn: Callable[[Sequence[str]], rounds.Turn]) -> rounds.Turn:
        """The log has grown since any token was asked for, so that no earlier answer serves: each is looked up."""
        subject.revoke(1)
        return turn(_fresh(made))

    def again() -> rounds.Turn:
        _sync(verifier, _fresh(made))()
        return _sync(verifier, _fresh(made))

    candidates: dict[str, Callable[[], rounds.Turn]] = {
        GET: lambda: _get(known, _fresh(made)),
        SYNC: lambda: looked_up(lambda texts: _sync(verifier, texts)),
        AGAIN: again,
        ASYNC: lambda: looked_up(lambda texts: _async(verifier, texts)),
    }
    return rounds.interleave(candidates, total, len(made), counter("cached", total))


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


def _section(times: dict[str, list[float]], size: int, total: int) -> Section:
    names = (SYNC, AGAIN, ASYNC)
    ratios = {name: [ours / bare for ours, bare in zip(times[name], times[GET], strict=True)] for name in names}
    return Section(
        "Verify, cached",
        [
            Figure("verify cached: verify_sync, all lookups, to dict.get", median(ratios[SYNC]), "×", BOUND),
            Figure("verify cached: verify_sync, nothing revoked since, to dict.get", median(ratios[AGAIN]), "×"),
            Figure("verify cached: await verify, all lookups, to dict.get", median(ratios[ASYNC]), "×"),
        ],
        [
            ("", "µs a token", "to dict.get"),
            (GET, spread(times[GET], 2), "1"),
            *((name, spread(times[name], 2), spread(ratios[name], 2)) for name in names),
        ],
        [
            f"{TOKENS:,} tokens of {size} bytes of as many people, with `sid` and `gid`, all in the cache.",
            f"{ENTRIES:,} revocation entries of five kinds and one more for every turn; none of them hits a token.",
            "Every hit asks again: time, the key's trust, the feed's freshness, every lookup of the revocation set.",
            "A revocation that arrives just before each turn sees to it that no answer of an earlier turn serves.",
            f"“{AGAIN}”: every token was asked for once, with all lookups, after the last revocation had arrived.",
            "The Verifier is online: it follows `watchword serve` with an API's credentials and was fresh to the end.",
            "Each turn has new strings, decoded from bytes just before, in another random order, in the same loop.",
            f"CPU time of the calling thread: median (lowest to highest) of {total} interleaved rounds of all tokens.",
        ],
        dict(times),
    )
