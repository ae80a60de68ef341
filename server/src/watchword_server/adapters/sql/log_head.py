"""The head of the log as a transaction moves it."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from watchword.log import Entry, link
from watchword_server.changes import Revoke


class LogHead(msgspec.Struct, frozen=True):
    """Where the log stands; the columns of `Commands.head`, in their order."""

    log: str
    seq: int
    chain: bytes
    state: int

    def append(self, revoke: Revoke) -> tuple[LogHead, Entry]:
        """The head behind one more entry, which gets the next `seq`: in a transaction that no other overtakes."""
        entry = Entry(self.seq + 1, revoke.kind, revoke.id, revoke.until)
        return replace(self, seq=entry.seq, chain=link(self.chain, entry)), entry

    def touched(self) -> LogHead:
        """The head when what others keep in caches has changed."""
        return replace(self, state=self.state + 1)
