"""The dynamic plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tests.stories.oidf import faults
from tests.stories.oidf.case import PRIVATE_KEY, Variant
from tests.stories.oidf.conditions import pages
from tests.stories.oidf.conditions.discovery import WELL_KNOWN
from tests.stories.oidf.faults import GONE, KID
from tests.stories.oidf.module import (
    ANSWERED,
    BAD_GRANT,
    DISCOVERY,
    FLOW,
    REFRESH,
    REGISTERED,
    SERVER,
    TOKENS,
    End,
    Module,
    Plan,
    row,
)
from tests.stories.oidf.plan_basic import BAD_METADATA, NO_NAME, NO_NONE, OBJECT, REGISTRATION_REFUSED, SIGNED, UNSIGNED
from tests.stories.oidf.runs import assertions, basic, dynamic, refresh, requests
from tests.stories.oidf.tokens import public
from tests.stories.oidf.wire import Fault

REFRESHED: Final = REFRESH - BAD_GRANT | {"CheckTokenEndpointReturnedJsonContentType"}
USERINFO_JWT: Final = {
    "CheckDiscEndpointUserinfoSigningAlgValuesSupportedContainsRS256",
    "EnsureContentTypeApplicationJwt",
    "ValidateUserInfoResponseSignature",
    "ValidateUserInfoSigningAlgIsRS256",
    "ValidateSignedUserInfoResponseStandardJWTClaims",
    "EnsureUserInfoDoesNotContainNonce",
}
ROTATED: Final = {
    "ParseUsableJwksKeys",
    "WarnOnUnusableJwksKeys",
    "VerifyNewJwksHasNewSigningKey",
    "VerifyNewJwksStillHasOldSigningKey",
}
PAGE: Final = REGISTERED | {"ExpectRedirectUriErrorPage"}
NO_IMPLICIT: Final = {
    "OIDCCCheckDiscEndpointResponseTypesSupportedDynamic",
    "OIDCCCheckDiscEndpointGrantTypesSupportedDynamic",
}
LOGIN: Final = REGISTERED | ANSWERED | TOKENS
BY_REFERENCE: Final = "BuildRequestObjectByReferenceRedirectToAuthorizationEndpoint"
BY_SECRET: Final = {"EnsureServerConfigurationSupportsClientSecretBasic"}
BY_KEY: Final = {"EnsureServerConfigurationSupportsPrivateKeyJwt"}
NO_CREDENTIALS: Final = "VerifyDynamicRegistrationResponseClientCredentials"
ISSUER: Final = "CheckDiscEndpointIssuer"

# fmt: off
MODULES: Final[dict[str, Module]] = {
    "oidcc-idtoken-rs256": row(
        dynamic.idtoken_rs256, FLOW | {SIGNED, "CheckIdTokenSignatureAlgorithm"},
        faults.claim("ValidateIdToken", "aud", "another-client"),
    ),
    "oidcc-idtoken-unsigned": row(
        dynamic.idtoken_unsigned, SERVER | BAD_METADATA | {NO_NONE},
        faults.status("EnsureHttpStatusCodeIs400", "/register", 201, only=400),
        ends=End.REGISTRATION, refuses="ID tokens that nobody signed",
    ),
    "oidcc-userinfo-rs256": row(
        dynamic.userinfo_rs256, FLOW | USERINFO_JWT,
        faults.registers("EnsureContentTypeApplicationJwt", "userinfo_signed_response_alg", GONE),
    ),
    "oidcc-ensure-redirect-uri-in-authorization-request": row(
        dynamic.redirect_uri_missing,
        REGISTERED | {"ExpectRedirectUriMissingErrorPage", "AuthorizationEndpointRedirectedBackUnexpectedly"},
        faults.sent_away("AuthorizationEndpointRedirectedBackUnexpectedly", "/authorize", only=400), ends=End.PAGE,
    ),
    "oidcc-redirect-uri-query-OK": row(
        dynamic.redirect_uri_query, FLOW | {"CheckMatchingCallbackParameters"},
        faults.parameter("CheckMatchingCallbackParameters", "dummy1", GONE),
    ),
    "oidcc-redirect-uri-query-mismatch": row(
        dynamic.bad_query(
            "?foo=bar", "?foo=baz", "AddQueryToRedirectUri", "ReplaceRedirectUriQueryInAuthorizationRequest"
        ),
        PAGE, faults.sent_away("ExpectRedirectUriErrorPage", "/authorize", only=400), ends=End.PAGE,
    ),
    "oidcc-redirect-uri-query-added": row(
        dynamic.bad_query("", "?foo=bar", "AddQueryToRedirectUriInAuthorizationRequest"),
        PAGE, faults.status("ExpectRedirectUriErrorPage", "/authorize", 500, only=400), ends=End.PAGE,
    ),
    "oidcc-redirect-uri-regfrag": row(
        dynamic.redirect_uri_fragment,
        SERVER | REGISTRATION_REFUSED
        | {"CheckErrorFromDynamicRegistrationEndpointIsInvalidRedirectUriOrInvalidClientMetadata"},
        faults.header("EnsureContentTypeJson", "/register", "content-type", "text/html", only=400),
        ends=End.REGISTRATION,
    ),
    "oidcc-discovery-endpoint-verification": row(
        dynamic.discovery_verification, DISCOVERY | REGISTERED | NO_IMPLICIT,
        faults.member(ISSUER, WELL_KNOWN, "issuer", "https://other.example"), ends=End.METADATA,
        refuses="the response types `id_token` and `id_token token`, and the implicit grant",
    ),
    "oidcc-server": row(
        basic.server, FLOW | NO_NAME | {"EnsureIdTokenDoesNotContainNonRequestedClaims"},
        faults.parameter("EnsureMinimumAuthorizationCodeLength", "code", "short"),
    ),
    "oidcc-registration-logo-uri": row(
        dynamic.logo_uri, LOGIN | {"ExpectLoginPageWithLogo"},
        faults.registers("ExpectLoginPageWithLogo", "logo_uri", GONE),
    ),
    "oidcc-registration-policy-uri": row(
        dynamic.linked(
            "policy_uri", pages.links_the_policy, "CreatePolicyUri", "AddPolicyUriToDynamicRegistrationRequest"
        ),
        LOGIN | {"ExpectLoginPageWithPolicyLink"},
        faults.registers("ExpectLoginPageWithPolicyLink", "policy_uri", GONE),
    ),
    "oidcc-registration-tos-uri": row(
        dynamic.linked("tos_uri", pages.links_the_terms, "CreateTosUri", "AddTosUriToDynamicRegistrationRequest"),
        LOGIN | {"ExpectLoginPageWithTosLink"},
        faults.registers("ExpectLoginPageWithTosLink", "tos_uri", GONE),
    ),
    "oidcc-registration-jwks-uri": row(
        dynamic.jwks_uri, FLOW | {"AddJwksUriToDynamicRegistrationRequest"},
        faults.status("EnsureHttpStatusCodeIs201", "/register", 400, only=201),
    ),
    "oidcc-registration-sector-uri": row(
        dynamic.sector_uri, FLOW,
        faults.member(NO_CREDENTIALS, "/register", "client_id", GONE),
    ),
    "oidcc-registration-sector-bad": row(
        dynamic.sector_bad, SERVER | BAD_METADATA,
        faults.registers("EnsureHttpStatusCodeIs400", "sector_identifier_uri", GONE), ends=End.REGISTRATION,
    ),
    "oidcc-server-rotate-keys": row(
        dynamic.rotate_keys, SERVER | ROTATED,
        faults.keys("VerifyNewJwksHasNewSigningKey", lambda keys: [public(KID)]), ends=End.METADATA,
    ),
    "oidcc-refresh-token-rp-key-rotation": row(
        # Where a fault is planted nobody waits, so this is a server that did not look for the new key.
        assertions.key_rotation, FLOW | REFRESHED, Fault("CheckTokenEndpointHttpStatus200"), waits=assertions.DELAY,
    ),
    "oidcc-request-uri-unsigned": row(
        requests.unsigned_by_reference, UNSIGNED | {"CheckDiscEndpointRequestUriParameterSupported"},
        faults.parameter("RejectAuthCodeInAuthorizationEndpointResponse", "code", "a-code"),
        ends=End.ERROR, refuses="request objects that nobody signed",
    ),
    "oidcc-request-uri-signed-rs256": row(
        requests.signed_by_reference,
        FLOW | {
            BY_REFERENCE, "CheckDiscEndpointRequestUriParameterSupported",
            "CheckDiscEndpointRequestObjectSigningAlgValuesSupportedContainsRS256",
        },
        faults.registers(BY_REFERENCE, "request_uris", GONE),
    ),
    "oidcc-ensure-request-object-with-redirect-uri": row(
        requests.with_redirect_uri, OBJECT,
        faults.sent_away("EnsureOPDoesNotUseDefaultRedirectUriInCaseOfInvalidRedirectUri", "/authorize", only=400),
    ),
    "oidcc-refresh-token": row(
        refresh.refresh_token, FLOW | REFRESH,
        faults.header("CheckTokenEndpointCacheHeaders", "/token", "cache-control", "max-age=60"),
    ),
    "oidcc-ensure-client-assertion-with-iss-aud-succeeds": row(
        basic.with_request("CreateTokenEndpointRequestForAuthorizationCodeGrant"), FLOW,
        faults.asked("CheckTokenEndpointHttpStatus200", "/token", "client_assertion", "no.assertion."),
    ),
}
# fmt: on


def by_key(module: Module) -> Module:
    """The same module by `private_key_jwt`."""
    return replace(module, asserts=module.asserts - BY_SECRET | BY_KEY)


DYNAMIC: Final = Plan(
    "oidcc-dynamic-certification-test-plan",
    "Dynamic",
    Variant(auth_method=PRIVATE_KEY),
    {name: by_key(module) for name, module in MODULES.items()},
    ", with `private_key_jwt`",
)
