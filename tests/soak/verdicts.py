"""What a storm has shown, and the verdict: what must never happen, and how soon a revocation was felt."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.load import rank
from bench.progress import say
from bench.result import Figure, Section
from tests.soak.chaos import Chaos
from tests.soak.rounds import Round, Rounds
from tests.soak.sights import Audience, Sight, Who, crossing

BACK = 1.0
"""Seconds after an outage or a pause until it no longer counts as one: time to connect anew."""
TICK = 0.1
"""Seconds that a call may take to begin after the moment for which it was due."""


@dataclass(frozen=True)
class Size:
    """How much of everything. Seconds, where it is not a number of things."""

    seconds: float
    nodes: int
    processes: int
    tasks: int
    homes: int
    """Processes in which the tasks live, in equal parts."""
    probing: int
    """How many of the tasks of each are asked every 5 ms; the processes all are."""
    stale_after: float = 6.0
    refuse_after: float = 15.0
    rate: int = 100
    hands: int = 3
    nodes_every: float = 12.0
    verifiers_every: float = 3.0

    @property
    def hold(self) -> float:
        """For how long a dead token is watched: until even who heard nothing must refuse."""
        return self.refuse_after + 4.0

    @property
    def masses(self) -> dict[float, str]:
        """When everything dies, and by what: each way once a minute, and at least once."""
        turns = max(1, round(self.seconds / 60))
        share = self.seconds / (2 * turns)
        return {share * (turn + 0.5): ("everything", "key")[turn % 2] for turn in range(2 * turns)}


@dataclass(frozen=True)
class Storm:
    """Everything that was seen."""

    size: Size
    seconds: float
    rounds: Rounds
    chaos: Chaos
    audience: Audience
    outages: Sequence[tuple[float, float]]
    seqs: Mapping[tuple[str, str], int]
    """Of every entry of the log: where it stands, by kind and id; the last one where there are several."""
    calls: Sequence[tuple[float, float, int, str]]
    cpu: Mapping[str, float]
    """Cores that each group of processes used, as far as they lived through all of it."""


def judged(storm: Storm, title: str) -> Section:
    delays, killed, frozen, lost, calls = _delays(storm)
    verdicts = [*_violations(storm), *_speed(delays)]
    return Section(
        f"Storm, {title}",
        verdicts,
        [
            ("what", "figure"),
            ("seconds", f"{storm.seconds:.0f}"),
            ("revocations", _counted(Counter(each.how for each in storm.rounds.played))),
            ("disturbances", _counted(storm.chaos.done)),
            ("delays outside the kills", _spread(delays)),
            ("delays during kills", _spread(killed)),
            ("delays of frozen verifiers", _spread(frozen)),
            ("lines that the SDK logged", f"{len(storm.audience.logged):,}"),
            ("calls lost before a first refusal", f"{lost:,} at {calls:,} refusals"),
            *_acknowledged(storm),
            *_requests(storm),
            *((f"cores used by {name}", f"{share:.2f}") for name, share in sorted(storm.cpu.items())),
        ],
        [
            f"{storm.size.nodes} nodes, {storm.size.processes} verifiers as processes of their own.",
            f"{storm.size.tasks} more as tasks, in {storm.size.homes} processes.",
            f"stale_after {storm.size.stale_after:g} s, refuse_after {storm.size.refuse_after:g} s.",
            "Delay: from the moment at which the revoking request was answered to the first call that was refused,",
            "by verifier and revocation; one before the answer counts as 0. A probing verifier is asked every 5 ms;",
            "a lost call is one that was not made in time, and makes the delay longer.",
            "Answers that waited (for 3 s at most) for acknowledgements tell nothing of delays and are not in them.",
            "Outside the kills: no node was down, or up for less than a second; nor was that verifier frozen.",
        ],
        {"delays, ms": [round(1000 * each, 2) for each in delays]} if len(delays) < 2000 else {},
    )


def _violations(storm: Storm) -> list[Figure]:
    """What must never happen."""
    own = again = late = 0
    for played in storm.rounds.played:
        seq = _seq(storm, played)
        for sight in storm.audience.sights[played.number].values():
            again += len(sight.again)
            own += sight.seq >= seq and sight.accepted > 0
            late += sight.accepted > played.answered + storm.size.refuse_after + TICK
    silent = storm.rounds.failures + storm.chaos.failures + storm.audience.strange
    for line in silent[:20]:
        say(f"storm: {line}")
    return [
        Figure("storm: accepted after every verifier had acknowledged, or must refuse", _beyond(storm), "calls", 0),
        Figure("storm: accepted by a verifier that had read of the revocation", own, "calls", 0),
        Figure("storm: accepted by a verifier that had refused before", again, "calls", 0),
        Figure("storm: accepted later than refuse_after", late, "calls", 0),
        Figure("storm: living tokens refused", _wronged(storm), "calls", 0),
        Figure("storm: things that failed", len(silent), "", 0),
        Figure(
            "storm: answers that waited", sum(each.reach is not None for each in storm.rounds.played), "", 5, "at least"
        ),
        Figure("storm: revocations", len(storm.rounds.played), "", storm.seconds / 2, "at least"),
    ]


def _beyond(storm: Storm) -> int:
    """Acceptances that contradict what was answered to who waited: by a verifier that was said to know, or by a silent
    one after the time from which it refuses. Clients are told only how many are silent, operators which.
    """
    found, skew = 0, time.time() - time.monotonic()
    for played in storm.rounds.played:
        if played.reach is None:
            continue
        late = [(who, sight.accepted) for who, sight in _late(storm, played)]
        silent = played.reach["silent"]
        named = {one["name"]: one["dead_by"] - skew for one in silent if "name" in one}
        if len(named) == len(silent):
            found += sum(moment > named.get(storm.audience.name(who), 0.0) for who, moment in late)
        else:
            last = max(one["dead_by"] for one in silent) - skew
            found += max(0, len(late) - len(silent), sum(moment > last for _, moment in late))
    return found


def _late(storm: Storm, played: Round) -> Iterator[tuple[Who, Sight]]:
    """Who accepted it after the answer."""
    for who, sight in storm.audience.sights[played.number].items():
        if sight.accepted > played.answered:
            yield who, sight


def _seq(storm: Storm, played: Round) -> int:
    """Where the log has it. A revocation that was answered and is not there is lost, which no figure may hide."""
    told = played.document.get("revocation")
    if told:
        return int(told["seq"])
    for entry in played.document.get("entries", ()):
        if entry["kind"] == played.victim.kind:
            return int(entry["seq"])
    return storm.seqs[played.victim.kind, played.victim.id]


def _wronged(storm: Storm) -> int:
    """Refusals of tokens that lived: those of bystanders, and of victims before somebody asked for their death."""
    wrong = 0
    for number, _, end in storm.rounds.bystanders:
        wrong += sum(0 < sight.refused < end for sight in storm.audience.sights[number].values())
    for played in storm.rounds.played:
        wrong += sum(0 < sight.refused < played.asked for sight in storm.audience.sights[played.number].values())
    return wrong


def _delays(storm: Storm) -> tuple[list[float], list[float], list[float], int, int]:
    """Seconds outside the kills, during them, and of verifiers that were frozen; then the calls that were lost
    between the last acceptance and the first refusal, and how many such pairs there are.
    """
    outside: list[float] = []
    killed: list[float] = []
    frozen: list[float] = []
    lost = 0
    for played in storm.rounds.played:
        if played.waited:
            continue
        for who, sight in storm.audience.sights[played.number].items():
            if not sight.refused or not sight.accepted or not _probing(storm, who):
                continue
            delay = max(0.0, sight.refused - played.answered)
            began, ended = played.asked, max(sight.refused, played.answered)
            if crossing(began, ended, storm.audience.process(who).pauses, BACK):
                frozen.append(delay)
            elif crossing(began, ended, storm.outages, BACK):
                killed.append(delay)
            else:
                outside.append(delay)
                lost += sight.between
    return outside, killed, frozen, lost, len(outside)


def _probing(storm: Storm, who: Who) -> bool:
    probing: int = storm.audience.process(who).settings["probing"]
    return who[1] < probing


def _speed(delays: Sequence[float]) -> list[Figure]:
    p50, p99 = (1000 * rank(list(delays), share) if delays else float("nan") for share in (0.5, 0.99))
    return [
        Figure("storm: from the answer to the first refusal, p50", p50, "ms", 25),
        Figure("storm: from the answer to the first refusal, p99", p99, "ms", 150),
    ]


def _acknowledged(storm: Storm) -> Iterator[tuple[str, str]]:
    told = [played for played in storm.rounds.played if played.reach is not None]
    whole = [played for played in told if played.reach and not played.reach["silent"]]
    calm = [one for one in whole if not crossing(one.asked, one.answered, storm.outages, BACK)]
    yield "answers that waited", f"{len(told)}, {len(whole)} of them for everybody"
    yield "until everybody had acknowledged", _spread([one.document["revocation"]["after_ms"] / 1000 for one in calm])


def _requests(storm: Storm) -> Iterator[tuple[str, str]]:
    calm = [call for call in storm.calls if not crossing(call[0], call[0] + call[1], storm.outages, BACK)]
    yield "requests a second", f"{len(storm.calls) / storm.seconds:.1f}"
    yield "answers", _counted(Counter(str(status or "nobody") for _, _, status, _ in storm.calls))
    yield "answers outside the kills", _counted(Counter(str(status or "nobody") for _, _, status, _ in calm))
    yield "requests outside the kills", _spread([seconds for _, seconds, _, _ in calm])


def _counted(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in sorted(found.items())) or "none"


def _spread(seconds: Sequence[float]) -> str:
    if not seconds:
        return "none"
    p50, p99 = (1000 * rank(list(seconds), share) for share in (0.5, 0.99))
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {1000 * max(seconds):.0f} ms of {len(seconds):,}"
