"""The feed reader: messages, one a line, through `log.unseal` and `RevocationSet.apply`, against a model of the log."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any, Final

from tests.fuzz import compact
from tests.fuzz.feed_model import Model, chained
from tests.fuzz.json_text import Known, Members, Native, change, gathered, parse, tree, write
from tests.fuzz.keyring import signing_key
from tests.fuzz.target import UNUSABLE, Target, Violation
from watchword.errors import InvalidFeed
from watchword.jose.jwk import SigningKey, key_set
from watchword.log import unseal
from watchword.revocations import RevocationSet

ISSUER: Final = "https://id.example.com"
MAX_LINES: Final = 16
TIME: Final = 1_800_000_000_000
UNTIL: Final = 1_800_000_900
SNAPSHOT, DELTA, BEAT = "watchword-snapshot+jwt", "watchword-delta+jwt", "watchword-heartbeat+jwt"
KINDS: Final = ("token", "grant", "session", "subject", "client", "key", "issuer")

FEED_KEYS: Final = {key.kid: key for key in (signing_key(alg, f"feed {alg}") for alg in ("ES256", "EdDSA"))}
USUAL: Final = next(iter(FEED_KEYS.values()))
ORDINARY: Final = signing_key("ES256", "trusted ES256")
JWKS: Final = {"keys": [key.public_jwk() for key in FEED_KEYS.values()]}
_KEYS: Final = key_set(JWKS)

ENTRIES: Final = tuple(
    [seq, kind, "" if kind == "issuer" else f"id-{seq % 11}", UNTIL + seq % 5]
    for seq, kind in ((seq, KINDS[seq % 7]) for seq in range(1, 80))
)
_EDGES: Final = (0, 1, 2, 3, 5, -1, 10**6, 2**31, 2**62, 2**63 - 1, 2**63, 2**64, 1.0)
_HEADS: Final = ("", "A" * 43, "AA", *(chained("log-1", ENTRIES[:seq]) for seq in (0, 2, 3, 5)))
# fmt: off
KNOWN: Final[Known] = gathered((
    *((name, number) for name in ("seq", "after", "time") for number in _EDGES),
    *((name, head) for name in ("prev", "head") for head in _HEADS),
    *(("log", log) for log in ("log-1", "log-2", "", "a\nb")), ("iss", ISSUER), ("iss", ISSUER + "/"), ("more", 1),
    ("nonce", "n" * 16), ("nonce", None), ("entries", []), ("entries", [*ENTRIES[:2]]), ("entries", [*ENTRIES[3:6]]),
    *(("entries", [entry]) for entry in (
        [1, "token", "a\n2\ntoken\nb", 5], [-1, "token", "x", UNTIL], [2**63, "token", "x", 2**63],
        [1, "subject", "", 0], [1, "issuer", "x", -5], [1, "other", "x", 1], [1, "token", "x", 1, 1],
    )),
))
KNOWN_HEADER: Final[Known] = gathered((
    *(("typ", typ) for typ in (SNAPSHOT, DELTA, BEAT, DELTA.upper(), "at+jwt", "JWT", "")),
    *(("kid", kid) for kid in (*FEED_KEYS, ORDINARY.kid)),
    *(("alg", alg) for alg in ("none", "HS256", "ES256", "EdDSA")), ("crit", ["b64"]), ("b64", False),
))
# fmt: on


def _message(typ: str, payload: Mapping[str, Any], key: SigningKey = USUAL) -> bytes:
    header = json.dumps({"alg": key.alg, "kid": key.kid, "typ": typ}, separators=(",", ":")).encode()
    return _signed(header, json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode(), key)


def _signed(header: bytes, payload: bytes, key: SigningKey) -> bytes:
    message = compact.spelled(header) + b"." + compact.spelled(payload)
    return message + b"." + compact.spelled(key.sign(message))


def snapshot(seq: int, log: str = "log-1", time: int = TIME, **more: Any) -> bytes:
    """All of a log up to `seq`."""
    known = {"iss": ISSUER, "log": log, "seq": seq, "head": chained(log, ENTRIES[:seq]), "time": time}
    return _message(SNAPSHOT, {**known, "entries": list(ENTRIES[:seq]), "nonce": "", **more})


def delta(after: int, seq: int, log: str = "log-1", time: int = TIME, **more: Any) -> bytes:
    """A log's entries after one `seq` up to another."""
    heads = {"after": after, "prev": chained(log, ENTRIES[:after]), "seq": seq, "head": chained(log, ENTRIES[:seq])}
    entries = list(ENTRIES[after:seq])
    return _message(DELTA, {"iss": ISSUER, "log": log, **heads, "time": time, "entries": entries, "nonce": "", **more})


