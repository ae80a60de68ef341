"""Follow the issuer's revocation log: a question to begin with, a live stream, and a question every minute.

The questions carry a nonce, so that their answers prove how old the stream is (freshness.py). They also serve
where the stream fails: while nothing fresh comes in, the log is asked every few seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TYPE_CHECKING, Final

from watchword.errors import CannotDecide, Gap, InvalidFeed, UnknownKey, WatchwordError
from watchword.freshness import DAWN, Clocks, Moment, Progress
from watchword.keys import KeySource
from watchword.log import LINES, MAX_MESSAGE, Entry, Heartbeat, Message, is_page, unseal
from watchword.revocations import Pages, RevocationSet
from watchword.wire.backoff import BackOff
from watchword.wire.exchange import lines_of, must_be_good
from watchword.wire.metadata import Metadata

if TYPE_CHECKING:
    import httpx2

ANCHOR_EVERY: Final = 60.0
"""Seconds at most between two questions while all goes well: a step of the issuer's clock is noticed by then."""
PAUSE: Final = 1.0
"""Seconds at least between two questions that went well."""
ANSWER_WITHIN: Final = 10.0
SNAPSHOT_WITHIN: Final = 60.0
"""Seconds for an answer to begin: an issuer that knows no pages sends all at once."""
BEATS: Final = 3
"""Heartbeats that may be missing before the stream counts as cut."""
SETTLED: Final = 5.0
"""Seconds that a stream must have lived for the next one to be tried at once."""
GREETED: Final = 1.0
"""The same for a stream that ended with a goodbye."""
GOODBYE: Final = "goodbye"
"""The event by which a node that stops sends its readers elsewhere."""

_log = logging.getLogger("watchword")


