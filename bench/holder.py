"""A process that holds a revocation set, as an API's does: loads a snapshot, applies deltas, is asked what is dead.

Reads one JSON command a line from standard input and answers each with one line (see lines.py). It is a process of
its own because its memory is what is measured, and stays alive so that sets of several sizes can take turns.
"""

from __future__ import annotations

import gc
import json
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import watchword.log as wire
from bench import tokens
from bench.result import median
from watchword.errors import InvalidFeed
from watchword.jose.b64 import b64url, unb64url
from watchword.jose.jwk import PublicKey, key_set
from watchword.log import Delta, Entry, Message, chain
from watchword.revocations import RevocationSet

PRINCIPALS: Final = 10_000
"""As many tokens are asked about, in random order."""
DELTAS: Final = 200
WINK: Final = 0.001
"""Seconds that the other thread sleeps at a time: what it oversleeps, the loading has cost it."""


class Holder:
    """One set, and the tokens that are asked about."""

    def __init__(self) -> None:
        self._known: Final = RevocationSet()
        self._asked: Final = [_principal() for _ in range(PRINCIPALS)]

    def load(self, file: str) -> dict[str, Any]:
        """Read a signed snapshot, on another thread, as the feed does. Seconds, MB (10^6 bytes)."""
        path = Path(file)
        keys = key_set(json.loads(path.with_suffix(".json").read_text("ascii")))
        gc.collect()
        before = _memory("VmRSS")
        told: dict[str, Any] = {"size": path.stat().st_size / 1e6}
        with _delays() as late:
            worker = threading.Thread(target=self._load, args=(path, keys, told))
            worker.start()
            worker.join()
        gc.collect()
        return {**told, "delay": max(late), "held": _memory("VmRSS") - before, "peak": _memory("VmHWM") - before}

    def delta(self) -> dict[str, Any]:
        """Microseconds to apply a delta of one entry: the median of many."""
        times = []
        for delta in list(self._deltas()):
            began = time.perf_counter_ns()
            self._known.apply(delta)
            times.append((time.perf_counter_ns() - began) / 1000)
        return {"microseconds": median(times), "entries": len(self._known)}

    def kills(self) -> dict[str, Any]:
        """CPU microseconds to ask about one token that nothing kills."""
        kills = self._known.kills
        asked = random.sample(self._asked, PRINCIPALS)
        began = time.thread_time_ns()
        for one in asked:
            kills(*one)
        return {"microseconds": (time.thread_time_ns() - began) / 1000 / PRINCIPALS}

    def _load(self, path: Path, keys: Mapping[str, PublicKey], told: dict[str, Any]) -> None:
        text = path.read_bytes()
        began = time.perf_counter()
        message = _opened(text, keys, told)
        told["unseal"] = time.perf_counter() - began
        began = time.perf_counter()
        self._known.apply(message)
        told["apply"] = time.perf_counter() - began

    def _deltas(self) -> Iterator[Delta]:
        head, seq = self._known.head, self._known.seq
        for number in range(seq + 1, seq + 1 + DELTAS):
            entry = Entry(number, "token", tokens.name(), int(time.time()) + tokens.LIFETIME)
            after = b64url(chain(unb64url(head), [entry]))
            yield Delta(tokens.ISSUER, self._known.log, number - 1, head, number, after, self._known.time, (entry,))
            head = after


def _opened(text: bytes, keys: Mapping[str, PublicKey], told: dict[str, Any]) -> Message:
    """What the text says. Where it is longer than a verifier reads, that is told, and the bound lifted."""
    try:
        return wire.unseal(text, keys, tokens.ISSUER)
    except InvalidFeed as error:
        told["refused"] = str(error)
        vars(wire)["MAX_MESSAGE"] = len(text)
        return wire.unseal(text, keys, tokens.ISSUER)


@contextmanager
def _delays() -> Iterator[list[float]]:
    """By how many milliseconds a thread that only sleeps wakes too late: what a caller of `verify` would wait."""
    late, done = [0.0], threading.Event()

    def sleep() -> None:
        while not done.is_set():
            began = time.perf_counter()
            time.sleep(WINK)
            late.append((time.perf_counter() - began - WINK) * 1000)

    sleeper = threading.Thread(target=sleep)
    sleeper.start()
    try:
        yield late
    finally:
        done.set()
        sleeper.join()


def _memory(line: str) -> float:
    """Resident memory of this process in MB (10^6 bytes): VmRSS is now, VmHWM was the most."""
    lines = dict(text.split(":", 1) for text in Path("/proc/self/status").read_text("ascii").splitlines())
    return int(lines[line].split()[0]) * 1024 / 1e6


def _principal() -> tuple[str, str, int, str, str, str, str]:
    """What `kills` is asked: jti, kid, rev, sub, client_id, sid, gid."""
    jti, kid, sub, client, sid, gid = (tokens.name() for _ in range(6))
    return jti, kid, 0, sub, client, sid, gid


def main() -> int:
    """Answer until the input ends."""
    holder = Holder()
    commands: dict[str, Callable[..., dict[str, Any]]] = {
        "load": holder.load,
        "delta": holder.delta,
        "kills": holder.kills,
    }
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(commands[asked.pop("command")](**asked)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
