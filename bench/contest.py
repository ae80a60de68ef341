"""All contestants at one task with one algorithm, call by call; then what their times say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from bench import qualify, raw, rounds, tokens
from bench.javascript import LIBRARIES as ELSEWHERE
from bench.javascript import Javascript
from bench.libraries import LIBRARIES, WATCHWORD, Library
from bench.material import Material
from bench.plot import dots
from bench.result import median, spread
from bench.rounds import Calls, Progress

RAW: Final = "raw"
OURS: Final = WATCHWORD.name
PEERS: Final = (*(library.name for library in LIBRARIES if library.name != OURS), *ELSEWHERE)


class Outcome(msgspec.Struct, frozen=True):
    """Microseconds of each contestant with one algorithm: the median call of every round.

    `over` is the median of the differences between our calls and the raw ones on the same tokens, by round.
    `size` is the token's, in bytes.
    """

    alg: str
    size: int
    times: Mapping[str, Sequence[float]]
    over: Sequence[float]


def verify(key: Material, node: Javascript, total: int, calls: int, progress: Progress) -> Outcome:
    """Verify tokens that nobody has seen before, so many in each round."""
    first, *made = tokens.program_tokens(key.ours, calls + 1)
    known = _knowing(key)
    for library in known:
        qualify.as_verifier(library.name, key, qualify.accepted(library.checker(key)))
    elsewhere = node.prepare("verify", key, [token.decode() for token in made])
    for name in elsewhere:
        qualify.as_verifier(name, key, partial(_accepts, node, name))
    checks = {library.name: library.checker(key) for library in known if library.name != OURS}

    def prepare() -> dict[str, Calls]:
        ours = WATCHWORD.checker(key)
        ours(first.decode())  # the first of all makes the key known, as it is to any running process
        checked = {
            name: (check, [(token.decode(),) for token in made]) for name, check in {OURS: ours, **checks}.items()
        }
        return {RAW: raw.checks(key, made), **checked}

    found = rounds.one_by_one(prepare, _turns(node, elsewhere), total, progress)
    return _outcome(key, len(first), found)


def sign(key: Material, node: Javascript, total: int, calls: int, progress: Progress) -> Outcome:
    """Make tokens of claims (JSON, base64url, signature), so many in each round."""
    made = tokens.program_tokens(key.ours, calls)
    claims = [tokens.as_dict(one) for one in tokens.program_claims(calls)]
    seals = {library.name: library.sealer(key) for library in _knowing(key)}
    accepts = qualify.accepted(WATCHWORD.checker(key))
    for name, seal in seals.items():
        qualify.as_signer(name, key, partial(_text, seal), accepts)
    elsewhere = node.prepare("sign", key, claims)
    for name in elsewhere:
        qualify.as_signer(name, key, partial(node.attempt, name), accepts)

    def prepare() -> dict[str, Calls]:
        sealed: dict[str, Calls] = {name: (seal, [({**one},) for one in claims]) for name, seal in seals.items()}
        return {RAW: raw.seals(key, made), **sealed}

    found = rounds.one_by_one(prepare, _turns(node, elsewhere), total, progress)
    return _outcome(key, len(made[0]), found)


def ratios(outcome: Outcome, peer: str) -> list[float]:
    """How many times as long as ours a peer takes, by round."""
    return [theirs / ours for theirs, ours in zip(outcome.times[peer], outcome.times[OURS], strict=True)]


def table(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """A row for each algorithm; a dash where a peer lacks it."""
    head = ("algorithm", "token, bytes", RAW, OURS, "over raw", *PEERS)
    return [head, *(_row(outcome) for outcome in outcomes)]


def notes(total: int, calls: int, versions: Mapping[str, str]) -> list[str]:
    """How it was measured."""
    node = ", ".join(f"{name} {version}" for name, version in versions.items())
    return [
        f"µs from call to result: the median of {total} interleaved rounds' medians of {calls} distinct tokens.",
        "In brackets: how many times as long as watchword, the median of the rounds' ratios.",
        "over raw: median (lowest to highest) of the rounds' medians of the differences, call by call.",
        f"Calls alternate by {rounds.BURST} among all of Python; then Node's have the same tokens ({node}), warmed up.",
        "`jose` has its cryptography done on other threads: its µs are what one caller waits for.",
        "Keys and options are prepared in advance. Every token is a string that nobody has hashed or seen.",
    ]


def plot(title: str, outcomes: Sequence[Outcome]) -> str:
    """The table as a picture."""
    rows = {outcome.alg: {name: median(times) for name, times in outcome.times.items()} for outcome in outcomes}
    return dots(title, rows, RAW, OURS, ELSEWHERE)


def all_rounds(outcomes: Sequence[Outcome]) -> dict[str, Sequence[float]]:
    """Every figure behind the table, for the JSON."""
    found: dict[str, Sequence[float]] = {}
    for outcome in outcomes:
        found |= {f"{outcome.alg} {name}": times for name, times in outcome.times.items()}
        found[f"{outcome.alg} over raw"] = outcome.over
    return found


def _row(outcome: Outcome) -> tuple[str, ...]:
    times = outcome.times
    peers = (
        f"{median(times[peer]):,.1f} ({median(ratios(outcome, peer)):.1f}×)" if peer in times else "–" for peer in PEERS
    )
    ours, over = f"{median(times[OURS]):,.1f}", spread(outcome.over, 1)
    return outcome.alg, str(outcome.size), f"{median(times[RAW]):,.1f}", ours, over, *peers


def _knowing(key: Material) -> list[Library]:
    return [library for library in LIBRARIES if key.alg not in library.lacks]


def _turns(node: Javascript, names: Sequence[str]) -> dict[str, Callable[[], list[float]]]:
    return {name: partial(node.turn, name) for name in names}


def _accepts(node: Javascript, name: str, token: str) -> bool:
    return node.attempt(name, token) is not None


def _text(seal: Callable[[dict[str, Any]], object], claims: dict[str, Any]) -> str:
    made = seal(claims)
    return made.decode() if isinstance(made, bytes) else str(made)


def _outcome(key: Material, size: int, found: Mapping[str, Sequence[Sequence[float]]]) -> Outcome:
    pairs = zip(found[OURS], found[RAW], strict=True)
    return Outcome(
        key.alg,
        size,
        {name: [round(median(calls), 2) for calls in by_round] for name, by_round in found.items()},
        [round(median([one - bare for one, bare in zip(ours, raws, strict=True)]), 2) for ours, raws in pairs],
    )
