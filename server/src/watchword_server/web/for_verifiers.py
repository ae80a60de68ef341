"""`GET /clients/{client_id}/document`: what an API is told of a client that signs its own tokens."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.routing import Route

from watchword_server.flows.for_verifiers import sheet
from watchword_server.web.asgi import Answer, json_answer
from watchword_server.web.bodies import must_have_no_query
from watchword_server.web.front import Front
from watchword_server.web.refusals import CredentialsMissing, NotFound
from watchword_server.web.verifiers import api_of


def routes(front: Front) -> list[Route]:
    """For APIs with their credentials."""
    return [Route(f"{front.path}/clients/{{client_id}}/document", partial(_document, front), methods=["GET"])]


async def _document(front: Front, request: Request) -> Answer:
    must_have_no_query(request.scope)
    api = await api_of(front, request.scope)
    if api is None:
        raise CredentialsMissing("the document of a client is read with an API's credentials")
    found = await sheet(front.issuer, api, request.path_params["client_id"], front.now())
    if found is None:
        raise NotFound("no client of this name signs tokens for this API")
    return json_answer(found)
