"""Ids of sessions, grants and tokens."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, repeat

from tests.server.flows.house import House


async def test_an_id_never_begins_with_a_dash(house: House) -> None:
    """A command line would take it for an option."""
    draws = chain([b"\xf8" + bytes(15), b"\xfb" + bytes(15)], repeat(b"\x01" * 16))
    issuer = replace(house.issuer, random=lambda size: next(draws)[:size])
    assert issuer.identifier() == "AQEBAQEBAQEBAQEBAQEBAQ"
