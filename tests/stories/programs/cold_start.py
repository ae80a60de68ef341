"""Starts a verifier and says, as one JSON object, what a long log has cost it: `ISSUER CLIENT_ID SECRET AUDIENCE SEQ`.

Seconds until it was fresh and knew the log up to SEQ, CPU seconds, MB (10^6 bytes) that it holds and held at most, the
longest that another thread of the process was kept waiting meanwhile, and the time to ask about a token, in the median.
Goes on as the verifier that it is until standard input ends; then it says how many CPU seconds a second that took.
"""

from __future__ import annotations

import gc
import json
import secrets
import statistics
import sys
import threading
import time
from pathlib import Path

from watchword import Verifier

WINK = 0.001
"""Seconds that the other thread sleeps at a time: what it oversleeps, a caller of `verify` would have waited."""
ROUNDS, TOKENS = 10, 10_000


def memory(line: str) -> float:
    """Resident memory of this process in MB: VmRSS is now, VmHWM was the most."""
    lines = dict(text.split(":", 1) for text in Path("/proc/self/status").read_text("ascii").splitlines())
    return int(lines[line].split()[0]) * 1024 / 1e6


def asking(verifier: Verifier) -> float:
    """Microseconds to ask about one token that nothing kills."""
    kills = verifier._revocations.kills
    names = [[secrets.token_urlsafe(16) for _ in range(5)] for _ in range(TOKENS)]
    found = []
    for _ in range(ROUNDS):
        began = time.thread_time_ns()
        for jti, sub, client, sid, gid in names:
            kills(jti, "kid", 0, sub, client, sid, gid)
        found.append((time.thread_time_ns() - began) / 1000 / TOKENS)
    return statistics.median(found)


def main(issuer: str, client_id: str, secret: str, audience: str, seq: int) -> None:
    """Until standard input ends."""
    verifier = Verifier(issuer=issuer, audience=audience, credentials=(client_id, secret))
    late, fresh = [0.0], threading.Event()

    def sleep() -> None:
        while not fresh.is_set():
            began = time.perf_counter()
            time.sleep(WINK)
            late.append((time.perf_counter() - began - WINK) * 1000)

    gc.collect()
    before, cpu, began = memory("VmRSS"), time.process_time(), time.perf_counter()
    sleeper = threading.Thread(target=sleep)
    sleeper.start()
    with verifier:
        while verifier.freshness.state != "fresh" or verifier.freshness.seq < seq:
            time.sleep(WINK)
        took, spent = time.perf_counter() - began, time.process_time() - cpu
        fresh.set()
        sleeper.join()
        gc.collect()
        held, most = memory("VmRSS") - before, memory("VmHWM") - before
        told = {
            "seconds": took,
            "cpu": spent,
            "held": held,
            "most": most,
            "late": max(late),
            "asking": asking(verifier),
        }
        print(json.dumps({**told, "entries": verifier.freshness.entries}), flush=True)
        began, cpu = time.perf_counter(), time.process_time()
        sys.stdin.read()
        print(json.dumps({"idle": (time.process_time() - cpu) / (time.perf_counter() - began)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:5], int(sys.argv[5]))
