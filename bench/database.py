"""A PostgreSQL of the benchmark's own, durable, on the core of the load: the one that the tests start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from bench import processes
from bench.result import Unmeasured


@contextmanager
def running(settings: Mapping[str, str] | None = None) -> Iterator[Any]:
    """Until the end of the block. Unmeasured where it cannot be had."""
    try:
        with processes.on_core(processes.LOAD_CORE):
            serving = import_module("tests.servers.postgres").server(settings)
            postgres = serving.__enter__()
    except AssertionError as error:
        raise Unmeasured(str(error)) from error
    try:
        yield postgres
    finally:
        serving.__exit__(None, None, None)
