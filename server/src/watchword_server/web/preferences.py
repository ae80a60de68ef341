"""Who takes something back may want to hear where it is known by now: `Prefer: wait=SECONDS` (RFC 7240 §4.3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from watchword.log import Entry
from watchword_server.flows.who_knows import LONGEST, Awaited, Reach
from watchword_server.web.asgi import Answer, Header, Scope, json_answer
from watchword_server.web.front import Front

_WAIT: Final = re.compile(rb"wait[ \t]*=[ \t]*([0-9]{1,9})[ \t]*(?:;.*)?", re.IGNORECASE)


def wanted_wait(scope: Scope) -> float | None:
    """Seconds that the client would wait, LONGEST at most; None where it does not ask.

    A preference that cannot be read is none, and of several the first counts (RFC 7240 §2).
    """
    lines = [value for name, value in scope["headers"] if name == b"prefer"]
    found = (_WAIT.fullmatch(preference.strip()) for line in lines for preference in line.split(b","))
    first = next((match for match in found if match), None)
    return None if first is None else min(float(first[1]), LONGEST)


async def told(front: Front, entries: Sequence[Entry], seconds: float, *headers: Header) -> Answer:
    """Where these entries are known, after waiting for at most so many seconds; null where nothing was revoked.

    Names of verifiers are for operators: clients get numbers and times. When too many wait already, or this server
    stops, it says how things stand now. What is revoked stays revoked where that cannot be read: then it is null.
    """
    if not entries:
        return json_answer({"revocation": None}, *headers)
    awaited = Awaited(front.issuer.stores, entries[-1].seq, front.clock)
    if front.waiting.locked():
        return _answer(await awaited.everywhere(0), 0, headers)
    async with front.waiting:
        return _answer(await awaited.everywhere(seconds, front.stopping), seconds, headers)


def _answer(reach: Reach, waited: float, headers: Sequence[Header]) -> Answer:
    body = {"revocation": {"seq": reach.seq, "verifiers": _numbers(reach), "after_ms": round(reach.after * 1000)}}
    return json_answer(body, (b"preference-applied", b"wait=%d" % waited), *headers)


def _numbers(reach: Reach) -> dict[str, object] | None:
    if reach.known is None:
        return None
    silent = [{"dead_by": one.dead_by} for one in reach.silent]
    return {"known": reach.known, "acknowledged": reach.known - len(silent), "silent": silent}
