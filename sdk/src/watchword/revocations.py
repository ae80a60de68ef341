"""The set of what is dead: apply a snapshot, a delta or a heartbeat; answer for a token."""

from __future__ import annotations

from collections.abc import Collection
from heapq import heappop, heappush
from typing import Final

from watchword.errors import Gap, InvalidFeed
from watchword.jose.b64 import b64url, unb64url
from watchword.log import Delta, Entry, Heartbeat, Kind, Message, Snapshot, chain, genesis, is_page

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
        "_below", "_clients", "_due", "_grants", "_issuer", "_issuer_until", "_keys", "_rooms", "_sessions",
        "_subjects", "_times", "_tokens", "_until", "head", "log", "mark", "seq", "time",
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
        self._issuer_until = 0
        self._due: dict[Kind, dict[int, list[str]]] = {kind: {} for kind in _NAMED}
        """What ends in which second: a list each, since a tuple for every entry would take as much as the entry."""
        self._times: list[tuple[int, Kind]] = []
        """The seconds in `_due`, as a heap."""
        self._rooms = {kind: (self._until[kind], self._below.get(kind), self._due[kind]) for kind in _NAMED}
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
        lineage: tuple[str, ...] = (),
        via: tuple[str, ...] = (),
    ) -> Kind | None:
        """The kind of the entry that kills such a token, or None while it may live.

        Token, grant, session and key: dead by id, and with token or grant all that came of it. Subject, client (also
        one through whose hands it came) and issuer: dead when `rev` is below the entry's `seq`, so no clock decides.
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
        if (lineage or via) and (kind := self._ends(lineage, via, rev)):
            return kind
        return "issuer" if self._issuer > rev else None

    def _ends(self, lineage: tuple[str, ...], via: tuple[str, ...], rev: int) -> Kind | None:
        """The kind of the entry that kills what such a token came of."""
        if not self._grants.keys().isdisjoint(lineage):
            return "grant"
        if not self._tokens.keys().isdisjoint(lineage):
            return "token"
        return "client" if any(self._clients.get(one, 0) > rev for one in via) else None

    def remembered(self, kind: Kind, name: str) -> int:
        """Until when (seconds) what kills this has to be known; 0 where nothing does."""
        return self._issuer_until if kind == "issuer" else self._until[kind].get(name, 0)

    def apply(self, message: Message) -> None:
        """Take in a message that `log.unseal` has opened.

        Raises Gap when entries are missing before it (fetch `?after=seq`), InvalidFeed when it contradicts
        what is known: an old state played back, or a log that was cut and regrown. Pages are for `Pages`.
        """
        if is_page(message):
            raise InvalidFeed("a page where all that is dead was due")
        match message:
            case Snapshot():
                self._take_snapshot(message)
            case Delta():
                self._take_delta(message)
            case Heartbeat():
                self._must_agree(message)
        if message.seq == self.seq:  # a node that lags behind what is known here proves nothing about now
            self.time = max(self.time, message.time)

    def forget(self, now: int) -> int:
        """Drop entries whose `until` has passed by both `now` (seconds) and signed time; how many went."""
        horizon = min(now, self.time // 1000)
        gone = 0
        while self._times and self._times[0][0] < horizon:
            until, kind = heappop(self._times)
            gone += self._drop(kind, until)
        return gone

    def _drop(self, kind: Kind, until: int) -> int:
        held, below, gone = self._until[kind], self._below.get(kind), 0
        for name in self._due[kind].pop(until):
            if held.get(name) != until:
                continue  # a later entry has prolonged it
            del held[name]
            if below is not None:
                del below[name]
            gone += 1
        return gone

    def __len__(self) -> int:
        return sum(map(len, self._until.values()))

    def add(self, entries: Collection[Entry]) -> None:
        """Add entries that the issuer has signed: what they hit is dead from now on, wherever the log stands."""
        rooms = self._rooms
        for entry in entries:  # a million of them at the start of an API: every lookup in here can be felt
            kind, name, until = entry.kind, entry.id, entry.until
            if kind == "issuer":
                self._issuer, self._issuer_until = max(self._issuer, entry.seq), max(self._issuer_until, until)
                continue
            held, below, due = rooms[kind]
            if below is not None and entry.seq > below.get(name, 0):
                below[name] = entry.seq
            if until > held.get(name, -1):
                held[name] = until
                if until in due:
                    due[until].append(name)
                else:
                    due[until] = [name]
                    heappush(self._times, (until, kind))
        if entries:
            self.mark = object()  # after the entries: who reads the old mark asks before they are there

    def _take_snapshot(self, snapshot: Snapshot) -> None:
        if snapshot.log == self.log:
            if snapshot.seq < self.seq:
                raise InvalidFeed("snapshot older than what is known")
            if snapshot.seq == self.seq and snapshot.head != self.head:
                raise InvalidFeed("snapshot of a log that forked")
        elif snapshot.time < self.time:
            raise InvalidFeed("snapshot of a log that was left behind")
        self.add(snapshot.entries)
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
        self.add([entry for entry in delta.entries if entry.seq > self.seq])
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


class Pages:
    """A long snapshot on its way into a set, in pages that join one another from the log's beginning.

    What a page names is added at once, since it is dead whatever comes after it. Where the log stands is believed only
    when the delta has come that closes the answer.
    """

    __slots__ = ("_head", "_known", "_log", "_seq")

    def __init__(self, known: RevocationSet) -> None:
        self._known = known
        self._log, self._seq, self._head = "", 0, ""

    def take(self, page: Snapshot) -> None:
        """Take in the next page. Raises InvalidFeed when it is not the next."""
        if not self._log:
            self._begin(page)
        if (page.log, page.after, page.prev) != (self._log, self._seq, self._head):
            raise InvalidFeed("page that does not join the one before it")
        self._known.add(page.entries)
        self._seq, self._head = page.seq, page.head

    def closed(self, last: Message) -> Message:
        """What the pages and the message that came after them say together; the message itself without pages.

        Raises InvalidFeed when it is not the delta that goes on from the last page.
        """
        if not self._log:
            return last
        if not isinstance(last, Delta) or (last.log, last.after, last.prev) != (self._log, self._seq, self._head):
            raise InvalidFeed("pages that no delta joins")
        return Snapshot(last.iss, last.log, last.seq, last.head, last.time, last.entries, last.nonce)

    def _begin(self, page: Snapshot) -> None:
        if page.log != self._known.log and page.time < self._known.time:
            raise InvalidFeed("page of a log that was left behind")
        self._log, self._head = page.log, b64url(genesis(page.log))


def empty(log: str) -> RevocationSet:
    """The set of a log that has no entry yet: what an issuer starts from."""
    fresh = RevocationSet()
    fresh.log, fresh.head = log, b64url(genesis(log))
    return fresh
