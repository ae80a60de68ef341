"""Agents: clients that exchange the tokens of others for their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.server.flows.house import AUDIENCE, BY, NOW, OTHER_AUDIENCE, SCOPES, House, Program
from watchword_server.flows import clients
from watchword_server.flows.minting import Tokens
from watchword_server.protocol.grants.token_exchange import ACCESS_TOKEN, GRANT_TYPE
from watchword_server.protocol.values import ClientMetadata

ACCESS: Final[Mapping[str, tuple[str, ...]]] = {AUDIENCE: SCOPES, OTHER_AUDIENCE: ("stock",)}


async def agent(
    house: House,
    *acts_for: str,
    name: str = "Agent",
    access: Mapping[str, Sequence[str]] | None = None,
    grants: Sequence[str] = (),
    redirect_uri: str = "",
    **metadata: Any,
) -> Program:
    """A client that may exchange tokens of these clients."""
    new = clients.NewClient(
        name=name,
        kind="confidential",
        grant_types=frozenset({GRANT_TYPE, *grants}),
        access={audience: tuple(scopes) for audience, scopes in (access or ACCESS).items()},
        redirect_uris=(redirect_uri,) if redirect_uri else (),
        metadata=ClientMetadata(acts_for=acts_for, **metadata),
    )
    client, secret = await clients.add(house.issuer, BY, new, NOW)
    return Program(client.client_id, secret)


def form(token: str, **more: str) -> dict[str, str]:
    """A request for an exchange."""
    return {"grant_type": GRANT_TYPE, "subject_token": token, "subject_token_type": ACCESS_TOKEN, **more}


async def exchanged(house: House, by: Program, token: str, now: int = NOW, **more: str) -> Tokens:
    """`POST /token` with somebody's access token."""
    return await house.ask(by, form(token, **more), now)