class Feed:
    """Keeps a RevocationSet and its Progress up to date. Runs on the background loop.

    `headers` carry the API's credentials and who we are, `stale_after` is in seconds, `keys` are the feed's own,
    `key_revoked` is called when a signing key was revoked, and `applied` when the log was read.
    """

    def __init__(
        self,
        http: httpx2.AsyncClient,
        metadata: Callable[[], Metadata],
        headers: dict[str, str],
        keys: KeySource,
        known: RevocationSet,
        progress: Progress,
        clocks: Clocks,
        stale_after: float,
        key_revoked: Callable[[], None],
        applied: Callable[[], None] = lambda: None,
    ) -> None:
        self.trouble = ""
        """Why the last question had no answer; empty when it had."""
        self.disbelieved = 0
        """How many messages were refused as forged, forked or played back."""
        self.streams = 0
        """How many streams were opened and brought something that was believed."""
        self.answered = asyncio.Event()
        """Set once the log was read; while it is clear, the stream waits."""
        self._http = http
        self._metadata = metadata
        self._headers = headers
        self._keys = keys
        self._known = known
        self._progress = progress
        self._clocks = clocks
        self._half = stale_after / 2
        self._key_revoked = key_revoked
        self._applied = applied
        self._asking = asyncio.Lock()
        self._asked = DAWN
        self._heard = DAWN
        self._suspicion = asyncio.Event()
        self._watchdog: asyncio.Timeout | None = None
        self._stream_trouble = ""
        self._is_back = asyncio.Event()
        self._greeted = False
        self._every = ANCHOR_EVERY

    async def ask_for_ever(self) -> None:
        """Ask at once, then whenever it is due; with growing pauses while no answer can be had."""
        pause = BackOff()
        while True:
            try:
                await self.ask()
            except WatchwordError as error:
                self._note(error, self.trouble)
                self.trouble = str(error)
                await asyncio.sleep(pause.next())
                continue
            pause.reset()
            self._cut_if_late()
            await asyncio.sleep(min(PAUSE, self._half / 4))
            while not self._is_due(self._clocks.now()):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._suspicion.wait(), min(PAUSE, self._half / 4))

    async def listen_for_ever(self) -> None:
        """Keep a stream open, as soon as the log was read once."""
        pause, clock = BackOff(), asyncio.get_running_loop().time
        while True:
            await self.answered.wait()
            began, enough = clock(), SETTLED
            self._greeted = False
            try:
                await self._listen()
                enough = GREETED
            except WatchwordError as error:
                self._note(error, self._stream_trouble)
                self._stream_trouble = str(error)
            if clock() - began >= enough:
                pause.reset()
            elif self._greeted:
                pause.ease()
            await self._rest(pause)

    async def _rest(self, pause: BackOff) -> None:
        """Wait before the next stream; not for long when a question finds meanwhile that the issuer is back."""
        self._is_back.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause.next()):
                await self._is_back.wait()
        if self._is_back.is_set():
            pause.reset()
            await asyncio.sleep(pause.next())

    async def ask(self) -> None:
        """Ask what is new, or for everything, with a nonce; apply the answer and anchor the clocks by it.

        Raises CannotDecide when there is no answer, InvalidFeed when it must not be believed.
        """
        async with self._asking:
            nonce = secrets.token_urlsafe(24)
            everything = self._suspicion.is_set() or not self._known.log
            asked = self._clocks.now()
            message = await self._answer(nonce, everything)
            self._apply(message)
            self._asked = asked
            # Not all on the same second again and again, because they all began when the issuer came back.
            self._every = ANCHOR_EVERY * random.uniform(0.75, 1)  # noqa: S311  # spreads load, hides nothing
            self._progress.answered(asked, message.time, self._clocks.now(), message.seq == self._known.seq)
            self._suspicion.clear()
            self.trouble = ""
            self.answered.set()
            self._is_back.set()
            self._applied()  # said again, new or not: the issuer may have forgotten us meanwhile

    async def _answer(self, nonce: str, everything: bool) -> Message:
        """The message that answers a question; of a snapshot in pages the whole, its entries added already."""
        pages = Pages(self._known)
        async with contextlib.aclosing(self._lines(nonce, everything)) as lines:
            async for text in lines:
                message = await self._open(text)
                if is_page(message):
                    pages.take(message)
                    self._look_for_keys(message.entries)
                    await asyncio.sleep(0)  # pages that lie here already must not keep the loop from all else
                    continue
                if message.nonce != nonce:
                    raise InvalidFeed("an answer to another question")
                return pages.closed(message)
        raise CannotDecide("the answer of the revocation feed was cut short")

    def _lines(self, nonce: str, everything: bool) -> AsyncGenerator[bytes, None]:
        url = self._metadata().revocations
        if not url:
            raise CannotDecide("the issuer's metadata names no revocation feed, so nothing could ever be revoked")
        since = {} if everything else {"after": str(self._known.seq), "log": self._known.log}
        return lines_of(
            self._http,
            url,
            seconds=SNAPSHOT_WITHIN if everything else ANSWER_WITHIN,
            more=ANSWER_WITHIN,
            headers={**self._headers, "Accept": f"{LINES}, application/jwt"},
            params={**since, "nonce": nonce},
            limit=MAX_MESSAGE,
        )

    async def _listen(self) -> None:
        """Open the stream and take what it brings until it says goodbye. Any other end is a CannotDecide."""
        import httpx2

        beat = self._metadata().heartbeat
        self._heard = self._clocks.now()
        accept = f"text/event-stream, {LINES}"  # the latter: what is too long for an event may be asked for
        headers = {**self._headers, "Accept": accept, "Last-Event-ID": str(self._known.seq)}
        try:
            async with (
                asyncio.timeout(BEATS * beat) as self._watchdog,
                self._http.stream(
                    "GET", self._metadata().stream, headers=headers, params={"log": self._known.log}
                ) as response,
            ):
                must_be_good(response)
                if await self._take_all(response, self._watchdog, BEATS * beat):
                    return
        except TimeoutError as error:
            raise CannotDecide(f"the stream was silent for {BEATS} heartbeats, or late") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise CannotDecide(f"the stream cannot be read: {error or type(error).__name__}") from error
        finally:
            self._watchdog = None
        raise CannotDecide("the stream ended")

    async def _take_all(self, response: httpx2.Response, watchdog: asyncio.Timeout, silence: float) -> bool:
        """Take what comes until the stream ends; whether it ended with a goodbye."""
        import httpx2

        clock = asyncio.get_running_loop().time
        async for event in httpx2.EventSource(response, max_event_size=MAX_MESSAGE):
            if event.event == GOODBYE:
                return True
            if not event.data:
                continue
            # While a gap is filled nobody listens, and silence means nothing.
            watchdog.reschedule(None)
            await self._take(event.data.encode())
            watchdog.reschedule(clock() + silence)
        return False

    async def _take(self, text: bytes) -> None:
        """Apply one message of the stream; what is missing before it is asked for."""
        arrived = self._clocks.now()
        message = await self._open(text)
        try:
            self._apply(message)
        except Gap:
            await self.ask()
            return
        if message.seq == self._known.seq:  # a node that lags behind what is known here proves nothing about now
            self._heard = self._progress.heard(message.time, arrived)
        self._stream_trouble = ""
        self.streams += not self._greeted
        self._greeted = True

    async def _open(self, text: bytes) -> Message:
        issuer = self._metadata().issuer
        try:
            return unseal(text, self._keys.keys, issuer)
        except InvalidFeed as error:
            if not isinstance(error.__cause__, UnknownKey):
                raise
        # The feed's key was changed, or somebody invents keys: one look at the key set, at most one a cool-down.
        await self._keys.look_again()
        try:
            return unseal(text, self._keys.keys, issuer)
        except InvalidFeed as error:
            if not isinstance(error.__cause__, UnknownKey) or self._keys.is_current():
                raise
            raise CannotDecide(f"a feed key that is not known, and no news of keys: {self._keys.trouble}") from error

    def _apply(self, message: Message) -> None:
        before = self._known.log, self._known.seq
        self._known.apply(message)
        if not isinstance(message, Heartbeat):
            self._look_for_keys(message.entries)
        if before != (self._known.log, self._known.seq):
            self._applied()

    def _look_for_keys(self, entries: Sequence[Entry]) -> None:
        if any(entry.kind == "key" for entry in entries):
            self._key_revoked()

    def _is_due(self, now: Moment) -> bool:
        return self._suspicion.is_set() or self._asked.age(now) >= self._every or self._progress.age(now) > self._half

    def _cut_if_late(self) -> None:
        """The log just answered, so a stream whose last message was made long ago is a delayed one: begin anew."""
        if self._watchdog is not None and self._heard.age(self._clocks.now()) > self._half:
            self._cut()

    def _cut(self) -> None:
        if self._watchdog is not None:
            with contextlib.suppress(RuntimeError):  # it has just fired by itself
                self._watchdog.reschedule(asyncio.get_running_loop().time())

    def _note(self, error: WatchwordError, before: str) -> None:
        """Log what went wrong, once while it stays the same. After what must not be believed, read all anew."""
        if isinstance(error, InvalidFeed):
            self.disbelieved += 1
            self._suspicion.set()
            self.answered.clear()
            self._cut()
            _log.error("the revocation feed sent what must not be believed (%d so far): %s", self.disbelieved, error)
        elif str(error) != before:
            _log.warning("following the revocation feed: %s", error)
