"""One thread, and two at once: what a second thread brings, on the wall clock."""

from __future__ import annotations

import gc
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from bench import material, raw, tokens
from bench.effort import Effort
from bench.libraries import PYJWT, WATCHWORD, Library
from bench.material import Material
from bench.progress import counter, say
from bench.result import Figure, Section, Unmeasured, median, spread
from bench.rounds import Calls

THREADS: Final = 2
ROUNDS: Final = 12
TURN: Final = 0.05
"""Seconds that a turn takes, about: ten times as long as Python lets a thread run before another may."""
MOST: Final = 2_000
"""Tokens in a turn at most, all distinct; fewer where they take longer."""
HITS: Final = 20_000
"""Cached tokens in a turn."""
BESIDE: Final = ("RS256", "ES256", "EdDSA")
"""Algorithms of which the raw check and PyJWT are measured too."""

Prepare = Callable[[], Calls]


class Shared(NamedTuple):
    """What came of a turn: calls per second of wall time, and how many cores it used (CPU time to wall time)."""

    speed: float
    cores: float


def measure(effort: Effort) -> Section:
    """Every task takes turns with one thread and with two; all tasks are interleaved."""
    total = effort.rounds(ROUNDS)
    say("threads: making tokens")
    tasks = dict(_tasks())
    turns = _take_turns(tasks, total)
    gains = {
        name: [two.speed / one.speed for one, two in zip(turns[name, 1], turns[name, THREADS], strict=True)]
        for name in tasks
    }
    return Section(
        "Threads",
        [
            Figure(f"threads: {name}, 2 to 1, tokens a second", median(gains[name]), "×")
            for name in (f"verify {alg}" for alg in BESIDE)
        ],
        [
            ("", "1 thread, tokens/s", "2 threads, tokens/s", "2 threads to 1", "cores that 2 use"),
            *(_row(name, turns[name, 1], turns[name, THREADS], gains[name]) for name in tasks),
        ],
        [
            f"Wall clock: median (lowest to highest) of {total} interleaved rounds of turns of {TURN * 1000:.0f} ms.",
            "Two threads begin together and share out the same tokens, all distinct, and one Verifier or key.",
            "On a busy machine two threads get more of it than one, whatever they do: see how many cores they use.",
            "1 core, 1×: whoever works holds the interpreter's lock, `cryptography` at a signature too.",
            "To use more cores, use more processes.",
        ],
        {f"{name}, {threads} threads": [turn.speed for turn in found] for (name, threads), found in turns.items()},
    )


def _tasks() -> Iterator[tuple[str, Prepare]]:
    for alg in material.NAMES:
        key = material.generate(alg)
        one = tokens.program_tokens(key.ours, 1)
        made = tokens.program_tokens(key.ours, _affordable(partial(_verifying, key, WATCHWORD, one)))
        yield f"verify {alg}", partial(_verifying, key, WATCHWORD, made)
        if alg in BESIDE:
            yield f"verify {alg}, raw", partial(raw.checks, key, made)
            yield f"verify {alg}, PyJWT", partial(_verifying, key, PYJWT, made)
        yield f"sign {alg}", partial(_signing, key, _affordable(partial(_signing, key, 1)))
    yield "verify, cached", _hitting(material.generate("ES256"))


def _verifying(key: Material, library: Library, made: Sequence[bytes]) -> Calls:
    return library.checker(key), [(token.decode(),) for token in made]


def _signing(key: Material, count: int) -> Calls:
    return WATCHWORD.sealer(key), [(tokens.as_dict(claims),) for claims in tokens.program_claims(count)]


def _hitting(key: Material) -> Prepare:
    made = tokens.program_tokens(key.ours, MOST)
    check = WATCHWORD.checker(key)
    for token in made:
        check(token.decode())
    return lambda: (check, [(token.decode(),) for token in random.choices(made, k=HITS)])


def _affordable(prepare: Prepare) -> int:
    """How many calls make a turn, by the fastest of a few single ones."""
    times = []
    for _ in range(5):
        function, (arguments, *_) = prepare()
        began = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - began)
    return max(min(int(TURN / min(times)), MOST), 2 * THREADS)


def _take_turns(tasks: Mapping[str, Prepare], total: int) -> dict[tuple[str, int], list[Shared]]:
    """Turns by task and number of threads. The first round warms up."""
    tell = counter("threads", total)
    turns = [(name, threads) for name in tasks for threads in (1, THREADS)]
    found: dict[tuple[str, int], list[Shared]] = {turn: [] for turn in turns}
    for number in range(total + 1):
        for name, threads in random.sample(turns, len(turns)):
            found[name, threads].append(_share(tasks[name](), threads))
        tell(number)
    return {turn: shared[1:] for turn, shared in found.items()}


def _share(calls: Calls, threads: int) -> Shared:
    """Share the calls out among threads that begin together."""
    function, arguments = calls
    gate = threading.Barrier(threads)
    spans: list[tuple[float, float, float]] = []

    def work(share: Sequence[tuple[Any, ...]]) -> None:
        gate.wait()
        began, before = time.perf_counter(), time.thread_time()
        for given in share:
            function(*given)
        spans.append((began, time.perf_counter(), time.thread_time() - before))

    workers = [threading.Thread(target=work, args=(arguments[number::threads],)) for number in range(threads)]
    gc.collect()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if len(spans) < threads:
        raise Unmeasured("a thread failed")
    seconds = max(ended for _, ended, _ in spans) - min(began for began, _, _ in spans)
    return Shared(round(len(arguments) / seconds, 1), sum(used for _, _, used in spans) / seconds)


def _row(name: str, one: Sequence[Shared], two: Sequence[Shared], gains: Sequence[float]) -> tuple[str, ...]:
    speeds = (spread([turn.speed for turn in turns], 0) for turns in (one, two))
    return name, *speeds, spread(gains, 2), f"{median([turn.cores for turn in two]):.2f}"
