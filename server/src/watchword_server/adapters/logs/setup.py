"""One pipeline for every line that this process logs, whoever writes it."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

import msgspec

from watchword_server.adapters.logs.redaction import redacted_member

if TYPE_CHECKING:
    from types import ModuleType

CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

Facts = Callable[[], Mapping[str, str]]
"""What is known of the request that is being answered."""
Line = MutableMapping[str, Any]


def configure(level: str, format: Literal["json", "console"], facts: Facts, stream: TextIO = sys.stderr) -> None:
    """Send all logging of this process through the pipeline, from `level` on, to `stream`."""
    structlog = _structlog()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                _adder(facts),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _redact,
                _json if format == "json" else _console,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Its warnings are what strangers send; what goes wrong with a good request is logged at our own door.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it tells of each URL that it asks, with its query


def _structlog() -> ModuleType:
    """structlog imports rich wherever that is installed: 0.1 s and 10 MB that a server has no use for."""
    hidden = "rich" not in sys.modules
    if hidden:
        sys.modules["rich"] = None  # type: ignore[assignment]  # None is how an import is refused (import system §5.3.1)
    try:
        import structlog
    finally:
        if hidden:
            del sys.modules["rich"]
    return structlog


def _adder(facts: Facts) -> Callable[[Any, str, Line], Line]:
    def add(logger: Any, method: str, line: Line) -> Line:
        for name, value in facts().items():
            line.setdefault(name, value)
        return line

    return add


def _redact(logger: Any, method: str, line: Line) -> Line:
    return {name: redacted_member(name, value) for name, value in line.items()}


def _json(logger: Any, method: str, line: Line) -> str:
    return msgspec.json.encode(line).decode()


def _console(logger: Any, method: str, line: Line) -> str:
    """Time, level, what happened, and the rest as `name=value`; an exception below it."""
    trace = line.pop("exception", "")
    first = [line.pop("timestamp", ""), f"{line.pop('level', ''):7}", line.pop("event", "")]
    line.pop("logger", None)
    rest = [f"{name}={value}" for name, value in line.items()]
    text = CONTROL.sub(_escaped, " ".join(filter(None, [*first, *rest])))
    # A traceback has lines; what stands in them is still not for the terminal to obey.
    return "\n".join([text, *(CONTROL.sub(_escaped, line) for line in trace.splitlines())])


def _escaped(found: re.Match[str]) -> str:
    """A value from outside must not begin a line of its own, nor move the cursor."""
    return found.group().encode("unicode_escape").decode("ascii")
