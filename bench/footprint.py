"""What one more cached token and one more revocation entry hold in memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from bench import logs, tokens
from bench.effort import Effort
from bench.progress import say
from bench.result import Figure, Section
from watchword import Verifier
from watchword.jose.jwk import SigningKey
from watchword.log import Kind, Snapshot
from watchword.revocations import RevocationSet

TOKENS: Final = 10_000
"""A full generation of a Verifier's cache."""
ENTRIES: Final = 10_000
KINDS: Final[tuple[Kind, ...]] = (*logs.KINDS, "key")
ALG: Final = "ES256"


def measure(effort: Effort) -> Section:
    """Exact: every allocation that is still held afterwards, over the number of what was put in."""
    say(f"footprint: {TOKENS:,} tokens of each kind, {ENTRIES:,} entries of each")
    key = SigningKey.generate(ALG)
    sets = {"a program's": tokens.program_tokens(key, TOKENS), "a person's": tokens.person_tokens(key, TOKENS)}
    rows = [_token_row(name, key, made) for name, made in sets.items()]
    rows += [(f"revocation entry, {kind}", *_entry_row(kind)) for kind in KINDS]
    return Section(
        "Memory",
        [Figure(f"memory: one more {what}", held, "bytes") for what, held, _ in rows],
        [("one more", "bytes in all", "of these, text")]
        + [(what, f"{held:,.0f}", f"{text:,.0f}") for what, held, text in rows],
        [
            "Bytes that Python has allocated and still holds (`tracemalloc`), over the number of tokens or entries.",
            "What the allocator keeps besides is in the resident memory under “Membership”.",
            f"Cached token: {TOKENS:,} of them in one Verifier, {ALG}, with their Principals and claims as signed.",
            "Its text is the caller's string, which the cache keeps alive.",
            f"Entry: {ENTRIES:,} in one set, decoded as they come off the wire; text is the id, of 22 characters.",
            "A `dict` grows by doubling, so the share of an entry in it swings by some 50 bytes with the number.",
        ],
    )


def _token_row(name: str, key: SigningKey, made: Sequence[bytes]) -> tuple[str, float, float]:
    verifier = Verifier(issuer=tokens.ISSUER, audience=tokens.AUDIENCE, jwks={"keys": [key.public_jwk()]})
    verifier.verify_sync(tokens.program_tokens(key, 1)[0].decode())  # what comes once and stays

    def fill() -> object:
        for token in made:
            verifier.verify_sync(token.decode())
        return verifier

    return f"cached token, {name}", _held(fill) / len(made), sum(len(token) + 49 for token in made) / len(made)


def _entry_row(kind: Kind) -> tuple[float, float]:
    text = msgspec.json.encode(logs.snapshot(ENTRIES, (kind,)))

    def fill() -> object:
        known = RevocationSet()
        known.apply(msgspec.json.decode(text, type=Snapshot))
        return known

    return _held(fill) / ENTRIES, 22 + 49


def _held(fill: Callable[[], object]) -> int:
    """Bytes that are held by what a function returns, and by what it did."""
    gc.collect()
    tracemalloc.start()
    try:
        result = fill()
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
        del result
    finally:
        tracemalloc.stop()
    return held
