"""For those who run it: is the process alive, and can it serve?"""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.routing import Route

from watchword_server.web.asgi import Answer, json_answer
from watchword_server.web.front import Front


def routes(front: Front) -> list[Route]:
    """They stand at the root, whatever the issuer's path."""
    return [Route("/healthz", _alive), Route("/readyz", partial(_ready, front))]


async def _alive(request: Request) -> Answer:
    return json_answer({"status": "alive"})


async def _ready(front: Front, request: Request) -> Answer:
    ailment = "stopping" if front.stopping.is_set() else await front.ailment()
    if ailment is not None:
        return json_answer({"status": "not ready", "reason": ailment}, status=503)
    without = front.without()
    return json_answer({"status": "ready"} | ({"without": without} if without else {}))
