"""Those who came at the same time do the same things together; who is alone goes on."""

from __future__ import annotations

import asyncio

from watchword_server.flows.abreast import abreast


async def test_nobody_signs_before_everybody_has_read() -> None:
    """And nobody writes before everybody has signed, in the order in which they came."""
    done: list[str] = []

    async def story(name: str) -> None:
        for step in ("reads", "signs", "writes"):
            done.append(f"{name} {step}")
            await abreast()

    await asyncio.gather(story("a"), story("b"), story("c"))
    assert done == [f"{name} {step}" for step in ("reads", "signs", "writes") for name in "abc"]


async def test_who_is_alone_waits_for_nobody() -> None:
    """Those who wait for something else are not waited for."""
    waits = asyncio.create_task(asyncio.Event().wait())
    await asyncio.wait_for(abreast(), 1)
    waits.cancel()
