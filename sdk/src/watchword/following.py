"""Everything that one verifier follows at its issuer: metadata, keys, the feed; and whom it asks when in doubt."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from watchword.documents import Documents
from watchword.errors import CannotDecide
from watchword.exchanging import Exchanging
from watchword.feed import Feed
from watchword.freshness import EVER, Clocks, Contact, Freshness, Progress, State
from watchword.introspection import Introspection
from watchword.jose.jwk import PublicKey
from watchword.keys import KeySource
from watchword.policy import Opener, Policy
from watchword.revocations import RevocationSet
from watchword.wire import loop as background
from watchword.wire.acknowledgements import WITHIN, Acknowledgements, Standing
from watchword.wire.exchange import Document, Reply, basic, body_of, client, document_of, reply_of, told
from watchword.wire.identity import Identity, identity
from watchword.wire.metadata import Metadata, address_of, read

if TYPE_CHECKING:
    import httpx2

    from watchword.jose.encryption_keys import DecryptionKey

T = TypeVar("T")

FETCH_WITHIN: Final = 5.0
"""Seconds for a metadata document or a key set."""
TICK: Final = 1.0
"""Seconds between two looks at our own state."""
FORGET_EVERY: Final = 60
"""Ticks between two rounds of forgetting."""

_log = logging.getLogger("watchword")


class Trust:
    """The opener in force. It is replaced when the issuer publishes another longest lifetime."""

    __slots__ = ("_decryption", "opener", "policy")

    def __init__(self, policy: Policy, decryption: Mapping[str, DecryptionKey] | None = None) -> None:
        self.policy = policy
        self.opener = Opener(policy, decryption)
        self._decryption = decryption

    def take(self, keys: Mapping[str, PublicKey], max_lifetime: int) -> None:
        """Trust these keys, and lifetimes up to this many seconds."""
        opener = self.opener
        if max_lifetime != self.policy.max_lifetime:
            self.policy = replace(self.policy, max_lifetime=max_lifetime)
            opener = Opener(self.policy, self._decryption)
        opener.trust(keys)
        self.opener = opener


class Following:
    """Follows one issuer on the background loop, from `start` to `stop`. What it learned survives a fork.

    `revocations`, `progress`, `trust`, `introspection`, `exchanging` and `documents` may be read by any thread.
    """

    def __init__(
        self,
        trust: Trust,
        credentials: tuple[str, str] | None,
        clocks: Clocks,
        stale_after: float,
        refuse_after: float,
        name: str | None = None,
    ) -> None:
        self.trust = trust
        self.revocations = RevocationSet()
        self.progress = Progress(stale_after)
        self.keys = KeySource(self._fetch_keys, clocks, self._trust_keys)
        self.introspection: Introspection | None = None
        self.exchanging = Exchanging(self._trade, clocks, self.submit)
        self.documents = Documents(self._fetch_document, clocks, self.submit)
        self.started = EVER
        """When following began in this process, on the monotonic clock; infinite before."""
        self._feed_keys = KeySource(self._fetch_feed_keys, clocks)
        self._metadata = Metadata(trust.policy.issuer)
        self._credentials = credentials
        self._headers = basic(credentials)
        self._clocks = clocks
        self._stale_after, self._refuse_after, self._name = stale_after, refuse_after, name
        self._shown: State = "starting"
        self._reset()
        background.on_fork(self)
        # Loaded now: it takes long, a loop must not wait for it, and a fork in the middle of it would hang the child.
        import httpx2  # noqa: F401  # as said

    def _reset(self) -> None:
        """What belongs to one process."""
        self._lock = threading.Lock()
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._http: httpx2.AsyncClient | None = None
        self._feed: Feed | None = None
        self._acknowledgements: Acknowledgements | None = None
        # Whoever has no credentials is never counted.
        self._identity: Identity | None = identity(self._name, self._refuse_after) if self._credentials else None
        self._described: asyncio.Event | None = None
        self._keyed: asyncio.Event | None = None

    # From any thread.

    def start(self) -> None:
        """Follow from now on, if nobody does yet in this process. Raises CannotDecide after `stop`."""
        if self._loop is not None:
            return
        with self._lock:
            if self._closed:
                raise CannotDecide("this verifier is closed")
            if self._loop is None:
                loop = background.acquire()
                self.started = self._clocks.monotonic()
                background.submit(loop, self._run())
                self._loop = loop
        if self.progress.anchor is not None:  # a forked child begins with what its parent knew
            self.progress.reckon(self._clocks.now())

    def stop(self) -> Future[None]:
        """Follow no more, for good. The future is done when the connections are closed."""
        with self._lock:
            loop, self._loop, self._closed = self._loop, None, True
        self.progress.shut()
        if loop is None:
            return _nothing()
        closing = background.submit(loop, self._close())
        closing.add_done_callback(lambda _: background.release(loop))
        return closing

    def forked(self) -> None:
        """In a forked child: locks, loop and connections are the parent's. Begin anew at the next question."""
        self._reset()
        self.keys.forked()
        self._feed_keys.forked()
        self.exchanging.forked()
        self.documents.forked()
        self.introspection = None
        self.started = EVER
        self.progress.shut()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run one of the coroutines below. Cancelled at once when nothing is followed."""
        loop = self._loop
        if loop is None:
            work.close()
            return _nothing()
        return background.submit(loop, work)

    def is_ready(self) -> bool:
        """Whether keys and the revocation log have been read."""
        return self.progress.anchor is not None and bool(self.keys.keys)

    def state(self, age: float) -> State:
        """What an age of that many seconds means."""
        if self.progress.anchor is None:
            return "starting"
        if age < self._stale_after:
            return "fresh"
        return "stale" if age < self._refuse_after else "blind"

    def freshness(self) -> Freshness:
        """What is known, and how old it is."""
        age = self.progress.age(self._clocks.now())
        known = self.revocations
        return Freshness(self.state(age), age, known.seq, known.log, len(known))

    def contact(self) -> Contact:
        """How following went so far in this process."""
        feed, acks, identity = self._feed, self._acknowledgements, self._identity
        return Contact(
            streams=feed.streams if feed else 0,
            disbelieved=feed.disbelieved if feed else 0,
            acknowledgements=acks.sent if acks else 0,
            acknowledged=acks.last if acks else 0,
            verifier=identity.id if identity else "",
            name=identity.name if identity else "",
        )

    def trouble(self) -> str:
        """Why nothing newer is known, as a clause for a message."""
        feed = self._feed.trouble if self._feed else ""
        return feed or self.keys.trouble or self._feed_keys.trouble or "no reason is known yet"

    # On the background loop.

    async def ready(self) -> None:
        """Return when keys and the log have been read once."""
        if self._keyed is not None and self._feed is not None:
            await self._keyed.wait()
            await self._feed.answered.wait()

    async def _run(self) -> None:
        """Follow until cancelled. A defect in here must make a verifier blind, not fresh for ever: try again."""
        self._task = asyncio.current_task()
        while True:
            try:
                await self._follow()
            except Exception:
                _log.exception("following %s failed unexpectedly; trying again", self._metadata.issuer)
                await asyncio.sleep(FETCH_WITHIN)

    async def _follow(self) -> None:
        # Up to the first `await` everything is set, so that `ready` finds it.
        self._http = http = client(self._metadata.issuer)
        self._described, self._keyed = asyncio.Event(), asyncio.Event()
        self.introspection = Introspection(self._introspect, self._clocks)
        self._acknowledgements = Acknowledgements(self._acknowledge, self._standing)
        self._feed = feed = self._new_feed(http, self._acknowledgements)
        if self.is_ready():
            self._keyed.set()
            feed.answered.set()
        async with http, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self.keys.follow())
            await self._described.wait()
            tasks.create_task(self._feed_keys.follow())
            tasks.create_task(feed.ask_for_ever())
            tasks.create_task(feed.listen_for_ever())
            if self._identity is not None:
                tasks.create_task(self._acknowledgements.send_for_ever())

    def _new_feed(self, http: httpx2.AsyncClient, acknowledgements: Acknowledgements) -> Feed:
        return Feed(
            http,
            lambda: self._metadata,
            self._headers | (self._identity.header if self._identity else {}),
            self._feed_keys,
            self.revocations,
            self.progress,
            self._clocks,
            self._stale_after,
            self._key_revoked,
            acknowledgements.applied,
        )

    def _standing(self) -> Standing:
        verifier = self._identity.id if self._identity else ""
        return Standing(verifier, self.revocations.log, self.revocations.seq)

    async def _acknowledge(self, document: bytes) -> int:
        if self._http is None:
            raise CannotDecide("not following")
        url = self._metadata.ack or f"{self._metadata.revocations}/ack"
        return await told(self._http, url, document, seconds=WITHIN, headers=self._headers)

    def _key_revoked(self) -> None:
        """The successor must be known; and who holds a stolen key of the feed must not be believed again."""
        self.keys.renew()
        self._feed_keys.renew()

    async def _fetch_keys(self) -> Document:
        """The issuer's key set; its metadata first, which may have changed as well."""
        if self._http is None:
            raise CannotDecide("not following")
        address = address_of(self._metadata.issuer)
        self._metadata = read(await body_of(self._http, address, seconds=FETCH_WITHIN), self._metadata.issuer)
        if self._described is not None:
            self._described.set()
        return await document_of(self._http, self._metadata.jwks_uri, seconds=FETCH_WITHIN)

    async def _fetch_feed_keys(self) -> Document:
        if self._http is None or not self._metadata.feed_jwks_uri:
            raise CannotDecide("the issuer's metadata names no keys for a revocation feed")
        return await document_of(self._http, self._metadata.feed_jwks_uri, seconds=FETCH_WITHIN, headers=self._headers)

    def _trust_keys(self, keys: Mapping[str, PublicKey]) -> None:
        self.trust.take(keys, self._metadata.max_lifetime)
        if keys and self._keyed is not None:
            self._keyed.set()

    async def _introspect(self, form: dict[str, str], seconds: float) -> bytes:
        if self._http is None or not self._metadata.introspection_endpoint:
            raise CannotDecide("the issuer's metadata names no introspection endpoint")
        url = self._metadata.introspection_endpoint
        return await body_of(self._http, url, seconds=seconds, headers=self._headers, form=form)

    async def _trade(self, form: dict[str, str], seconds: float) -> Reply:
        if self._http is None or not self._metadata.token_endpoint:
            raise CannotDecide("the issuer's metadata names no token endpoint")
        url = self._metadata.token_endpoint
        return await reply_of(self._http, url, seconds=seconds, headers=self._headers, form=form)

    async def _fetch_document(self, client_id: str, seconds: float) -> Reply:
        if self._http is None or not self._metadata.clients:
            raise CannotDecide("the issuer's metadata names no place for the documents of clients")
        url = f"{self._metadata.clients}/{client_id}/document"
        return await reply_of(self._http, url, seconds=seconds, headers=self._headers)

    async def _watch(self) -> None:
        """Say how fresh we are whenever that changes, drop old keys, forget what nobody can use any more."""
        ticks = 0
        while True:
            self._show(self.freshness())
            self.keys.expire()
            if ticks % FORGET_EVERY == 0:
                self.revocations.forget(int(self._clocks.wall()))
            ticks += 1
            await asyncio.sleep(TICK)

    def _show(self, now: Freshness) -> None:
        if now.state == self._shown:
            return
        level = logging.INFO if now.state == "fresh" else logging.WARNING
        _log.log(
            level,
            "revocation feed of %s: %s, was %s; age %.1f s, seq %d, %d entries%s",
            self._metadata.issuer,
            now.state,
            self._shown,
            now.age,
            now.seq,
            now.entries,
            "" if now.state == "fresh" else f"; {self.trouble()}",
        )
        self._shown = now.state

    async def _close(self) -> None:
        """End the work, which closes its connections."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])


def _nothing() -> Future[Any]:
    """The future of work that will not be done."""
    gone: Future[Any] = Future()
    gone.cancel()
    return gone
