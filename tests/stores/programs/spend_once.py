"""Spends the values that come on standard input, a line each, by many tasks at once; answers each with how many won.

A task that could not be answered is counted apart: `1 0` is one winner and none in doubt.
"""

from __future__ import annotations

import asyncio
import os
import sys

from tests.stores.databases import Database
from tests.stores.spenders import spender
from watchword_server.ports import Unavailable

ADAPTER, WHERE, WAY, URL, ISSUER, BOUND, UNTIL, TASKS = sys.argv[1:]


async def main() -> None:
    async with spender(WAY, Database(ADAPTER, WHERE), URL, ISSUER, float(BOUND)) as spent:
        os.write(1, b"ready\n")
        while value := (await asyncio.to_thread(sys.stdin.readline)).strip():
            racers = [spent.spend("proof", value, int(UNTIL)) for _ in range(int(TASKS))]
            answers = await asyncio.gather(*racers, return_exceptions=True)
            won, doubted = answers.count(True), sum(isinstance(answer, Unavailable) for answer in answers)
            assert won + doubted + answers.count(False) == len(racers), answers
            os.write(1, f"{won} {doubted}\n".encode())


asyncio.run(main())
