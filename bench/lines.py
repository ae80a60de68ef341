"""Talking to a program that reads one JSON command a line and answers each with one line."""

from __future__ import annotations

import json
import select
import subprocess
from typing import Any, Final

from bench.result import Unmeasured

ANSWER_WITHIN: Final = 300.0
"""Seconds."""


def ask(process: subprocess.Popen[bytes], command: str, **arguments: object) -> dict[str, Any]:
    """Send a command and wait for its answer. Unmeasured when the program ends or says nothing."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps({"command": command, **arguments}).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError as error:
        raise Unmeasured(f"the program ended before `{command}`") from error
    # Nothing is left in the buffer: an answer is one line, and there is one for every command.
    ready, _, _ = select.select([process.stdout], [], [], ANSWER_WITHIN)
    line = process.stdout.readline() if ready else b""
    if not line:
        raise Unmeasured(f"no answer to `{command}`")
    answer: dict[str, Any] = json.loads(line)
    return answer
