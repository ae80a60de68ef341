"""Those who came at the same time sign together; who is alone goes on."""

from __future__ import annotations

import asyncio

from watchword_server.flows.abreast import sign_abreast


async def test_nobody_signs_before_everybody_has_read_and_nobody_writes_before_everybody_has_signed() -> None:
    """In the order in which they came, and each gets what was signed for them."""
    done: list[str] = []

    async def story(name: str) -> None:
        def sign(payload: bytes) -> str:
            done.append(f"{name} signs")
            return f"{payload.decode()} signed"

        done.append(f"{name} reads")
        assert await sign_abreast(sign, name.encode()) == f"{name} signed"
        done.append(f"{name} writes")

    await asyncio.gather(*map(story, "abc"))
    assert done == [f"{name} {step}" for step in ("reads", "signs", "writes") for name in "abc"]


async def test_who_is_alone_waits_for_nobody() -> None:
    """Those who wait for something else are not waited for."""
    waits = asyncio.create_task(asyncio.Event().wait())
    assert await asyncio.wait_for(sign_abreast(bytes.decode, b"text"), 1) == "text"
    waits.cancel()
