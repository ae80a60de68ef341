"""What verifiers say of themselves: who they are, and how far they have applied the log (docs/feed.md)."""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec

from watchword_server.flows.leases import Tenant, Verifier
from watchword_server.protocol.client_authentication import authenticated_api, presented
from watchword_server.protocol.errors import InvalidRequest
from watchword_server.protocol.values import Api
from watchword_server.web.asgi import Answer, App, Receive, Scope, Send
from watchword_server.web.bodies import json_body, must_have_no_query, single
from watchword_server.web.front import Front
from watchword_server.web.refusals import CredentialsMissing, WrongMethod

LONGEST_IGNORANCE: Final = 24 * 3600
"""Seconds: the longest `refuse_after` that anybody waits for."""
ID: Final = r"[A-Za-z0-9_-]{22}"
HEADER: Final = re.compile(rf'({ID}); name="([ !#-\[\]-~]{{1,64}})"; refuse-after=([1-9][0-9]{{0,4}})')
"""Printable ASCII without what a quoted string escapes: a name goes to logs and terminals."""

_TAKEN: Final = Answer(204)


class Acknowledgement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `POST /revocations/ack` takes."""

    verifier: Annotated[str, msgspec.Meta(pattern=rf"\A{ID}\Z")]
    log: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z")]
    seq: Annotated[int, msgspec.Meta(ge=0, lt=2**53)]


def acknowledgement(front: Front) -> App:
    """`POST /revocations/ack`. Plain ASGI: a thousand verifiers may send a thousand a second."""

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            raise WrongMethod("POST")
        must_have_no_query(scope)
        api = await api_of(front, scope)
        if api is None:
            raise CredentialsMissing("an acknowledgement comes with an API's credentials")
        said = await json_body(scope, receive, Acknowledgement)
        await front.issuer.register.acknowledge(api.audience, said.verifier, said.log, said.seq)
        await _TAKEN(scope, receive, send)

    return endpoint


async def api_of(front: Front, scope: Scope) -> Api | None:
    """The API whose credentials came; None where none came. Those that came must be good."""
    authorization = single(scope, b"authorization")
    if authorization is None:
        return None
    given = presented(authorization, {})
    return authenticated_api(await front.issuer.stores.apis.of(given.client_id), given)


async def tenant(front: Front, scope: Scope, api: Api | None, log: str, seq: int | None) -> Tenant | None:
    """Who asks for messages, on record before any is sent; None for who does not say, or has no credentials."""
    said = single(scope, b"watchword-verifier")
    if said is None or api is None:
        return None
    return await front.issuer.register.hold(api.audience, described(said), log if seq is not None else "", seq or 0)


def described(header: str) -> Verifier:
    """Read the header `Watchword-Verifier`. Raises InvalidRequest."""
    found = HEADER.fullmatch(header)
    if found is None:
        raise InvalidRequest("the header watchword-verifier is malformed")
    id, name, refuse_after = found.groups()
    if int(refuse_after) > LONGEST_IGNORANCE:
        raise InvalidRequest(f"refuse-after is at most {LONGEST_IGNORANCE} seconds")
    return Verifier(id, name, int(refuse_after))
