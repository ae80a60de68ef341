"""What keeps a proof of possession from counting twice (RFC 9449 §11.1), and everything else a verifier asks of one."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from inspect import isawaitable
from typing import Final, Protocol

from watchword.dpop import LEEWAY, Nonces, Presented, Proof, verify
from watchword.errors import CannotDecide, InvalidProof, Misconfigured, WrongConfirmation
from watchword.wire.loop import on_fork

MOST: Final = 250_000
"""Proofs that are remembered at most: some 40 MB."""


class Spent(Protocol):
    """Remembers which proofs were used; shared, where several processes must not take the same one."""

    def spend(self, name: str, seconds: float) -> bool | Awaitable[bool]:
        """True for exactly one caller within so many seconds, however many come with this name.

        Raises CannotDecide when it cannot be told: then nothing is let through.
        """


class SpentHere:
    """The used proofs that this process has seen, at most `most`. For any number of threads."""

    __slots__ = ("__weakref__", "_due", "_lock", "_monotonic", "_most", "_names", "_swept")

    def __init__(self, most: int = MOST, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._names: set[str] = set()
        self._due: dict[int, list[str]] = {}
        """What may be forgotten from which second on."""
        self._swept = 0
        on_fork(self)

    def spend(self, name: str, seconds: float) -> bool:
        """True the first time. Raises CannotDecide when full: forgetting one too early would let it count twice."""
        with self._lock:
            now = self._monotonic()
            self._forget(int(now))
            if name in self._names:
                return False
            if len(self._names) >= self._most:
                raise CannotDecide("more proofs have come than can be remembered", retry_after=max(1, int(seconds)))
            self._names.add(name)
            self._due.setdefault(int(now + seconds) + 1, []).append(name)
            return True

    def __len__(self) -> int:
        return len(self._names)

    def forked(self) -> None:
        """In a forked child: the lock may be held by a thread of the parent."""
        self._lock = threading.Lock()

    def _forget(self, now: int) -> None:
        if now == self._swept:
            return
        self._swept = now
        for due in [second for second in self._due if second <= now]:
            self._names.difference_update(self._due.pop(due))


@dataclass(frozen=True, slots=True)
class Proofs:
    """What an API demands of proofs: how far from now `iat` may be, where used ones are remembered, and with `nonces`
    that they hold one of these. Raises Misconfigured.
    """

    leeway: timedelta = timedelta(seconds=LEEWAY)
    spent: Spent = field(default_factory=SpentHere)
    nonces: Nonces | None = None

    def __post_init__(self) -> None:
        if not timedelta(seconds=10) <= self.leeway <= timedelta(seconds=300):
            raise Misconfigured("the leeway of proofs is between 10 and 300 seconds")

    def shown(self, token: str, jkt: str, presented: Presented, now: float) -> Proof:
        """The proof, good for this request and by the key that the token names; nothing is used up by it.

        Raises InvalidProof, NonceRequired or WrongConfirmation.
        """
        proof = verify(
            presented.proof,
            method=presented.method,
            url=presented.url,
            now=now,
            access_token=token,
            leeway=self.leeway.total_seconds(),
            nonces=self.nonces,
        )
        if proof.jkt != jkt:
            raise WrongConfirmation("the proof is of another key than the token")
        return proof

    async def spend(self, proof: Proof, now: float) -> None:
        """Use it up. Raises InvalidProof when somebody has, CannotDecide when that cannot be told."""
        first = self.spent.spend(proof.name, proof.until - now)
        if isawaitable(first):
            first = await first
        _must_be_first(first)

    def spend_sync(self, proof: Proof, now: float) -> None:
        """As `spend`, where nothing can be awaited. Raises Misconfigured when the memory has to be."""
        first = self.spent.spend(proof.name, proof.until - now)
        if isawaitable(first):
            if isinstance(first, Coroutine):
                first.close()
            raise Misconfigured("verify_sync needs a memory of used proofs that answers at once")
        _must_be_first(first)


def _must_be_first(first: object) -> None:
    if first is not True:
        raise InvalidProof("the proof was used before")
