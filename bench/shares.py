"""Where CPU time went: a profile as rows of a table, the dearest first."""

from __future__ import annotations

import pstats
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.result import Unmeasured

SHOWN: Final = 25
"""Rows of a table."""
HEAD: Final = ("where", "share", "µs a code")
IDLE: Final = "(idle)"
_INSTALLED: Final = re.compile(r".*/(?:node_modules|site-packages|lib/python3\.\d+|sdk/src|server/src)/")
_METHOD: Final = re.compile(r"<(?:built-in )?method '?(\w+)'? of '([\w.]+)' objects>")
_FUNCTION: Final = re.compile(r"<built-in method ([\w.]+)>")

Times = Mapping[str, float]
"""Seconds of a function's own, by its name."""


def of_python(file: Path) -> Times:
    """What `profiled` has written. Unmeasured where it has not."""
    _must_be_there(file)
    times: dict[str, float] = defaultdict(float)
    # Any: the types of the standard library do not tell of it.
    stats: Any = pstats.Stats(str(file))
    for (path, line, name), (_, _, own, _, _) in stats.stats.items():
        times[_python_name(path, line, name)] += own
    return times


def of_node(file: Path) -> Times:
    """What Node's profiler has written (`.cpuprofile`): the thread that runs JavaScript, when it is not idle.

    Unmeasured where it has not.
    """
    _must_be_there(file)
    found = msgspec.json.decode(file.read_bytes())
    names = {node["id"]: _node_name(node["callFrame"]) for node in found["nodes"]}
    times: dict[str, float] = defaultdict(float)
    for node, microseconds in zip(found["samples"], found["timeDeltas"], strict=True):
        times[names[node]] += microseconds / 1e6
    times.pop(IDLE, None)
    return times


def scaled(times: Times, total: float) -> Times:
    """The same shares of so many seconds."""
    factor = total / sum(times.values())
    return {name: own * factor for name, own in times.items()}


def rows(times: Times, count: int) -> Sequence[Sequence[str]]:
    """The dearest functions, what is left of the others, and all together; `count` codes were redeemed."""
    ordered = sorted(times.items(), key=lambda item: item[1], reverse=True)
    shown, others = ordered[:SHOWN], ordered[SHOWN:]
    total = sum(times.values())
    sums = [(f"{len(others)} others", sum(own for _, own in others)), ("all", total)]
    return [(name, f"{own / total:.1%}", f"{own / count * 1e6:,.0f}") for name, own in (*shown, *sums)]


def _must_be_there(file: Path) -> None:
    if not file.exists():
        raise Unmeasured("the server ended without writing its profile")


def _python_name(path: str, line: int, name: str) -> str:
    if path == "~":
        method, function = _METHOD.fullmatch(name), _FUNCTION.fullmatch(name)
        if method:
            return f"`{method[2].rpartition('.')[2]}.{method[1]}`"
        return f"`{function[1] if function else name.strip('<>')}`"
    short = _INSTALLED.sub("", path)
    return f"`{short}`: `{name}`" if name != "<lambda>" else f"`{short}`: line {line}"


def _node_name(frame: Mapping[str, Any]) -> str:
    name, url = frame["functionName"] or "(anonymous)", _INSTALLED.sub("", frame["url"].removeprefix("file://"))
    if not url:
        return name if name.startswith("(") else f"`{name}` (native)"
    return f"`{url.rpartition('/peers/')[2]}`: `{name}`"
