"""The module about the keys of client assertions (RFC 7523), which change while a client has a refresh token."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final

from tests.servers.loopback import until
from tests.stories.oidf import tokens
from tests.stories.oidf.case import KEY, Case, Client
from tests.stories.oidf.conditions import token
from tests.stories.oidf.runs import refresh
from tests.stories.oidf.wire import NONE

NEXT: Final = "authentication-next"
DELAY: Final = 10
"""Seconds after which the server looks again for a key that it does not know."""
MOST: Final = 60
"""Seconds that the suite waits for that."""


def publish(case: Case, *names: str) -> str:
    """Where the relying party's keys lie."""
    keys = json.dumps({"keys": [tokens.public(name) for name in names]}).encode()
    return case.listener.publish(f"/{case.name}/jwks.json", "application/json", keys)


def key_rotation(case: Case) -> None:
    """A refresh token that was got by one key is good by the next."""
    case.discover()
    token.says_that_it_refreshes(case.judge, case.metadata)
    case.judge.did("CreateJwksUri", "GenerateRS256ClientJWKsWithKeyID", "AddJwksUriToDynamicRegistrationRequest")
    uri = publish(case, KEY)
    client = case.register(jwks_uri=uri, grant_types=["authorization_code", "refresh_token"])
    case.judge.did("AddRefreshTokenGrantTypeToDynamicRegistrationRequest", "WaitForOneSecond")
    known(case, client)
    signed = refresh.offline(case, client)
    publish(case, NEXT)
    client = replace(client, key=NEXT)
    case.judge.did("WaitForJWKSRefreshDelay")
    if case.wire.fault is NONE:
        known(case, client)
    refresh.refreshed(case, client, signed, str(signed.tokens.document["refresh_token"]))


def known(case: Case, client: Client) -> None:
    """Wait until the server has read the client's key: on a slow machine it says no until it has, as on any other."""
    until(lambda: is_known(case, client), MOST, 1)


def is_known(case: Case, client: Client) -> bool:
    """Whether the server takes the client's assertions; where nothing comes of it."""
    url = str(case.metadata["revocation_endpoint"])
    return case.wire.post(url, {"token": "nothing", **case.asserted(client)}).status == 200
