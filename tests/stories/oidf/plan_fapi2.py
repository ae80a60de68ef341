"""The plan of the FAPI 2.0 Security Profile, as the plain profile runs it: PAR, `private_key_jwt`, DPoP."""

from __future__ import annotations

from typing import Final

from tests.stories.oidf import faults
from tests.stories.oidf.case import PRIVATE_KEY, Case, Variant
from tests.stories.oidf.conditions import fapi2 as asks
from tests.stories.oidf.conditions import token
from tests.stories.oidf.conditions.discovery import WELL_KNOWN
from tests.stories.oidf.faults import GONE
from tests.stories.oidf.module import BAD_GRANT, ERRORS, ID_TOKEN, TOKEN_ERROR, USERINFO, End, Module, Plan, names, row
from tests.stories.oidf.runs import fapi2, fapi2_proofs
from tests.stories.oidf.runs import fapi2_refusals as refusals
from tests.stories.oidf.wire import NONE, Fault

METADATA: Final = names("""
    CheckServerConfiguration EnsureServerConfigurationSupportsPrivateKeyJwt ValidateJwksStructure
    CheckServerKeysIsValid EnsureJwksHasNoPrivateOrSymmetricKeyMaterial CheckForKeyIdInServerJWKs
    CheckDistinctKeyIdValueInServerJWKs
""")
JSON: Final = {"EnsureContentTypeJson"}
PUSHED: Final = (
    METADATA
    | JSON
    | names("""
    CheckPAREndpointResponse201WithNoError CheckForRequestUriValue CheckForPARResponseExpiresIn
    EnsureMinimumRequestUriEntropy
""")
)
FRAGMENT: Final = names("RejectErrorInUrlFragment RejectAuthCodeInUrlFragment RejectStateInUrlFragmentForCodeFlow")
CODE: Final = (
    PUSHED
    | FRAGMENT
    | names("""
    CheckIfAuthorizationEndpointError ValidateIssIfPresentInAuthorizationResponse CheckStateInAuthorizationResponse
    EnsureMinimumAuthorizationCodeLength EnsureMinimumAuthorizationCodeEntropy
""")
)
TOKENS: Final = ID_TOKEN | names("""
    CheckTokenEndpointHttpStatus200 CheckIfTokenEndpointResponseError CheckForAccessTokenValue ValidateExpiresIn
    ExtractExpiresInFromTokenEndpointResponse CheckTokenTypeIsDpop EnsureMinimumAccessTokenLength
    EnsureMinimumAccessTokenEntropy EnsureMinimumRefreshTokenLength EnsureMinimumRefreshTokenEntropy
    EnsureIdTokenContainsKid ValidateCHash ValidateSHash
""")
SERVED: Final = names("EnsureHttpStatusCodeIs200or201 CheckForDateHeaderInResourceResponse")
FLOW: Final = CODE | TOKENS | SERVED
"""From the metadata to the resource."""
WITH_QUERY: Final = {"CheckMatchingCallbackParameters"}
NO_STATE: Final = {"VerifyNoStateInAuthorizationResponse"}
TLS: Final = names("""
    DisallowTLS10 DisallowTLS11 EnsureTLS12RequireBCP195Ciphers RequireOnlyBCP195RecommendedCiphersForTLS12
    EnsureTLS13PreferredOverTLS12
""")
REFUSED: Final = ERRORS | {"CheckStateInAuthorizationResponse", "ValidateIssIfPresentInAuthorizationResponse"}
NO_CLIENT: Final = TOKEN_ERROR | {
    "CheckTokenEndpointHttpStatusIs400Allowing401ForInvalidClientError",
    "CheckErrorFromTokenEndpointResponseErrorInvalidClientOrInvalidRequest",
}
NOT_PROVEN: Final = TOKEN_ERROR | {"CheckTokenEndpointReturnedInvalidRequestGrantOrDPopProofError"}
NOT_AT_PAR: Final = (
    METADATA
    | JSON
    | names("""
    EnsureHttpStatusCodeIs400or401 CheckErrorFromParEndpointResponseErrorInvalidClientOrInvalidRequest
""")
)
DISCOVERY: Final = METADATA | names("""
    CheckDiscEndpointDiscoveryUrl CheckDiscEndpointIssuer CheckDiscEndpointIssuerIsValidUrl
    ValidateServerMetadataAgainstSchema CheckForUnexpectedParametersInServerMetadata
    CheckDiscEndpointScopesSupportedContainsOpenId CheckDiscEndpointSubjectTypesSupported
    CheckDiscEndpointAuthorizationEndpoint CheckDiscEndpointTokenEndpoint CheckDiscEndpointRegistrationEndpoint
    CheckJwksUri CheckDiscEndpointScopesSupportedSyntax CheckDiscEndpointLocalesSyntax
    CheckDiscEndpointLocalesCanonicalCasing CheckOauthDiscEndpointDiscoveryUrl CheckOauthDiscEndpointIssuer
    CheckDiscEndpointResponseTypeCodeSupported EnsureServerConfigurationSupportsCodeChallengeMethodS256
    EnsureAuthorizationResponseIssParameterSupportedIsTrue CheckDiscEndpointPARSupported
    CheckDiscRequirePushedAuthorizationRequestsIsABoolean FAPI2CheckDiscEndpointRequestObjectSigningAlgValuesSupported
""")
CLAIMS: Final = (
    FLOW
    | USERINFO
    | names("""
    CheckIfOidcStandardClaimsSupported EnsureIdentityClaimsContainRequestedClaims CheckForUnexpectedClaimsInUserinfo
""")
)
REFRESHED: Final = (
    FLOW
    | BAD_GRANT
    | NO_CLIENT
    | NOT_PROVEN
    | names("""
    EnsureServerConfigurationSupportsRefreshToken EnsureRefreshTokenContainsAllowedCharactersOnly
    ValidateRefreshTokenNotRotated CheckTokenEndpointHttpStatus400or401
    CheckTokenEndpointReturnedInvalidClientGrantOrRequestError EnsureHttpStatusCodeIs4xx
""")
)
IS_PUSHED: Final = "CheckPAREndpointResponse201WithNoError"
IS_SERVED: Final = "EnsureHttpStatusCodeIs200or201"
HAS_TOKENS: Final = "CheckTokenEndpointHttpStatus200"
HAS_STATE: Final = "CheckStateInAuthorizationResponse"
HAS_NONCE: Final = "ValidateIdTokenNonce"
IS_BAD: Final = "CheckTokenEndpointHttpStatus400"
IS_NO_CLIENT: Final = "CheckTokenEndpointHttpStatusIs400Allowing401ForInvalidClientError"
IS_NOT_PROVEN: Final = "CheckTokenEndpointReturnedInvalidRequestGrantOrDPopProofError"
IS_BAD_OBJECT: Final = "EnsurePARInvalidRequestOrInvalidRequestObjectError"
IS_BAD_LINK: Final = "ExpectInvalidRequestUriErrorPage"
IS_OTHER_TYPE: Final = "EnsurePARUnsupportedResponseTypeOrInvalidRequestOrUnauthorizedClientError"
IS_BAD_URI: Final = "EnsureInvalidRequestUriError"
IS_UNKNOWN: Final = "EnsureHttpStatusCodeIs400or401"
DENIED: Final = "ExpectAccessDeniedErrorFromAuthorizationEndpointDueToUserRejectingRequest"
NAME: Final = "fapi2-security-profile-final-"


