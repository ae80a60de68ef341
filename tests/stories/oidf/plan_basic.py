"""The basic plan, and the form_post plan, which is the same by another response mode."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Final

from tests.stories.oidf import faults
from tests.stories.oidf.case import Variant
from tests.stories.oidf.conditions.discovery import WELL_KNOWN
from tests.stories.oidf.faults import GONE
from tests.stories.oidf.module import (
    BAD_GRANT,
    FLOW,
    NEEDS_A_PERSON,
    POSTED,
    REFRESH,
    REFUSED,
    REGISTERED,
    SERVER,
    End,
    Module,
    Plan,
    row,
)
from tests.stories.oidf.runs import basic, dynamic, refresh, requests

NO_NAME: Final = {"EnsureIdTokenDoesNotContainName"}
SCOPES: Final = FLOW | {"VerifyScopesReturnedInUserInfoClaims"}
NO_MORE: Final = NO_NAME | {"EnsureIdTokenDoesNotContainEmailForScopeEmail"}
TOLD_NO_NAME: Final = {"EnsureUserInfoDoesNotContainName"}
AGAIN: Final = FLOW | {"ExpectSecondLoginPage", "CheckSecondIdTokenAuthTimeIsLaterIfPresent"}
AT_ONCE: Final = FLOW | {"CheckIdTokenAuthTimeClaimsSameIfPresent", "CheckIdTokenSubConsistentForSecondAuthorization"}
MAX_AGE: Final = {"CheckIdTokenAuthTimeClaimPresentDueToMaxAge"}
REUSED: Final = FLOW | BAD_GRANT | {"ServerAllowedReusingAuthorizationCode"}
SIGNED: Final = "EnsureIdTokenContainsKid"
NO_NONE: Final = "AddIdTokenSigningAlgNoneToDynamicRegistrationRequest"
REGISTRATION_REFUSED: Final = {"EnsureContentTypeJson", "EnsureHttpStatusCodeIs400"}
BAD_METADATA: Final = REGISTRATION_REFUSED | {"CheckErrorFromDynamicRegistrationEndpointIsInvalidClientMetadata"}
UNSIGNED: Final = REFUSED | {"SerializeRequestObjectWithNullAlgorithm"}
UNSIGNED_IS_REFUSED: Final = "request objects that nobody signed"
OBJECT: Final = FLOW | {
    "CheckDiscEndpointRequestParameterSupported",
    "ExpectRedirectUriErrorPage",
    "EnsureOPDoesNotUseDefaultRedirectUriInCaseOfInvalidRedirectUri",
}
SECRET_IN_BODY: Final = "EnsureServerConfigurationSupportsClientSecretPost"
SECRET_IN_HEADER: Final = "EnsureServerConfigurationSupportsClientSecretBasic"

TICKS: Final = count(1_700_000_000)
UI_LOCALES: Final = "AddUiLocalesFromConfigurationToAuthorizationEndpointRequest"
WITH_CODE: Final = "CheckIfAuthorizationEndpointError"

# fmt: off
MODULES: Final[dict[str, Module]] = {
    "oidcc-server": row(
        basic.server, FLOW | NO_NAME | {"EnsureIdTokenDoesNotContainNonRequestedClaims"},
        faults.claim("ValidateAtHash", "at_hash", "AAAAAAAAAAAAAAAAAAAAAA"),
    ),
    "oidcc-response-type-missing": row(
        basic.response_type_missing,
        REFUSED | {"CheckErrorFromAuthorizationEndpointErrorInvalidRequestOrUnsupportedResponseType"},
        faults.replaced(
            "CheckErrorFromAuthorizationEndpointErrorInvalidRequestOrUnsupportedResponseType", "error", "server_error"
        ),
        ends=End.ERROR,
    ),
    "oidcc-idtoken-signature": row(
        basic.idtoken_signature, FLOW | {SIGNED, "EnsureIdTokenSignatureIsRS256"},
        faults.resigned("ValidateIdTokenSignature"),
    ),
    "oidcc-idtoken-unsigned": row(
        dynamic.idtoken_unsigned, SERVER | BAD_METADATA | {NO_NONE},
        faults.member(NO_NONE, WELL_KNOWN, "id_token_signing_alg_values_supported", ["RS256", "none"]),
        ends=End.REGISTRATION, refuses="ID tokens that nobody signed",
    ),
    "oidcc-userinfo-get": row(
        basic.with_request(), FLOW,
        faults.member("VerifyUserInfoAndIdTokenInTokenEndpointSameSub", "/userinfo", "sub", "somebody-else"),
    ),
    "oidcc-userinfo-post-header": row(
        basic.userinfo_post_header, FLOW, faults.status("EnsureHttpStatusCodeIs200", "/userinfo", 405),
    ),
    "oidcc-userinfo-post-body": row(
        basic.userinfo_post_body, FLOW | {"UserInfoEndpointWithAccessTokenInBodyNotSupported"},
        faults.status("UserInfoEndpointWithAccessTokenInBodyNotSupported", "/userinfo", 400),
    ),
    "oidcc-ensure-request-without-nonce-succeeds-for-code-flow": row(
        basic.with_request(nonce=None), FLOW, faults.claim("ValidateIdTokenNonce", "nonce", "made-up"),
    ),
    "oidcc-scope-profile": row(
        basic.scope("profile"), SCOPES,
        faults.member("VerifyScopesReturnedInUserInfoClaims", "/userinfo", "zoneinfo", GONE),
    ),
    "oidcc-scope-email": row(
        basic.scope("email"), SCOPES | NO_MORE | TOLD_NO_NAME,
        faults.claim("EnsureIdTokenDoesNotContainEmailForScopeEmail", "email", "jane@example.com"),
    ),
    "oidcc-scope-address": row(
        basic.scope("address"), SCOPES | TOLD_NO_NAME,
        faults.member("ValidateUserInfoStandardClaims", "/userinfo", "address", "1 Main Street"),
    ),
    "oidcc-scope-phone": row(
        basic.scope("phone"), SCOPES | TOLD_NO_NAME,
        faults.member("VerifyScopesReturnedInUserInfoClaims", "/userinfo", "phone_number_verified", GONE),
    ),
    "oidcc-scope-all": row(
        basic.scope("email", "phone", "address", "profile"), SCOPES | NO_MORE,
        faults.member("EnsureUserInfoUpdatedAtValid", "/userinfo", "updated_at", 1),
    ),
    "oidcc-alternate-happy-flow": row(
        basic.alternate_happy_flow, SCOPES | NO_MORE | TOLD_NO_NAME,
        faults.member("EnsureUserInfoDoesNotContainName", "/userinfo", "name", "Jane Doe"),
    ),
    "oidcc-display-page": row(
        basic.with_request("AddDisplayPageToAuthorizationEndpointRequest", display="page"), FLOW,
        faults.parameter(WITH_CODE, "error", "invalid_request"),
    ),
    "oidcc-display-popup": row(
        basic.with_request("AddDisplayPopupToAuthorizationEndpointRequest", display="popup"), FLOW,
        faults.status(WITH_CODE, "/authorize", 400),
    ),
    "oidcc-prompt-login": row(
        basic.prompt_login, AGAIN, faults.asked("ExpectSecondLoginPage", "/authorize", "prompt", GONE),
    ),
    "oidcc-prompt-none-not-logged-in": row(
        basic.prompt_none_not_logged_in, REFUSED | {NEEDS_A_PERSON},
        faults.replaced(NEEDS_A_PERSON, "error", "access_denied"), ends=End.ERROR,
    ),
    "oidcc-prompt-none-logged-in": row(
        basic.prompt_none_logged_in, AT_ONCE,
        faults.minted("CheckIdTokenAuthTimeClaimsSameIfPresent", lambda was: {**was, "auth_time": next(TICKS)}),
    ),
    "oidcc-max-age-1": row(
        basic.max_age_1, AGAIN | MAX_AGE | {"CheckIdTokenAuthTimeIsRecentIfPresent"},
        faults.asked("ExpectSecondLoginPage", "/authorize", "max_age", GONE),
    ),
    "oidcc-max-age-10000": row(
        basic.max_age_10000, AT_ONCE | MAX_AGE,
        faults.claim("CheckIdTokenAuthTimeClaimPresentDueToMaxAge", "auth_time", GONE),
    ),
    "oidcc-ensure-request-with-unknown-parameter-succeeds": row(
        basic.with_request("AddExtraFoobarToAuthorizationEndpointRequest", extra="foobar"), FLOW,
        faults.parameter("CheckStateInAuthorizationResponse", "state", GONE),
    ),
    "oidcc-id-token-hint": row(
        basic.id_token_hint, AT_ONCE, faults.asked(WITH_CODE, "/authorize", "id_token_hint", "no token"),
    ),
    "oidcc-login-hint": row(
        basic.login_hint, FLOW,
        faults.parameter("ValidateIssIfPresentInAuthorizationResponse", "iss", "https://other.example"),
    ),
    "oidcc-ui-locales": row(
        basic.ui_locales, FLOW | {UI_LOCALES}, faults.asked(UI_LOCALES, "/authorize", "ui_locales", GONE),
    ),
    "oidcc-claims-locales": row(
        basic.with_request("AddClaimsLocalesSeToAuthorizationEndpointRequest", claims_locales="se"), FLOW,
        faults.member("CheckForAccessTokenValue", "/token", "access_token", GONE),
    ),
    "oidcc-ensure-request-with-acr-values-succeeds": row(
        basic.acr_values, FLOW | {"ValidateIdTokenACRClaimAgainstAcrValuesRequest"},
        faults.claim("ValidateIdTokenACRClaimAgainstAcrValuesRequest", "acr", "another"),
    ),
    "oidcc-codereuse": row(
        basic.codereuse, REUSED, faults.status("ServerAllowedReusingAuthorizationCode", "/token", 200, only=400),
    ),
    "oidcc-codereuse-30seconds": row(
        basic.codereuse_30seconds, REUSED | {"EnsureHttpStatusCodeIs4xx"},
        faults.status("EnsureHttpStatusCodeIs4xx", "/userinfo", 200, only=401), waits=30,
    ),
    "oidcc-ensure-registered-redirect-uri": row(
        basic.registered_redirect_uri, REGISTERED | {"ExpectRedirectUriErrorPage"},
        faults.sent_away("ExpectRedirectUriErrorPage", "/authorize", only=400), ends=End.PAGE,
    ),
    "oidcc-ensure-post-request-succeeds": row(
        basic.post_request, FLOW | {"ExpectRedirectUriHasBeenCalled"},
        faults.status("ExpectRedirectUriHasBeenCalled", "/authorize", 405),
    ),
    "oidcc-server-client-secret-post": row(
        basic.client_secret_post, FLOW - {SECRET_IN_HEADER} | {SECRET_IN_BODY},
        faults.asked("CheckTokenEndpointHttpStatus200", "/token", "client_secret", "wrong"),
    ),
    "oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported": row(
        requests.unsigned_by_reference, UNSIGNED | {"CheckDiscEndpointRequestUriParameterSupported"},
        faults.replaced("EnsureErrorFromAuthorizationEndpointResponse", "error", ""),
        ends=End.ERROR, refuses=UNSIGNED_IS_REFUSED,
    ),
    "oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported": row(
        requests.unsigned_by_value, UNSIGNED | {"CheckDiscEndpointRequestParameterSupported"},
        faults.replaced("SerializeRequestObjectWithNullAlgorithm", "error", "temporarily_unavailable"),
        ends=End.ERROR, refuses=UNSIGNED_IS_REFUSED,
    ),
    "oidcc-claims-essential": row(
        basic.claims_essential, FLOW | NO_NAME | {"EnsureUserInfoContainsName"},
        faults.member("EnsureUserInfoContainsName", "/userinfo", "name", GONE),
    ),
    "oidcc-ensure-request-object-with-redirect-uri": row(
        requests.with_redirect_uri, OBJECT,
        faults.sent_away("EnsureOPDoesNotUseDefaultRedirectUriInCaseOfInvalidRedirectUri", "/authorize", only=400),
    ),
    "oidcc-refresh-token": row(
        refresh.refresh_token, FLOW | REFRESH,
        faults.status("CheckTokenEndpointHttpStatus400", "/token", 200, only=400),
    ),
    "oidcc-ensure-request-with-valid-pkce-succeeds": row(
        basic.valid_pkce, FLOW, faults.asked("CheckTokenEndpointHttpStatus200", "/token", "code_verifier", GONE),
    ),
}
# fmt: on


def posted(module: Module) -> Module:
    """The same module by form_post."""
    return replace(module, asserts=module.asserts | POSTED) if module.ends in (End.TOKENS, End.ERROR) else module


BASIC: Final = Plan("oidcc-basic-certification-test-plan", "Basic", Variant(), MODULES)
FORM_POST: Final = Plan(
    "oidcc-formpost-basic-certification-test-plan",
    "Form post",
    Variant(response_mode="form_post"),
    {name: posted(module) for name, module in MODULES.items()},
    ", with `response_mode=form_post`",
)
