"""Where sheets, icons and the script stand."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.routing import Route

from watchword_server.web.asgi import Answer
from watchword_server.web.pages.rendering import Pages
from watchword_server.web.refusals import NotFound


def routes(pages: Pages, path: str) -> list[Route]:
    """The assets, under the path of the issuer's URL."""
    return [Route(f"{path}/assets/{{name}}", partial(_asset, pages))]


async def _asset(pages: Pages, request: Request) -> Answer:
    answer = pages.asset(request.path_params["name"])
    if answer is None:
        raise NotFound("there is nothing here")
    return answer
