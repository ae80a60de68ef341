"""The modules about refresh tokens (OpenID Connect Core §11 and §12)."""

from __future__ import annotations

from tests.stories.oidf import tokens
from tests.stories.oidf.case import Case, Client, Signed
from tests.stories.oidf.conditions import id_token, token
from tests.stories.oidf.wire import Got

SCOPE = "openid offline_access"


def refresh_token(case: Case) -> None:
    """It works for who got it, and for nobody else."""
    case.discover()
    token.says_that_it_refreshes(case.judge, case.metadata)
    client, other = refreshes(case), refreshes(case)
    signed = offline(case, client)
    refresh = str(signed.tokens.document["refresh_token"])
    case.judge.did("WaitForOneSecond")
    case.pause(1)
    again = refreshed(case, client, signed, refresh)
    stolen = str(again.document.get("refresh_token", refresh))
    got = case.token(other, grant_type="refresh_token", refresh_token=stolen, scope=SCOPE)
    token.is_refused(case.judge, got)
    token.is_about_the_grant(case.judge, got)
    token.refused(case.judge, got)


def refreshes(case: Case) -> Client:
    """A client that may."""
    case.judge.did("AddRefreshTokenGrantTypeToDynamicRegistrationRequest")
    return case.register(grant_types=["authorization_code", "refresh_token"])


def offline(case: Case, client: Client) -> Signed:
    """A flow that brings a refresh token."""
    case.judge.did(
        "SetScopeInClientConfigurationToOpenId",
        "SetScopeInClientConfigurationToOpenIdOfflineAccess",
        "SetScopeInClientConfigurationToOpenIdOfflineAccessIfServerSupportsOfflineAccess",
        "AddPromptConsentToAuthorizationEndpointRequestIfScopeContainsOfflineAccess",
        "ExtractRefreshTokenFromTokenResponse",
    )
    signed = case.flow(client, scope=SCOPE, prompt="consent")
    case.person_of(case.userinfo(signed.access_token), signed)
    strong(case, signed.tokens)
    return signed


def strong(case: Case, got: Got) -> None:
    """What is asked of every refresh token."""
    for asks in (token.refresh_is_printable, token.refresh_is_long, token.refresh_is_random):
        asks(case.judge, got.document)


def refreshed(case: Case, client: Client, before: Signed, refresh: str) -> Got:
    """New tokens, and all that is asked of them."""
    case.judge.did("CreateRefreshTokenRequest", "AddScopeToTokenEndpointRequest")
    got = case.token(client, grant_type="refresh_token", refresh_token=refresh, scope=SCOPE)
    token.issued(case.judge, got)
    for asks in (
        token.is_json,
        token.is_not_kept,
        token.is_a_bearer_token,
        token.is_random,
        token.is_printable,
    ):
        asks(case.judge, got)
    token.is_another(case.judge, got, before.tokens.document)
    text = str(got.document.get("id_token", ""))
    id_token.is_signed(case.judge, text, case.jwks)
    token.tells_of_the_same(case.judge, tokens.claims(text), before.claims)
    if "refresh_token" in got.document:
        strong(case, got)
    return got