def of_others(why: str) -> Module:
    """A module of the plan that the plain profile has no part in."""

    def run(case: Case) -> None:
        raise AssertionError(f"not applicable: {why}")

    return Module(run, frozenset(), NONE, End.NOWHERE, elsewhere=why)


OPEN_BANKING_UK: Final = "Open Banking UK's: account requests that are registered beforehand, and its `acr`"
OPEN_BANKING: Final = "Open Banking's, in the United Kingdom and in Brazil: consents that are registered beforehand"
BRAZIL: Final = "Open Finance Brazil's: payments that are signed"
CONNECT_ID: Final = "ConnectID's, in Australia: a `purpose`, and claims of a trust framework"

# fmt: off
MODULES: Final[dict[str, Module]] = {NAME + name: module for name, module in {
    "discovery-end-point-verification": row(
        fapi2.discovery_verification, DISCOVERY,
        faults.member("CheckDiscEndpointPARSupported", WELL_KNOWN, "pushed_authorization_request_endpoint", GONE),
        ends=End.METADATA,
    ),
    "happy-flow": row(
        fapi2.happy_flow,
        FLOW | WITH_QUERY | TLS | names("""
            EnsureIdTokenDoesNotContainNonRequestedClaims DisallowAccessTokenInQuery EnsureHttpStatusCodeIs4xx
        """),
        faults.member("CheckTokenTypeIsDpop", "/token", "token_type", "Bearer"),
    ),
    "user-rejects-authentication": row(
        fapi2.user_rejects_authentication, PUSHED | FRAGMENT | REFUSED | WITH_QUERY | {DENIED},
        faults.replaced(DENIED, "error", "server_error"), ends=End.ERROR,
    ),
    "ensure-authorization-request-without-state-success": row(
        fapi2.without_state, FLOW | WITH_QUERY | NO_STATE,
        faults.parameter("VerifyNoStateInAuthorizationResponse", "state", "made-up"),
    ),
    "ensure-authorization-request-without-nonce-success": row(
        fapi2.with_request(nonce=None), FLOW, faults.claim(HAS_NONCE, "nonce", "made-up"),
    ),
    "ensure-authorization-request-with-64-char-nonce-success": row(
        fapi2.with_request(nonce="n" * 64), FLOW, faults.claim(HAS_NONCE, "nonce", "n" * 63),
    ),
    "ensure-other-scope-order-succeeds": row(
        fapi2.with_request("ReverseScopeOrderInAuthorizationEndpointRequest", scope="email openid"), FLOW,
        faults.parameter("CheckIfAuthorizationEndpointError", "error", "invalid_scope"),
    ),
    "test-claims-parameter-identity-claims": row(
        fapi2.claims_parameter, CLAIMS, faults.member("EnsureUserInfoContainsSub", "/userinfo", "sub", GONE),
    ),
    "access-token-type-header-case-sensitivity": row(
        fapi2.scheme_in_another_case, FLOW, faults.status(IS_SERVED, "/userinfo", 401),
    ),
    "check-dpop-proof-nbf-exp": row(
        fapi2.with_proofs("SetDpopNbfToNow", "SetDpopExpToFiveMinutesInFuture", nbf=0, exp=300), FLOW,
        faults.status(HAS_TOKENS, "/token", 400),
    ),
    "ensure-dpopproof-with-iat-10seconds-before-succeeds": row(
        fapi2.with_proofs("SetDpopIatTo10SecondsInPast", skew=fapi2.BEHIND), FLOW,
        faults.status(IS_PUSHED, "/par", 400),
    ),
    "ensure-dpopproof-with-iat-10seconds-after-succeeds": row(
        fapi2.with_proofs("SetDpopIatTo8SecondsInFuture", skew=fapi2.AHEAD), FLOW,
        faults.status(HAS_TOKENS, "/token", 401),
    ),
    "ensure-mismatched-dpop-jkt-fails": row(
        refusals.other_key_at_par, METADATA | JSON | {"EnsurePARInvalidRequestOrInvalidDpopProof"},
        faults.asked("EnsurePARInvalidRequestOrInvalidDpopProof", "/par", "dpop_jkt", GONE), ends=End.PUSH,
    ),
    "ensure-token-endpoint-fails-with-mismatched-dpop-proof-jkt": row(
        refusals.other_key_than_pushed, CODE | NOT_PROVEN, faults.unheard(IS_NOT_PROVEN, "/par", "DPoP"), ends=End.CODE,
    ),
    "ensure-token-endpoint-fails-with-mismatched-dpop-jkt": row(
        refusals.other_key_than_named, CODE | NOT_PROVEN, faults.asked(IS_NOT_PROVEN, "/par", "dpop_jkt", GONE),
        ends=End.CODE,
    ),
    "ensure-dpopproof-at-par-endpoint-binding-success": row(
        fapi2.with_proofs(), FLOW, faults.unheard(HAS_TOKENS, "/token", "DPoP"),
    ),
    "ensure-dpop-auth-code-binding-success": row(
        fapi2.bound_code, FLOW, faults.asked(IS_PUSHED, "/par", "dpop_jkt", "A" * 43),
    ),
    "ensure-different-nonce-inside-and-outside-request-object": row(
        fapi2.beside("AddIncorrectNonceToAuthorizationEndpointRequest", inside={"nonce": "inside"}, nonce="outside"),
        FLOW, faults.claim(HAS_NONCE, "nonce", "outside"),
    ),
    "ensure-different-state-inside-and-outside-request-object": row(
        fapi2.beside("AddIncorrectStateToAuthorizationEndpointRequest", inside={"state": "inside"}, state="outside"),
        FLOW, faults.parameter(HAS_STATE, "state", "outside"),
    ),
    "ensure-authorization-request-with-long-nonce": row(
        fapi2.with_request(nonce="n" * 384), FLOW, faults.claim(HAS_NONCE, "nonce", "n" * 255),
    ),
    "ensure-authorization-request-with-long-state": row(
        fapi2.with_request(state="s" * 1024), FLOW, faults.parameter(HAS_STATE, "state", "s" * 255),
    ),
    "state-only-outside-request-object-not-used": row(
        fapi2.beside("AddStateToAuthorizationEndpointRequest", inside={"state": None}, state="outside"),
        FLOW | NO_STATE, faults.parameter("VerifyNoStateInAuthorizationResponse", "state", "outside"),
    ),
    "ensure-request-object-without-redirect-uri-fails": row(
        refusals.object_without_redirect_uri, METADATA | JSON | {IS_BAD_OBJECT},
        faults.status(IS_BAD_OBJECT, "/par", 201, only=400), ends=End.PUSH,
    ),
    "ensure-registered-redirect-uri": row(
        refusals.bad_redirect_uri, METADATA | JSON | {IS_BAD_OBJECT},
        faults.asked(IS_BAD_OBJECT, "/par", "redirect_uri", fapi2.CALLBACK), ends=End.PUSH,
    ),
    "plain-fapi-tolerate-unregistered-redirect-uri": row(
        refusals.bad_redirect_uri, METADATA | JSON | {IS_BAD_OBJECT},
        faults.member(IS_BAD_OBJECT, "/par", "error", "server_error", only=400), ends=End.PUSH,
    ),
    "ensure-unsigned-authorization-request-without-using-par-fails": row(
        refusals.not_pushed_at_all, METADATA | REFUSED | {"EnsureInvalidRequestError"},
        faults.replaced("EnsureInvalidRequestError", "error", "login_required"), ends=End.ERROR,
    ),
    "ensure-redirect-uri-in-authorization-request": row(
        refusals.not_pushed(asks.is_invalid_object, redirect_uri=None), METADATA | JSON | {IS_BAD_OBJECT},
        faults.status(IS_BAD_OBJECT, "/par", 500, only=400), ends=End.PUSH,
    ),
    "ensure-response-type-code-idtoken-fails": row(
        refusals.other_response_type("code id_token"),
        METADATA | JSON | {"EnsureHttpStatusCodeIs4xx", IS_OTHER_TYPE},
        faults.asked("EnsureHttpStatusCodeIs4xx", "/par", "response_type", "code"), ends=End.PUSH,
    ),
    "australia-connectid-ensure-invalid-purpose-fails": of_others(CONNECT_ID),
    "ensure-response-type-token-fails": row(
        refusals.other_response_type("token"),
        METADATA | JSON | {"EnsureHttpStatusCodeIs4xx", IS_OTHER_TYPE},
        faults.member(IS_OTHER_TYPE, "/par", "error", "invalid_grant"),
        ends=End.PUSH,
    ),
    "ensure-client-id-in-token-endpoint": row(
        refusals.other_client_id,
        CODE | TOKEN_ERROR | {IS_NO_CLIENT, "CheckErrorFromTokenEndpointResponseErrorInvalidClientOrInvalidGrant"},
        faults.asked(IS_NO_CLIENT, "/token", "client_id", GONE), ends=End.CODE,
    ),
    "ensure-holder-of-key-required": row(
        refusals.without_proof, CODE | NOT_PROVEN | TLS | {IS_NO_CLIENT, "EnsureHttpStatusCodeIs4xx"},
        faults.member(IS_NOT_PROVEN, "/token", "error", "server_error"), ends=End.CODE,
    ),
    "ensure-authorization-code-is-bound-to-client": row(
        refusals.code_of_another, CODE | BAD_GRANT, faults.status(IS_BAD, "/token", 200, only=400), ends=End.CODE,
    ),
    "attempt-reuse-authorization-code-after-one-second": row(
        refusals.code_reused,
        FLOW | BAD_GRANT | {"ServerAllowedReusingAuthorizationCode", "EnsureHttpStatusCodeIs4xx"},
        faults.status("ServerAllowedReusingAuthorizationCode", "/token", 200, only=400), waits=1,
    ),
    "ensure-token-endpoint-fails-with-expired-auth-code": row(
        refusals.code_expired, CODE | BAD_GRANT | {"ServerAllowedExpiredAuthorizationCode"},
        # Where a fault is planted nobody waits, so this is a server to which a minute is no time.
        Fault("ServerAllowedExpiredAuthorizationCode"), ends=End.CODE, waits=refusals.PAST_A_MINUTE,
    ),
    "ensure-signed-client-assertion-with-RS256-fails": row(
        refusals.no_tokens(
            token.is_refused_as_a_client, token.is_about_the_client, steps=("ChangeClientJwksAlgToRS256",), alg="RS256"
        ),
        CODE | TOKEN_ERROR | {IS_NO_CLIENT, "CheckErrorFromTokenEndpointResponseErrorInvalidClient"},
        faults.status(IS_NO_CLIENT, "/token", 200, only=401), ends=End.CODE,
    ),
    "ensure-client-assertion-in-token-endpoint": row(
        refusals.without_assertion, CODE | NO_CLIENT, faults.status(IS_NO_CLIENT, "/token", 403), ends=End.CODE,
    ),
    "ensure-client-assertion-with-exp-is-5-minutes-in-past-fails": row(
        refusals.no_tokens(
            token.is_refused_as_a_client, asks.is_no_client,
            steps=("AddExpIs5MinutesInPastToClientAssertionClaims",), exp=-300,
        ),
        CODE | NO_CLIENT, faults.status(IS_NO_CLIENT, "/token", 200), ends=End.CODE,
    ),
    "ensure-client-assertion-with-wrong-aud-fails": row(
        refusals.no_tokens(
            token.is_refused_as_a_client, asks.is_no_client,
            steps=("CreateClientAuthenticationAssertionClaims", "AddWrongAudToClientAssertionClaims"),
            aud="https://other.example",
        ),
        CODE | NO_CLIENT, faults.member(IS_NO_CLIENT, "/token", "error", "access_denied", only=401), ends=End.CODE,
    ),
    "ensure-client-assertion-with-no-sub-fails": row(
        refusals.no_tokens(
            token.is_refused_as_a_client, asks.is_no_client,
            steps=("RemoveSubFromClientAssertionClaims",), sub=refusals.LEFT_OUT,
        ),
        CODE | NO_CLIENT, faults.status(IS_NO_CLIENT, "/token", 500), ends=End.CODE,
    ),
    "dpop-negative-tests": row(
        fapi2_proofs.negative_tests, FLOW | {"EnsureHttpStatusCodeIs400or401"},
        faults.status("EnsureHttpStatusCodeIs400or401", "/userinfo", 200, only=401),
    ),
    "refresh-token": row(
        refusals.refresh_token, REFRESHED,
        faults.rotated("ValidateRefreshTokenNotRotated"), waits=1,
    ),
    "ensure-server-handles-non-matching-intent-id": of_others(OPEN_BANKING),
    "test-essential-acr-sca-claim": of_others(OPEN_BANKING_UK),
    "brazil-ensure-bad-payment-signature-fails": of_others(BRAZIL),
    "australia-connectid-test-claims-parameter-idtoken-identity-claims": of_others(CONNECT_ID),
    "par-ensure-reused-request-uri-prior-to-auth-completion-succeeds": row(
        fapi2.twice_before_the_end, FLOW | {"ExpectLoginPage"},
        faults.page_without("ExpectLoginPage", "/login", 'name="password"', 'type="password"'),
    ),
    "par-attempt-reuse-request_uri": row(
        refusals.reused_request_uri, FLOW | {IS_BAD_LINK, IS_BAD_URI},
        faults.sent_away(IS_BAD_LINK, "/authorize", only=400), ends=End.PAGE,
    ),
    "par-attempt-to-use-expired-request_uri": row(
        refusals.expired_request_uri, PUSHED | {IS_BAD_LINK, IS_BAD_URI},
        Fault(IS_BAD_LINK), ends=End.PAGE, waits=refusals.PAST_A_MINUTE,
    ),
    "par-ensure-jwt-client-assertions-nbf-8-seconds-in-the-future-is-accepted": row(
        refusals.nbf_ahead, FLOW, faults.status(IS_PUSHED, "/par", 401),
    ),
    "par-ensure-jwt-client-assertions-nbf-over-60-seconds-in-the-future-fails": row(
        refusals.not_authenticated(
            "AddIatNbfExpOver60SecondsInTheFutureToClientAuthenticationAssertionClaims",
            iat=refusals.TOO_FAR, nbf=refusals.TOO_FAR, exp=2 * refusals.TOO_FAR,
        ),
        NOT_AT_PAR, faults.status(IS_UNKNOWN, "/par", 201, only=401), ends=End.PUSH,
    ),
    "par-attempt-to-use-request_uri-for-different-client": row(
        refusals.request_uri_of_another,
        PUSHED | {IS_BAD_LINK, "EnsureInvalidRequestInvalidRequestObjectOrInvalidRequestUriError"},
        faults.sent_away(IS_BAD_LINK, "/authorize", only=400), ends=End.PAGE,
    ),
    "par-authorization-request-containing-request_uri-form-param": row(
        refusals.not_pushed(
            asks.takes_no_request_uri, "AddBadRequestUriToRequestParameters",
            request_uri="urn:ietf:params:oauth:request_uri:made-up",
        ),
        METADATA | JSON | {"EnsurePARInvalidRequestOrInvalidRequestObjectOrRequestUriNotSupportedError"},
        faults.asked(
            "EnsurePARInvalidRequestOrInvalidRequestObjectOrRequestUriNotSupportedError", "/par", "request_uri", GONE
        ),
        ends=End.PUSH,
    ),
    "par-attempt-invalid-http-method": row(
        refusals.other_method, METADATA | JSON | {"EnsureParHTTPError"},
        faults.status("EnsureParHTTPError", "/par", 201), ends=End.PUSH,
    ),
    "par-ensure-pkce-required": row(
        refusals.not_pushed(asks.is_invalid, code_challenge=None, code_challenge_method=None),
        METADATA | JSON | {"EnsurePARInvalidRequestError"},
        faults.status("EnsurePARInvalidRequestError", "/par", 201, only=400), ends=End.PUSH,
    ),
    "ensure-pkce-code-verifier-required": row(
        refusals.with_form(token.is_refused, token.is_about_the_grant, **refusals.NO_VERIFIER), CODE | BAD_GRANT,
        faults.status(IS_BAD, "/token", 401), ends=End.CODE,
    ),
    "incorrect-pkce-code-verifier-rejected": row(
        refusals.other_verifier, CODE | BAD_GRANT,
        faults.member("CheckErrorFromTokenEndpointResponseErrorInvalidGrant", "/token", "error", "invalid_request"),
        ends=End.CODE,
    ),
    "par-plain-pkce-rejected": row(
        refusals.not_pushed(
            asks.is_invalid, "CreatePlainCodeChallenge", "AddCodeChallengeToAuthorizationEndpointRequest",
            code_challenge="p" * 43, code_challenge_method="plain",
        ),
        METADATA | JSON | {"EnsurePARInvalidRequestError"},
        faults.asked("EnsurePARInvalidRequestError", "/par", "code_challenge_method", "S256"), ends=End.PUSH,
    ),
    "par-without-duplicate-parameters": row(
        fapi2.without_duplicates, FLOW, faults.status("CheckIfAuthorizationEndpointError", "/authorize", 400),
    ),
    "par-test-array-as-audience-fails": row(
        refusals.not_authenticated(
            "AddArrayContainingIssuerAndAnotherValueAsAudToClientAuthenticationAssertionClaims", aud=[]
        ),
        NOT_AT_PAR, faults.status(IS_UNKNOWN, "/par", 200), ends=End.PUSH,
    ),
    "par-test-par-endpoint-url-as-audience-fails": row(
        refusals.not_authenticated(
            "AddPAREndpointAsAudToClientAuthenticationAssertionClaims", aud_of="pushed_authorization_request_endpoint"
        ),
        NOT_AT_PAR, faults.status(IS_UNKNOWN, "/par", 500), ends=End.PUSH,
    ),
    "par-test-token-endpoint-url-as-audience-fails": row(
        refusals.not_authenticated(
            "AddTokenEndpointAsAudToClientAuthenticationAssertionClaims", aud_of="token_endpoint"
        ),
        NOT_AT_PAR,
        faults.member(
            "CheckErrorFromParEndpointResponseErrorInvalidClientOrInvalidRequest", "/par", "error", "access_denied"
        ),
        ends=End.PUSH,
    ),
}.items()}
# fmt: on

FAPI2: Final = Plan(
    "fapi2-security-profile-final-test-plan",
    "FAPI 2.0",
    Variant(auth_method=PRIVATE_KEY),
    MODULES,
    ": plain FAPI, `private_key_jwt`, DPoP, OpenID Connect, requests and answers unsigned",
)
