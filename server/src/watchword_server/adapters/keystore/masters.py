"""The master keys that this process knows, and when it asks their source again."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Literal, Protocol

from watchword_server.adapters.keystore.master import MasterKey, MasterKeys
from watchword_server.ports import MasterKeyRenewal, MasterKeySource


class Source(Protocol):
    """Where master keys come from."""

    @property
    def kind(self) -> Literal["file", "setting", "command"]: ...

    @property
    def place(self) -> str:
        """Where that is, for people."""
        ...

    @property
    def pause(self) -> float:
        """Seconds between two readings; 0 where they cost nothing."""
        ...

    def read(self) -> MasterKeys:
        """All of them, the newest first. Raises KeyStoreError."""
        ...

    def renew(self) -> MasterKeyRenewal:
        """Begin to put another key first, where that is Watchword's to do. Raises KeyStoreError."""
        ...


class Masters:
    """What a source gave last. It is asked again for a key that it did not give, as often as its `pause` allows.

    May be used by several threads at once.
    """

    def __init__(self, source: Source, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._known: MasterKeys = ()
        self._asked = float("-inf")
        self._asking = Lock()

    @property
    def place(self) -> str:
        """Where they come from, for people."""
        return self._source.place

    def known(self) -> MasterKeys:
        """All of them, the newest first, as they were when the source was asked last."""
        return self._known or self._ask(0)

    def newest(self) -> MasterKey:
        """What seals. Asks the source where that costs nothing."""
        return (self.known() if self._source.pause else self._ask(0))[0]

    def again(self) -> MasterKeys:
        """All of them, after something was found that the known ones do not open."""
        return self._ask(self._source.pause)

    def named(self, id: bytes) -> MasterKey | None:
        """The one with this id; None where the source does not give it."""
        found = (key for keys in (self.known, self.again) for key in keys() if key.id == id)
        return next(found, None)

    def source(self) -> MasterKeySource:
        """The source as it is now. Raises KeyStoreError."""
        ids = tuple(key.id.hex() for key in self._ask(0))
        return MasterKeySource(self._source.kind, self._source.place, ids)

    def renew(self) -> MasterKeyRenewal:
        """Begin to put another key first, where that is Watchword's to do. Raises KeyStoreError."""
        return self._source.renew()

    def _ask(self, pause: float) -> MasterKeys:
        """What the source gives, asked at most once in `pause` seconds; who waited meanwhile takes that answer too."""
        called = self._clock()
        with self._asking:
            if not self._known or self._asked <= called - pause:
                # Before it is known how it ends: a source that fails is not asked all the time either.
                self._asked = self._clock()
                self._known = self._source.read()
            return self._known


class Unchanged:
    """A source that somebody else looks after."""

    resumed = False

    def complete(self) -> None:
        """Nothing is to be done."""

    def close(self) -> None:
        """Nothing is held."""