def beat(seq: int, log: str = "log-1", time: int = TIME, **more: Any) -> bytes:
    """Where a log stands."""
    head = chained(log, ENTRIES[:seq])
    return _message(BEAT, {"iss": ISSUER, "log": log, "seq": seq, "head": head, "time": time, "nonce": "", **more})


def _seeds() -> Iterator[bytes]:
    later = TIME + 902_000  # when some entries can hit nothing any more
    sequences: tuple[Sequence[bytes], ...] = (
        (snapshot(3), delta(3, 5), beat(5, time=later)),
        (snapshot(0), delta(0, 0), delta(0, 7), delta(5, 9), delta(3, 6), beat(9)),
        (snapshot(3), delta(4, 6), snapshot(6, time=later), delta(6, 8, time=later + 1)),
        (snapshot(5, time=later), snapshot(3), beat(3), beat(7)),
        (snapshot(5), snapshot(2, "log-2", later), delta(2, 4, "log-2", later), delta(5, 6), snapshot(6)),
        (snapshot(3), snapshot(3, head="A" * 43), beat(3, head="A" * 43), delta(3, 3), delta(2, 4, prev="A" * 43)),
        (snapshot(60), delta(60, 66)),
        (beat(0), delta(0, 2), snapshot(2, nonce="n" * 22)),
        (delta(0, 0, "", prev="", head=""), delta(0, 3, "", prev="")),
        (snapshot(3), delta(0, 3), delta(0, 5), snapshot(5), snapshot(9)),
        (_message(SNAPSHOT, json.loads(_payload(snapshot(3))), ORDINARY),),
    )
    yield from (b"\n".join(sequence) for sequence in sequences)


def _payload(message: bytes) -> bytes:
    return compact.read(message.split(b".")[1])


def _change(data: bytes, chance: Random, native: Native) -> bytes:
    lines = data.split(b"\n")[:MAX_LINES]
    place = chance.randrange(len(lines))
    dice = chance.random()
    if dice < 0.05:
        return native(data)
    if dice < 0.60:
        lines[place] = _line_changed(lines[place], chance, native)
    elif dice < 0.68:
        del lines[place]
    elif dice < 0.76:
        lines.insert(chance.randrange(len(lines) + 1), lines[place])
    elif dice < 0.84:
        lines.append(lines.pop(place))
    elif dice < 0.94:
        lines.insert(place + 1, _next_to(lines[place], chance))
    else:
        lines.insert(place, _honest(chance))
    return b"\n".join(lines)


def _honest(chance: Random) -> bytes:
    log, time = chance.choice(("log-1", "log-1", "log-2", "")), TIME + chance.choice((-5_000, 0, 0, 1, 5_000))
    one, other = sorted((chance.randrange(12), chance.randrange(12)))
    return chance.choice((snapshot(one, log, time), delta(one, other, log, time), beat(one, log, time)))


def _next_to(line: bytes, chance: Random) -> bytes:
    """A genuine delta that goes on where a message ends, whatever that message says."""
    try:
        said = json.loads(_payload(line))
        log, seq, head = str(said["log"]), int(said["seq"]), str(said["head"])
        time = int(said["time"]) + chance.choice((-1, 0, 1, 1000))
    except UNUSABLE:
        return _honest(chance)
    numbers = range(seq + 1, seq + 1 + chance.randrange(4))
    entries = [[number, chance.choice(KINDS), f"id-{chance.randrange(5)}", UNTIL] for number in numbers]
    known = {"after": seq, "prev": head, "seq": seq + len(entries), "head": _head_after(head, entries)}
    return _message(DELTA, {"iss": ISSUER, "log": log, **known, "time": time, "entries": entries})


