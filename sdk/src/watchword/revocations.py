"""The set of what is dead: apply a snapshot, a delta or a heartbeat; answer for a token."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Final

from watchword.errors import Gap, InvalidFeed
from watchword.jose.b64 import b64url, unb64url
from watchword.log import Delta, Entry, Heartbeat, Kind, Message, Snapshot, chain, genesis

_NAMED: Final[tuple[Kind, ...]] = ("token", "grant", "session", "key", "subject", "client")
"""The kinds whose entries name something; an entry of kind issuer means all there is."""


class RevocationSet:
    """What one issuer has taken back, as far as its log was read.

    One thread applies, any number ask: an entry is never absent for a moment, since entries are only ever
    added, or forgotten when nothing they could hit is alive. Several logs of one issuer (a restore makes a
    new one) are kept as their union.
    """

    # fmt: off
    __slots__ = (
        "_below", "_clients", "_due", "_grants", "_issuer", "_keys", "_sessions", "_subjects", "_tokens", "_until",
        "head", "log", "mark", "seq", "time",
    )
    # fmt: on

    def __init__(self) -> None:
        self.log = ""
        self.seq = 0
        self.head = ""
        self.time = 0
        """The newest signed time at which the log ended at `seq`, in milliseconds since 1970."""
        self.mark = object()
        """Another object as soon as there is a new entry: what was alive under the same one still is."""
        self._until: dict[Kind, dict[str, int]] = {kind: {} for kind in _NAMED}
        self._below: dict[Kind, dict[str, int]] = {"subject": {}, "client": {}}
        self._issuer = 0
        self._due: list[tuple[int, Kind, str]] = []
        # The same dicts once more, one step nearer for `kills`.
        self._tokens, self._grants = self._until["token"], self._until["grant"]
        self._sessions, self._keys = self._until["session"], self._until["key"]
        self._subjects, self._clients = self._below["subject"], self._below["client"]

    def kills(
        self,
        jti: str,
        kid: str,
        rev: int,
        sub: str,
        client_id: str,
        sid: str | None = None,
        gid: str | None = None,
    ) -> Kind | None:
        """The kind of the entry that kills such a token, or None while it may live.

        Token, grant, session and key: dead by id. Subject, client and issuer: dead when `rev` is below the
        entry's `seq`, so no clock decides.
        """
        # Asked at every request. `in` comes first: it costs half of `get`, and a hit is rare. Then `get` and not
        # `[...]`: another thread may forget the entry in between.
        if jti in self._tokens:
            return "token"
        if gid in self._grants:
            return "grant"
        if sid in self._sessions:
            return "session"
        if kid in self._keys:
            return "key"
        if sub in self._subjects and self._subjects.get(sub, 0) > rev:
            return "subject"
        if client_id in self._clients and self._clients.get(client_id, 0) > rev:
            return "client"
        return "issuer" if self._issuer > rev else None

    def apply(self, message: Message) -> None:
        """Take in a message that `log.unseal` has opened.

        Raises Gap when entries are missing before it (fetch `?after=seq`), InvalidFeed when it contradicts
        what is known: an old state played back, or a log that was cut and regrown.
        """
        match message:
            case Snapshot():
                self._take_snapshot(message)
            case Delta():
                self._take_delta(message)
            case Heartbeat():
                self._must_agree(message)
        if not isinstance(message, Heartbeat) and message.entries:
            self.mark = object()  # after the entries: who reads the old mark asks before they are there
        if message.seq == self.seq:  # a node that lags behind what is known here proves nothing about now
            self.time = max(self.time, message.time)

    def forget(self, now: int) -> int:
        """Drop entries whose `until` has passed by both `now` (seconds) and signed time; how many went."""
        horizon = min(now, self.time // 1000)
        gone = 0
        while self._due and self._due[0][0] < horizon:
            until, kind, name = heappop(self._due)
            if self._until[kind].get(name) != until:
                continue  # a later entry has prolonged it
            del self._until[kind][name]
            if kind in self._below:
                del self._below[kind][name]
            gone += 1
        return gone

    def __len__(self) -> int:
        return sum(map(len, self._until.values()))

    def _take_snapshot(self, snapshot: Snapshot) -> None:
        if snapshot.log == self.log:
            if snapshot.seq < self.seq:
                raise InvalidFeed("snapshot older than what is known")
            if snapshot.seq == self.seq and snapshot.head != self.head:
                raise InvalidFeed("snapshot of a log that forked")
        elif snapshot.time < self.time:
            raise InvalidFeed("snapshot of a log that was left behind")
        for entry in snapshot.entries:
            self._add(entry)
        self.log, self.seq, self.head = snapshot.log, snapshot.seq, snapshot.head

    def _take_delta(self, delta: Delta) -> None:
        if delta.log != self.log:
            raise Gap("delta of another log")
        if delta.after > self.seq:
            raise Gap("entries are missing before this delta")
        if delta.seq < self.seq:
            return  # everything in it is known; a late duplicate is harmless
        if self._head_at(delta) != self.head:
            raise InvalidFeed("delta of a log that forked")
        for entry in delta.entries:
            if entry.seq > self.seq:
                self._add(entry)
        self.seq, self.head = delta.seq, delta.head

    def _head_at(self, delta: Delta) -> str:
        """The delta's own idea of the head at our `seq`."""
        known = [entry for entry in delta.entries if entry.seq <= self.seq]
        return b64url(chain(unb64url(delta.prev), known))

    def _must_agree(self, beat: Heartbeat) -> None:
        if beat.log != self.log or beat.seq > self.seq:
            raise Gap("the log has moved on")
        if beat.seq == self.seq and beat.head != self.head:
            raise InvalidFeed("heartbeat of a log that forked")

    def _add(self, entry: Entry) -> None:
        kind, name = entry.kind, entry.id
        if kind == "issuer":
            self._issuer = max(self._issuer, entry.seq)
            return
        if kind in self._below and entry.seq > self._below[kind].get(name, 0):
            self._below[kind][name] = entry.seq
        until = self._until[kind]
        if name not in until or entry.until > until[name]:
            until[name] = entry.until
            heappush(self._due, (entry.until, kind, name))


def empty(log: str) -> RevocationSet:
    """The set of a log that has no entry yet: what an issuer starts from."""
    fresh = RevocationSet()
    fresh.log, fresh.head = log, b64url(genesis(log))
    return fresh
