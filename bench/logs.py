"""Revocation logs as an issuer writes them, made in memory: of any length, signed, and hitting no token.

`python -m bench.logs COUNT FILE` writes a signed snapshot and, beside it as JSON, the key set that it verifies with.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from bench import tokens
from watchword.jose import jws
from watchword.jose.b64 import b64url
from watchword.jose.jwk import SigningKey
from watchword.log import Entry, Kind, Snapshot, genesis, seal, type_of

KINDS: Final[tuple[Kind, ...]] = ("token", "grant", "session", "subject", "client")
"""What people and programs cause."""
LOG: Final = "bench"
LIFETIME: Final = 900
"""Seconds: entries are forgotten one after the other within this time, as they came."""


def snapshot(count: int, kinds: Sequence[Kind] = KINDS) -> Snapshot:
    """A log of so many entries, the kinds in turn, each with a random id."""
    now = int(time.time())
    entries = tuple(
        Entry(seq, kind, tokens.name(), now + LIFETIME + LIFETIME * seq // count)
        for seq, kind in enumerate(islice(cycle(kinds), count), 1)
    )
    return Snapshot(tokens.ISSUER, LOG, count, b64url(genesis(LOG)), now * 1000, entries)


def main() -> int:
    """Write one to a file: in a process of its own, since the reader's memory is what is measured."""
    count, file = int(sys.argv[1]), Path(sys.argv[2])
    key = SigningKey.generate("ES256")
    text = seal(snapshot(count), jws.signer(key, type_of(Snapshot)))
    file.write_text(text, "ascii")
    file.with_suffix(".json").write_text(json.dumps({"keys": [key.public_jwk()]}), "ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
