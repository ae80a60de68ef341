"""Where and with what a run was made. Nothing here names a path, a user or a host."""

from __future__ import annotations

import os
import platform
import statistics
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.backends.openssl.backend import backend

LIBRARIES: Final = (
    "watchword",
    "watchword-server",
    "cryptography",
    "msgspec",
    "httpx2",
    "uvicorn",
    "uvloop",
    "httptools",
    "starlette",
    "sqlalchemy",
    "pyjwt",
    "joserfc",
    "python-jose",
    "authlib",
    "jwcrypto",
)


class Machine(msgspec.Struct, frozen=True):
    """What the figures depend on beside the code."""

    cpu: str
    cores: int
    memory_gib: float
    kernel: str
    python: str
    openssl: str
    libraries: Mapping[str, str]


class Moment(msgspec.Struct, frozen=True):
    """The state of the machine at one time: load average of a minute, and CPU ticks in all and stolen by its host.

    `yardstick` is how many CPU milliseconds a fixed piece of work takes (`sum(range(100_000))`): on a machine whose
    cores are shared, it doubles when the others are busy, and every absolute figure with it.
    """

    at: str
    load: float
    yardstick: float
    ticks: int
    stolen: int


def describe() -> Machine:
    """This machine and what is installed."""
    optimised = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    return Machine(
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        kernel=f"{platform.system()} {platform.release().split('-')[0]}",
        python=f"{platform.python_implementation()} {platform.python_version()}"
        f" ({'built with' if optimised else 'built without'} profile-guided optimisation)",
        openssl=backend.openssl_version_text(),
        libraries=dict(_versions()),
    )


def now() -> Moment:
    """This moment."""
    ticks = [int(field) for field in Path("/proc/stat").read_text("ascii").splitlines()[0].split()[1:9]]
    return Moment(
        at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        load=round(os.getloadavg()[0], 2),
        yardstick=round(statistics.median(_yardstick() for _ in range(50)), 3),
        ticks=sum(ticks),
        stolen=ticks[7],
    )


def stolen_share(began: Moment, ended: Moment) -> float:
    """The share of all CPU time that the host gave to others."""
    return (ended.stolen - began.stolen) / max(ended.ticks - began.ticks, 1)


def _versions() -> Iterator[tuple[str, str]]:
    for name in LIBRARIES:
        with suppress(metadata.PackageNotFoundError):  # a peer that is not there is not measured either
            yield name, metadata.version(name)


def _yardstick() -> float:
    began = time.thread_time_ns()
    sum(range(100_000))
    return (time.thread_time_ns() - began) / 1e6


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
