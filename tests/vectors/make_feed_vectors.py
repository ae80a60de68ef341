"""Writes the vectors of the revocation feed, always the same: `python tests/vectors/make_feed_vectors.py`.

Keys and times are fixed and ECDSA is deterministic (RFC 6979), so a changed file means a changed format.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from watchword.freshness import Moment, Progress
from watchword.jose.b64 import b64url
from watchword.jose.jwk import SigningKey
from watchword.log import Delta, Entry, Heartbeat, Message, Snapshot, chain, genesis, link, type_of

FOLDER = Path(__file__).parent / "feed"
ISSUER = "https://issuer.example"
LOG, RESTORED = "bG9nLW51bWJlci1vbmU", "bG9nLW51bWJlci10d28"
TIME = 1_790_000_000_000
UNTIL = 1_790_001_000
HASH = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)

PRIVATE = ec.derive_private_key(0x0F_EED_0001, ec.SECP256R1())
STRANGER = ec.derive_private_key(0x0F_EED_0002, ec.SECP256R1())

ENTRIES = (
    Entry(1, "token", "mZ4nXQ3v0qJx8W2kT5rY1A", UNTIL),
    Entry(2, "session", "s-1", UNTIL),
    Entry(3, "subject", "user-1", UNTIL),
    Entry(4, "client", "web", UNTIL + 60),
    Entry(5, "grant", "g-1", UNTIL),
    Entry(6, "key", "kid-1", UNTIL + 86_400),
    Entry(7, "issuer", "", UNTIL),
)
LIVE = {"jti": "j", "kid": "k", "rev": 0, "sub": "u", "client_id": "c"}


@dataclass
class Case:
    """One message by itself."""

    name: str
    message: str
    valid: bool


@dataclass
class Step:
    """A message in its turn, and where a follower stands after it."""

    message: str
    expect: str
    seq: int
    log: str


@dataclass
class Answer:
    """The messages of one answer to who knows nothing yet, what comes of them, and who is dead then."""

    name: str
    nonce: str
    messages: list[str]
    expect: str
    seq: int
    tokens: list[dict[str, object]] = field(default_factory=list)


@dataclass
class Run:
    """Messages one after the other, and which tokens are dead at the end, by which kind of entry."""

    name: str
    steps: list[Step]
    tokens: list[dict[str, object]] = field(default_factory=list)


def public(private: ec.EllipticCurvePrivateKey) -> SigningKey:
    pkcs8 = private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return SigningKey.load(pkcs8, "ES256")


def compact(payload: bytes, typ: str, private: ec.EllipticCurvePrivateKey = PRIVATE) -> str:
    header = json.dumps({"alg": "ES256", "kid": public(private).kid, "typ": typ}, separators=(",", ":"))
    signed = f"{b64url(header.encode())}.{b64url(payload)}"
    r, s = decode_dss_signature(private.sign(signed.encode(), HASH))
    return f"{signed}.{b64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def seal(message: Message, private: ec.EllipticCurvePrivateKey = PRIVATE) -> str:
    return compact(msgspec.json.encode(message), type_of(type(message)), private)


def head(seq: int, log: str = LOG, entries: tuple[Entry, ...] = ENTRIES) -> str:
    return b64url(chain(genesis(log), entries[:seq]))


def snapshot(seq: int, log: str = LOG, at: int = TIME, nonce: str = "") -> Snapshot:
    return Snapshot(ISSUER, log, seq, head(seq, log), at, ENTRIES[:seq], nonce)


def page(after: int, seq: int, log: str = LOG, at: int = TIME) -> Snapshot:
    return Snapshot(ISSUER, log, seq, head(seq, log), at, ENTRIES[after:seq], "", after, head(after, log))


def delta(after: int, seq: int, at: int = TIME, nonce: str = "") -> Delta:
    return Delta(ISSUER, LOG, after, head(after), seq, head(seq), at, ENTRIES[after:seq], nonce)


def heartbeat(seq: int, at: int = TIME) -> Heartbeat:
    return Heartbeat(ISSUER, LOG, seq, head(seq), at)


def chains() -> dict[str, object]:
    """The hash chain, entry by entry."""
    now, heads = genesis(LOG), []
    for entry in ENTRIES:
        line = f"{entry.seq}\n{entry.kind}\n{entry.id}\n{entry.until}\n"
        now = link(now, entry)
        heads.append({"entry": msgspec.to_builtins(entry), "line": line, "head": b64url(now)})
    return {"log": LOG, "genesis": b64url(genesis(LOG)), "links": heads}


def messages() -> dict[str, object]:
    """Messages that open, and messages that must not."""
    change = msgspec.structs.replace
    good, beat = delta(1, 3), seal(heartbeat(3))
    header, payload, signature = beat.split(".")
    cases = [
        Case("a snapshot", seal(snapshot(7, nonce="n0nce-of-16-chars")), True),
        Case("a snapshot of an empty log", seal(snapshot(0)), True),
        Case("a delta", seal(good), True),
        Case("a delta without entries", seal(delta(3, 3)), True),
        Case("a heartbeat", beat, True),
        Case("signed by a key that is not the feed's", seal(heartbeat(3), STRANGER), False),
        Case("another issuer", seal(change(heartbeat(3), iss="https://other.example")), False),
        Case("a signature that was changed", f"{header}.{payload}.{signature[:-4]}AAAA", False),
        Case(
            "a heartbeat under the type of a delta", compact(msgspec.json.encode(heartbeat(3)), type_of(Delta)), False
        ),
        Case("an access token's type", compact(msgspec.json.encode(heartbeat(3)), "at+jwt"), False),
        Case(
            "an unknown member", compact(msgspec.json.encode(heartbeat(3))[:-1] + b',"x":1}', type_of(Heartbeat)), False
        ),
        Case(
            "a time that is a string",
            compact(b'{"iss":"' + ISSUER.encode() + b'","log":"l","seq":0,"head":"","time":"1"}', type_of(Heartbeat)),
            False,
        ),
        Case(
            "an entry of an unknown kind",
            compact(msgspec.json.encode(good).replace(b'"session"', b'"sessions"'), type_of(Delta)),
            False,
        ),
        Case("a delta with an entry cut out", seal(change(good, entries=ENTRIES[1:2])), False),
        Case("a delta whose entries are swapped", seal(change(good, entries=(ENTRIES[2], ENTRIES[1]))), False),
        Case(
            "a delta whose entry was changed",
            seal(change(good, entries=(change(ENTRIES[1], id="s-2"), ENTRIES[2]))),
            False,
        ),
        Case("a delta with another head", seal(change(good, head=head(4))), False),
        Case("a delta whose prev is no hash", seal(change(good, prev="=")), False),
        Case("a snapshot with an entry from beyond its seq", seal(change(snapshot(3), entries=ENTRIES[:4])), False),
        Case("a page", seal(page(2, 5)), True),
        Case("a page of which all is forgotten", seal(change(page(2, 5), entries=())), True),
        Case("a page without `prev`", seal(change(page(2, 5), prev=msgspec.UNSET)), False),
        Case("a page without `after`", seal(change(page(2, 5), after=msgspec.UNSET)), False),
        Case("a page with an entry from before it", seal(change(page(2, 5), entries=ENTRIES[1:5])), False),
        Case("a page with an entry from beyond it", seal(change(page(2, 5), entries=ENTRIES[2:6])), False),
        Case("a page that is not in order", seal(change(page(2, 5), entries=(ENTRIES[3], ENTRIES[2]))), False),
    ]
    return {
        "issuer": ISSUER,
        "jwks": {"keys": [public(PRIVATE).public_jwk()]},
        "cases": [asdict(case) for case in cases],
    }


def token(dead_by: str | None, **changes: object) -> dict[str, object]:
    return {"token": {**LIVE, **changes}, "dead_by": dead_by}


def runs() -> dict[str, object]:
    """What a follower does with one message after the other."""
    step = lambda message, expect, seq, log=LOG: Step(seal(message), expect, seq, log)  # noqa: E731  # a row a line
    change = msgspec.structs.replace
    elsewhere = change(snapshot(2, RESTORED, TIME + 9_000))
    forked = b64url(chain(genesis(LOG), (*ENTRIES[:2], change(ENTRIES[2], id="user-2"))))
    all_runs = [
        Run(
            "snapshot, deltas, heartbeat",
            [
                step(snapshot(2), "applied", 2),
                step(delta(2, 5), "applied", 5),
                step(delta(5, 7), "applied", 7),
                step(heartbeat(7, TIME + 2_000), "applied", 7),
            ],
            [
                token("issuer"),
                token(None, rev=7),
                token("token", rev=7, jti="mZ4nXQ3v0qJx8W2kT5rY1A"),
                token("session", rev=7, sid="s-1"),
                token("grant", rev=7, gid="g-1"),
                token("grant", rev=7, gid="g-3", lineage=["g-2", "g-1"]),
                token(None, rev=7, gid="g-3", lineage=["g-2", "s-1"]),
                token("token", rev=7, gid="g-3", lineage=["g-2", "mZ4nXQ3v0qJx8W2kT5rY1A"]),
                token("key", rev=7, kid="kid-1"),
                token("issuer", rev=6),
            ],
        ),
        Run(
            "subject and client by rev",
            [step(snapshot(4), "applied", 4)],
            [
                token("subject", rev=2, sub="user-1"),
                token(None, rev=3, sub="user-1"),
                token("client", rev=3, client_id="web"),
                token(None, rev=4, client_id="web"),
                token("client", rev=3, client_id="agent", via=["other", "web"]),
                token(None, rev=4, client_id="agent", via=["web"]),
            ],
        ),
        Run(
            "gaps",
            [
                step(snapshot(1), "applied", 1),
                step(delta(2, 3), "gap", 1),
                step(heartbeat(3), "gap", 1),
                step(delta(1, 3), "applied", 3),
            ],
        ),
        Run(
            "duplicates and overlaps are harmless",
            [
                step(snapshot(3), "applied", 3),
                step(delta(1, 3), "applied", 3),
                step(delta(1, 2), "applied", 3),
                step(delta(2, 5), "applied", 5),
                step(heartbeat(4), "applied", 5),
            ],
        ),
        Run(
            "an old snapshot and a fork are refused",
            [
                step(snapshot(3), "applied", 3),
                step(snapshot(2), "refused", 3),
                step(change(snapshot(3), head=forked), "refused", 3),
                step(change(heartbeat(3), head=forked), "refused", 3),
                step(heartbeat(3), "applied", 3),
            ],
        ),
        Run(
            "another log: the union is kept, and there is no way back",
            [
                step(snapshot(5), "applied", 5),
                step(change(heartbeat(5), log=RESTORED), "gap", 5),
                step(elsewhere, "applied", 2, RESTORED),
                step(snapshot(5), "refused", 2, RESTORED),
            ],
            [token("grant", rev=9, gid="g-1"), token("session", rev=9, sid="s-1")],
        ),
    ]
    return {
        "issuer": ISSUER,
        "jwks": {"keys": [public(PRIVATE).public_jwk()]},
        "runs": [asdict(run) for run in all_runs],
    }


def answers() -> dict[str, object]:
    """Answers in pages, and answers that must not be taken for whole."""
    nonce, change = "n0nce-of-16-chars", msgspec.structs.replace
    first, second, end = page(0, 3), page(3, 6), delta(6, 7, nonce=nonce)
    table: list[tuple[str, str, list[Message]]] = [
        ("pages and their delta", "applied", [first, second, end]),
        (
            "a page with a gap, since something was forgotten",
            "applied",
            [change(first, entries=ENTRIES[1:2]), second, end],
        ),
        ("one page, and nothing after it", "applied", [page(0, 7), delta(7, 7, nonce=nonce)]),
        ("a snapshot, all in one", "applied", [change(snapshot(7), nonce=nonce)]),
        ("without the delta", "cut", [first, second]),
        ("a page left out", "refused", [first, end]),
        ("the first page left out", "refused", [second, end]),
        ("pages swapped", "refused", [second, first, end]),
        ("a page twice", "refused", [first, first, second, end]),
        ("a page of another log", "refused", [first, page(3, 6, RESTORED), end]),
        ("a page of another history", "refused", [first, change(second, prev=head(2)), end]),
        ("a delta from elsewhere", "refused", [first, second, delta(5, 7, nonce=nonce)]),
        ("a delta with another nonce", "refused", [first, second, delta(6, 7, nonce="an0ther-0f-16-chars")]),
        ("a heartbeat for a delta", "refused", [first, second, change(heartbeat(6), nonce=nonce)]),
        ("a page in the place of a snapshot", "cut", [page(0, 7)]),
    ]
    dead, alive = token("token", rev=9, jti=ENTRIES[0].id), token(None, rev=9, jti=ENTRIES[0].id)
    found = []
    for name, expect, sent in table:
        whole = expect == "applied"
        row = (
            dead
            if whole and ENTRIES[0] in [each for message in sent for each in getattr(message, "entries", ())]
            else alive
        )
        found.append(
            Answer(name, nonce, [seal(each) for each in sent], expect, 7 if whole else 0, [row] if whole else [])
        )
    return {
        "issuer": ISSUER,
        "jwks": {"keys": [public(PRIVATE).public_jwk()]},
        "answers": [asdict(answer) for answer in found],
    }


def freshness() -> dict[str, object]:
    """Ages by the two clocks; every time but `signed` (ms) is in seconds, as [monotonic, wall]."""
    asked, answered = (100.0, 5_000.0), (100.05, 5_000.05)
    table: list[tuple[str, list[tuple[int, tuple[float, float]]], tuple[float, float]]] = [
        ("only the answer", [], (103.0, 5_003.0)),
        ("a heartbeat in time", [(8_000, (108.1, 5_008.1))], (108.5, 5_008.5)),
        ("a heartbeat that was held back for 9 s", [(1_000, (110.0, 5_010.0))], (110.0, 5_010.0)),
        (
            "the same heartbeat again and again",
            [(1_000, (101.0, 5_001.0)), (1_000, (119.0, 5_019.0))],
            (120.0, 5_020.0),
        ),
        ("from the issuer's future", [(3_600_000, (101.0, 5_001.0))], (112.0, 5_012.0)),
        ("the machine slept", [], (101.0, 8_600.0)),
        ("the wall clock was set back", [], (111.0, 1_400.0)),
    ]
    cases = []
    for name, heard, now in table:
        progress = Progress(10.0)
        progress.answered(Moment(*asked), TIME, Moment(*answered))
        for signed, arrived in heard:
            progress.heard(TIME + signed, Moment(*arrived))
        cases.append(
            {
                "name": name,
                "asked": asked,
                "answered": answered,
                "signed": TIME,
                "heard": [{"signed": TIME + signed, "arrived": arrived} for signed, arrived in heard],
                "now": now,
                "age": round(progress.age(Moment(*now)), 6),
            }
        )
    return {"cases": cases}


def files() -> dict[str, str]:
    """Every file's name and text."""
    made = {"chain": chains(), "messages": messages(), "answers": answers(), "runs": runs(), "freshness": freshness()}
    return {f"{name}.json": json.dumps(value, indent=1) + "\n" for name, value in made.items()}


if __name__ == "__main__":
    for name, text in files().items():
        (FOLDER / name).write_text(text)