def _head_after(head: str, entries: Sequence[Sequence[Any]]) -> str:
    return chained(compact.read(head.encode("utf-8", "replace")), entries) if entries else head


def _line_changed(line: bytes, chance: Random, native: Native) -> bytes:
    segments = line.split(b".")
    if len(segments) != 3:
        return _honest(chance)
    dice = chance.random()
    if dice < 0.08:
        return native(line)
    if dice < 0.16:
        place = chance.randrange(3)
        segments[place] = compact.respelled(segments[place], chance, native)
        return compact.rebuilt(segments)
    header, payload, signature = map(compact.read, segments)
    if dice < 0.22:
        segments[2] = compact.spelled(compact.signature_changed(signature, chance, native))
        return compact.rebuilt(segments)
    if dice < 0.36:
        header = change(header, KNOWN_HEADER, chance, native)
    if dice > 0.30:
        payload = change(payload, KNOWN, chance, native)
    if chance.random() < 0.5:
        payload = _joined(payload, chance.random() < 0.7)
    if chance.random() < 0.1:
        return compact.rebuilt([compact.spelled(header), compact.spelled(payload), segments[2]])
    return _signed(header, payload, _key_for(header, chance))


def _joined(payload: bytes, renumber: bool) -> bytes:
    """A delta whose hashes, and perhaps numbers, fit its entries again: what lies behind these checks is reached."""
    try:
        members = parse(payload)
        said = json.loads(payload)
        entries, after = said["entries"], said["after"]
        if renumber:
            entries = [[number, *entry[1:]] for number, entry in enumerate(entries, after + 1)]
        fitting = {"entries": entries, "head": _head_after(str(said["prev"]), entries)}
        if renumber:
            fitting["seq"] = after + len(entries)
    except UNUSABLE:
        return payload
    if not isinstance(members, Members):
        return payload
    return write(Members([(name, tree(fitting[name]) if name in fitting else value) for name, value in members]))


def _key_for(header: bytes, chance: Random) -> SigningKey:
    if chance.random() < 0.05:
        return ORDINARY
    try:
        return FEED_KEYS.get(str(dict(parse(header)).get("kid")), USUAL)
    except UNUSABLE:
        return USUAL


def _prepare(data: bytes) -> list[bytes]:
    return data.split(b"\n")[:MAX_LINES]


def _call(lines: list[bytes]) -> int:
    known = RevocationSet()
    accepted = sum(_takes(known, line) for line in lines)
    if not accepted:
        raise InvalidFeed("every one of them")
    return accepted


def _takes(known: RevocationSet, line: bytes) -> bool:
    try:
        known.apply(unseal(line, _KEYS, ISSUER))
    except InvalidFeed:
        return False
    return True


def _judge(lines: list[bytes], accepted: int) -> str:
    """Once more, step by step, beside a model that shares no code with ours."""
    known, model = RevocationSet(), Model(ISSUER, JWKS["keys"])
    for line in lines:
        before = (known.log, known.seq, known.head, known.time, len(known))
        if _takes(known, line):
            model.take(line)
            accepted -= 1
        elif before != (known.log, known.seq, known.head, known.time, len(known)):
            raise Violation("a refused message has left a trace")
        model.must_agree(known)
    if accepted:
        raise Violation("the second reading takes other messages")
    model.forget(known, UNTIL + 2)
    return f"{'several' if len(lines) > 1 else 'one'} read"


TARGET: Final = Target(
    name="feed",
    limit=64 * 1024,
    refusals=(InvalidFeed,),
    seeds=_seeds,
    change=_change,
    prepare=_prepare,
    call=_call,
    judge=_judge,
    budget_ms=lambda data: 25 * (1 + len(data) // 16_384),
)
