"""A revocation log by the letter of docs/feed.md, in plain dicts: what the messages that were taken must amount to."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from tests.fuzz import reference
from tests.fuzz.target import Violation
from watchword.revocations import RevocationSet

MEMBERS: Final = {
    "watchword-snapshot+jwt": {"iss", "log", "seq", "head", "time", "entries"},
    "watchword-delta+jwt": {"iss", "log", "after", "prev", "seq", "head", "time", "entries"},
    "watchword-heartbeat+jwt": {"iss", "log", "seq", "head", "time"},
}
KINDS: Final = frozenset(("token", "grant", "session", "subject", "client", "key", "issuer"))
ASKED: Final = {"token": "jti", "grant": "gid", "session": "sid", "subject": "sub", "client": "client_id", "key": "kid"}
NOBODY: Final[Mapping[str, Any]] = {"rev": 2**63, **dict.fromkeys(ASKED.values(), "nobody")}


def genesis(log: str) -> bytes:
    """head(0)."""
    return hashlib.sha256(f"watchword-revocation-log\n{log}".encode("utf-8", "surrogatepass")).digest()


def chained(start: str | bytes, entries: Iterable[Sequence[Any]]) -> str:
    """The head after these entries, from a log's beginning (its id) or from another head (bytes)."""
    head = genesis(start) if isinstance(start, str) else start
    for seq, kind, name, until in entries:
        line = f"{seq}\n{kind}\n{name}\n{until}\n"
        head = hashlib.sha256(head + line.encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(head).rstrip(b"=").decode()


class Model:
    """What was read, and where the log stands."""

    def __init__(self, issuer: str, jwks: Sequence[Mapping[str, Any]]) -> None:
        self._issuer = issuer
        self._jwks = {jwk["kid"]: jwk for jwk in jwks}
        self._log, self._seq, self._head, self._time = "", 0, "", 0
        self._dead: dict[tuple[str, str], tuple[int, int]] = {}

    def take(self, line: bytes) -> None:
        """A message was accepted. Raises Violation where the page says that it must not be."""
        typ, said = self._opened(line)
        if typ.startswith("watchword-snapshot"):
            self._take_snapshot(said)
        elif typ.startswith("watchword-delta"):
            self._take_delta(said)
        else:
            self._take_beat(said)
        if said["seq"] == self._seq:
            self._time = max(self._time, said["time"])

    def must_agree(self, known: RevocationSet) -> None:
        """Raises Violation unless `known` stands where the model does and kills exactly what the model has dead."""
        if (known.log, known.seq, known.head, known.time) != (self._log, self._seq, self._head, self._time):
            raise Violation("the set stands elsewhere than the model")
        if len(known) != sum(kind != "issuer" for kind, _ in self._dead):
            raise Violation("the set holds another number of entries")
        last = max((seq for seq, _ in self._dead.values()), default=0)
        for (kind, name), (seq, _) in self._dead.items():
            if _kills(known, kind, name, seq - 1) is None:
                raise Violation("a dead token lives")
            if kind in ("subject", "client", "issuer") and _kills(known, kind, name, last) is not None:
                raise Violation("a living token is dead")
        if known.kills(**NOBODY) is not None:
            raise Violation("somebody whom nobody named is dead")

    def forget(self, known: RevocationSet, now: int) -> None:
        """`known` forgets: exactly what can hit nothing any more."""
        horizon = min(now, self._time // 1000)
        known.forget(now)
        self._dead = {key: dead for key, dead in self._dead.items() if key[0] == "issuer" or dead[1] >= horizon}
        self.must_agree(known)

    def _opened(self, line: bytes) -> tuple[str, dict[str, Any]]:
        segments = line.split(b".")
        if len(segments) != 3:
            raise Violation("a message of another number of segments was accepted")
        raw_header, payload, signature = map(reference.decoded, segments)
        header = reference.json_object(raw_header)
        jwk = self._jwks.get(header["kid"])
        if jwk is None or header["alg"] != jwk["alg"] or "crit" in header or "b64" in header:
            raise Violation("a message of another key, algorithm or extension was accepted")
        reference.must_be_signed(jwk["alg"], jwk, segments[0] + b"." + segments[1], signature)
        said = reference.json_object(payload)
        typ = str(header["typ"]).lower()
        self._must_be_well_formed(typ, said)
        return typ, said

    def _must_be_well_formed(self, typ: str, said: Mapping[str, Any]) -> None:
        if said.keys() - {"nonce"} != MEMBERS[typ] or said["iss"] != self._issuer:
            raise Violation("a message with other members, or of another issuer, was accepted")
        numbers, texts = [said[n] for n in ("seq", "time", "after") if n in said], [said["log"], said["head"]]
        if any(type(number) is not int or number < 0 for number in numbers):
            raise Violation("a message with a number that is none was accepted")
        if any(type(text) is not str for text in (*texts, said.get("nonce", ""), said.get("prev", ""))):
            raise Violation("a message with a text that is none was accepted")
        for entry in said.get("entries", ()):
            seq, kind, name, until = entry
            if type(seq) is not int or type(until) is not int or type(name) is not str or kind not in KINDS:
                raise Violation("an entry that is none was accepted")
            if not 0 < seq <= said["seq"]:
                raise Violation("an entry from beyond the message was accepted")

    def _take_snapshot(self, said: Mapping[str, Any]) -> None:
        if said["log"] == self._log:
            if said["seq"] < self._seq or (said["seq"] == self._seq and said["head"] != self._head):
                raise Violation("an old or forked snapshot was accepted")
        elif said["time"] < self._time:
            raise Violation("a snapshot of a log that was left behind was accepted")
        self._add(said["entries"])
        self._log, self._seq, self._head = said["log"], said["seq"], said["head"]

    def _take_delta(self, said: Mapping[str, Any]) -> None:
        entries, prev = said["entries"], reference.decoded(said["prev"].encode())
        if [entry[0] for entry in entries] != [said["after"] + n + 1 for n in range(len(entries))]:
            raise Violation("a delta with a hole was accepted")
        if len(entries) != said["seq"] - said["after"] or chained(prev, entries) != said["head"]:
            raise Violation("a delta that does not hash to its head was accepted")
        if said["log"] != self._log or said["after"] > self._seq:
            raise Violation("a delta that does not join was accepted")
        if said["seq"] < self._seq:
            return
        if chained(prev, entries[: self._seq - said["after"]]) != self._head:
            raise Violation("a delta of a fork was accepted")
        self._add(entry for entry in entries if entry[0] > self._seq)
        self._seq, self._head = said["seq"], said["head"]

    def _take_beat(self, said: Mapping[str, Any]) -> None:
        if said["log"] != self._log or said["seq"] > self._seq:
            raise Violation("a heartbeat from beyond was accepted")
        if said["seq"] == self._seq and said["head"] != self._head:
            raise Violation("a heartbeat of a fork was accepted")

    def _add(self, entries: Iterable[Sequence[Any]]) -> None:
        for seq, kind, name, until in entries:
            key = (kind, "" if kind == "issuer" else name)
            old = self._dead.get(key, (0, until))
            self._dead[key] = max(old[0], seq), max(old[1], until)


def _kills(known: RevocationSet, kind: str, name: str, rev: int) -> str | None:
    return known.kills(**{**NOBODY, "rev": rev, **({ASKED[kind]: name} if kind in ASKED else {})})
