"""The fuzzer's process: atheris (libFuzzer) tries one target, guided by the coverage of the SDK. Ends by itself."""

from __future__ import annotations

import argparse
import hashlib
import importlib
import sys
from pathlib import Path
from random import Random
from typing import Final

import atheris

from tests.fuzz.watch import Watch

HANGS_AFTER: Final = 60
"""Seconds after which libFuzzer ends the process for one input: a loop that is not Python's."""


def main() -> None:
    """Fuzz one target for so many seconds; everything it finds goes into the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("folder", type=Path)
    parser.add_argument("seconds", type=int)
    parser.add_argument("--race", action="store_true", help="seconds of processor time, or until the first finding")
    arguments = parser.parse_args()
    with atheris.instrument_imports(include=["watchword", "joserfc"]):  # what is imported in here counts its coverage
        target = importlib.import_module(f"tests.fuzz.{arguments.target}").TARGET
        watch = Watch(target, arguments.folder, arguments.seconds if arguments.race else None)
        seeds = list(target.seeds())
        for seed in seeds:
            watch.warm(seed)
    watch.limit_memory()

    def change(data: bytes, limit: int, seed: int) -> bytes:
        try:
            return bytes(target.change(data, Random(seed), lambda part: atheris.Mutate(part, limit)))[:limit]
        except Exception:  # no verdict hangs on a change; and the next hours shall not hang on this one
            watch.stumbles += 1
            return bytes(atheris.Mutate(data, limit))

    atheris.Setup(
        [sys.argv[0], *_options(arguments.folder, 0 if arguments.race else arguments.seconds, target.limit, seeds)],
        lambda data: _tried(watch, data),
        custom_mutator=change,
    )
    atheris.Fuzz()


def _tried(watch: Watch, data: bytes) -> None:
    watch.try_input(data)  # libFuzzer takes no answer but None


def _options(folder: Path, seconds: int, limit: int, seeds: list[bytes]) -> list[str]:
    corpus, given, crashes = folder / "corpus", folder / "seeds", folder / "crashes"
    for path in (corpus, given, crashes):
        path.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        (given / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    return [
        f"-max_total_time={seconds}",  # 0: without end
        f"-max_len={limit}",
        f"-timeout={HANGS_AFTER}",
        f"-artifact_prefix={crashes}/",
        "-len_control=0",
        "-reload=0",
        "-print_final_stats=1",
        str(corpus),
        str(given),
    ]


if __name__ == "__main__":
    main()
