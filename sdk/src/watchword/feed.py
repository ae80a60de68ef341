"""Follow the issuer's revocation log: a question to begin with, a live stream, and a question every minute.

The questions carry a nonce, so that their answers prove how old the stream is (freshness.py). They also serve
where the stream fails: while nothing fresh comes in, the log is asked every few seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from watchword.errors import CannotDecide, Gap, InvalidFeed, UnknownKey, WatchwordError
from watchword.freshness import DAWN, Clocks, Moment, Progress
from watchword.keys import KeySource
from watchword.log import MAX_MESSAGE, Delta, Message, Snapshot, unseal
from watchword.revocations import RevocationSet
from watchword.wire.backoff import BackOff
from watchword.wire.exchange import body_of, must_be_good
from watchword.wire.metadata import Metadata

if TYPE_CHECKING:
    import httpx2

ANCHOR_EVERY: Final = 60.0
"""Seconds between two questions while all goes well: a step of the issuer's clock is noticed by then."""
PAUSE: Final = 1.0
"""Seconds at least between two questions that went well."""
ANSWER_WITHIN: Final = 10.0
SNAPSHOT_WITHIN: Final = 60.0
"""Seconds for a whole answer."""
BEATS: Final = 3
"""Heartbeats that may be missing before the stream counts as cut."""
SETTLED: Final = 5.0
"""Seconds that a stream must have lived for the next one to be tried at once."""

_log = logging.getLogger("watchword")


class Feed:
    """Keeps a RevocationSet and its Progress up to date. Runs on the background loop.

    `headers` carry the API's credentials, `stale_after` is in seconds, `keys` are the feed's own, and
    `key_revoked` is called when a signing key was revoked.
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
    ) -> None:
        self.trouble = ""
        """Why the last question had no answer; empty when it had."""
        self.disbelieved = 0
        """How many messages were refused as forged, forked or played back."""
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
        self._asking = asyncio.Lock()
        self._asked = DAWN
        self._heard = DAWN
        self._suspicion = asyncio.Event()
        self._watchdog: asyncio.Timeout | None = None
        self._stream_trouble = ""

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
        pause = BackOff()
        while True:
            await self.answered.wait()
            began = asyncio.get_running_loop().time()
            try:
                await self._listen()
            except WatchwordError as error:
                self._note(error, self._stream_trouble)
                self._stream_trouble = str(error)
            if asyncio.get_running_loop().time() - began >= SETTLED:
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
            text = await self._answer(nonce, everything)
            message = await self._open(text)
            if message.nonce != nonce:
                raise InvalidFeed("an answer to another question")
            self._apply(message)
            self._asked = asked
            self._progress.answered(asked, message.time, self._clocks.now(), message.seq == self._known.seq)
            self._suspicion.clear()
            self.trouble = ""
            self.answered.set()

    async def _answer(self, nonce: str, everything: bool) -> bytes:
        url = self._metadata().revocations
        if not url:
            raise CannotDecide("the issuer's metadata names no revocation feed, so nothing could ever be revoked")
        since = {} if everything else {"after": str(self._known.seq), "log": self._known.log}
        return await body_of(
            self._http,
            url,
            seconds=SNAPSHOT_WITHIN if everything else ANSWER_WITHIN,
            headers=self._headers,
            params={**since, "nonce": nonce},
            limit=MAX_MESSAGE,
        )

    async def _listen(self) -> None:
        """Open the stream and take what it brings until it ends, falls silent, or cannot be believed."""
        import httpx2

        beat = self._metadata().heartbeat
        self._heard = self._clocks.now()
        headers = {**self._headers, "Accept": "text/event-stream", "Last-Event-ID": str(self._known.seq)}
        try:
            async with (
                asyncio.timeout(BEATS * beat) as self._watchdog,
                self._http.stream(
                    "GET", self._metadata().stream, headers=headers, params={"log": self._known.log}
                ) as response,
            ):
                must_be_good(response)
                await self._take_all(response, self._watchdog, BEATS * beat)
        except TimeoutError as error:
            raise CannotDecide(f"the stream was silent for {BEATS} heartbeats, or late") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise CannotDecide(f"the stream cannot be read: {error or type(error).__name__}") from error
        finally:
            self._watchdog = None
        raise CannotDecide("the stream ended")

    async def _take_all(self, response: httpx2.Response, watchdog: asyncio.Timeout, silence: float) -> None:
        import httpx2

        clock = asyncio.get_running_loop().time
        async for event in httpx2.EventSource(response, max_event_size=MAX_MESSAGE):
            if not event.data:
                continue
            # While a gap is filled nobody listens, and silence means nothing.
            watchdog.reschedule(None)
            await self._take(event.data.encode())
            watchdog.reschedule(clock() + silence)

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

    async def _open(self, text: bytes) -> Message:
        issuer = self._metadata().issuer
        try:
            return unseal(text, self._keys.keys, issuer)
        except InvalidFeed as error:
            if not isinstance(error.__cause__, UnknownKey):
                raise
        # The feed's key was changed, or somebody invents keys: one look at the key set, at most one a cool-down.
        await self._keys.look_again()
        return unseal(text, self._keys.keys, issuer)

    def _apply(self, message: Message) -> None:
        self._known.apply(message)
        if isinstance(message, Snapshot | Delta) and any(entry.kind == "key" for entry in message.entries):
            self._key_revoked()

    def _is_due(self, now: Moment) -> bool:
        return self._suspicion.is_set() or self._asked.age(now) >= ANCHOR_EVERY or self._progress.age(now) > self._half

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
