"""Revokes what it reads, beside a running issuer: `KIND ID` a line on standard input, the new `seq` a line back.

An operator's process of its own, as the command line is, without its start at every line.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from watchword.log import Entry
from watchword_server.flows import revoking
from watchword_server.flows.administration import Operator
from watchword_server.flows.issuer import Caller, Issuer
from watchword_server.main import load_settings, open_issuer

ACTS: dict[str, Callable[[Issuer, Operator, str, int], Awaitable[Sequence[Entry]]]] = {
    "user": revoking.user,
    "client": revoking.client,
    "session": revoking.session,
    "grant": revoking.grant,
    "token": revoking.token,
}


async def main(config: Path) -> None:
    """Until standard input ends."""
    by = Operator("story", Caller())
    async with open_issuer(load_settings(config, {})) as issuer:
        while line := await asyncio.to_thread(sys.stdin.readline):
            kind, name = line.split()
            (entry,) = await ACTS[kind](issuer, by, name, int(time.time()))
            print(entry.seq, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
