"""The modules about clients that authenticate by an assertion (RFC 7523), which is refused."""

from __future__ import annotations

import time
from typing import Final

from tests.stories.oidf import tokens
from tests.stories.oidf.case import Case, Client
from tests.stories.oidf.conditions import registration, token
from tests.stories.oidf.judge import condition, must
from tests.stories.oidf.tokens import Claims
from tests.stories.oidf.wire import Got

KEY: Final = "assertions"
ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@condition("EnsureServerConfigurationSupportsPrivateKeyJwt")
def takes_no_assertions(metadata: Claims, got: Got) -> None:
    """Not advertised, and not registered."""
    must(
        "private_key_jwt" not in metadata.get("token_endpoint_auth_methods_supported", ()), "it says that it takes them"
    )
    must(got.status == 400 and got.document.get("error") == "invalid_client_metadata", f"it registers it: {got.text}")


def client_assertion(case: Case) -> None:
    """A client cannot register to authenticate by an assertion, and one that tries is refused as a client."""
    client = case.start()
    keys = {"keys": [tokens.public(KEY)]}
    wanted = case.wanted(token_endpoint_auth_method="private_key_jwt", jwks=keys)
    takes_no_assertions(case.judge, case.metadata, case.apply(wanted))
    asked = case.request(client)
    answer = case.granted(case.authorize(asked), asked, client.redirect_uri)
    case.judge.did("CreateTokenEndpointRequestForAuthorizationCodeGrant")
    case.judge.did("UpdateClientAuthenticationAssertionClaimsWithISSAud", "CallTokenEndpointAndReturnFullResponse")
    got = case.wire.post(str(case.metadata["token_endpoint"]), asserted(case, client, answer["code"]))
    token.is_refused_as_a_client(case.judge, got)
    token.is_about_the_client(case.judge, got)
    token.refused(case.judge, got)


def asserted(case: Case, client: Client, code: str) -> dict[str, str]:
    """A token request with an assertion (RFC 7523 §2.2)."""
    now = int(time.time())
    claims = {
        "iss": client.client_id,
        "sub": client.client_id,
        "aud": case.issuer,
        "jti": case.name,
        "iat": now,
        "exp": now + 60,
    }
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": client.redirect_uri,
        "client_id": client.client_id,
        "client_assertion_type": ASSERTION,
        "client_assertion": tokens.signed(claims, KEY),
    }


def key_rotation(case: Case) -> None:
    """The keys that would be rotated are those of client assertions: a client that would authenticate by them at every
    refresh is not registered.
    """
    case.discover()
    uri = f"{case.listener.origin}/{case.name}/jwks.json"
    wanted = case.wanted(
        token_endpoint_auth_method="private_key_jwt",
        jwks_uri=uri,
        grant_types=["authorization_code", "refresh_token"],
    )
    got = case.apply(wanted)
    registration.is_json(case.judge, got)
    registration.is_refused(case.judge, got)
    registration.is_about_metadata(case.judge, got)
    takes_no_assertions(case.judge, case.metadata, got)
