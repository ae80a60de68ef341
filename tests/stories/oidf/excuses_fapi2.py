"""Why a module of the FAPI 2.0 plan does not assert a condition of the facts."""

from __future__ import annotations

from typing import Final

from tests.stories.oidf.excuse import Excuse
from tests.stories.oidf.module import ANSWERED, End, names
from tests.stories.oidf.plan_fapi2 import FAPI2, FRAGMENT, JSON, METADATA, PUSHED, SERVED, TOKENS

ALL: Final = frozenset(End) - {End.NOWHERE}
OURS: Final = names("""
    CheckTokenTypeIsDpop ExtractExpiresInFromTokenEndpointResponse ValidateIssIfPresentInAuthorizationResponse
""")
"""Of a flow as other plans have it; this one does not list them."""
NO_TOKENS: Final = (SERVED | TOKENS) - OURS
NO_ANSWER: Final = (NO_TOKENS | FRAGMENT | ANSWERED) - OURS
ANSWERS: Final = ANSWERED | {"RejectStateInUrlFragmentForCodeFlow"}
NOT_PUSHED: Final = PUSHED - METADATA - JSON


def excuse(why: str, conditions: str | frozenset[str], *ends: End) -> Excuse:
    """One that is good in this plan, in modules with one of these ends; in all where none is named."""
    found = names(conditions) if isinstance(conditions, str) else conditions
    return Excuse(why, found, frozenset(ends) or ALL, plan=FAPI2.name)


# fmt: off
EXCUSES: Final = (
    excuse("answers that are JWTs (JARM)", """
        ValidateJARMResponse ValidateJARMSigningAlg ValidateJARMEncryptionAlg ValidateJARMEncryptionEnc
        ValidateJARMSignatureUsingKid RejectNonJarmResponsesInUrlQuery
        CheckDiscEndpointResponseModesSupportedContainsJwt CheckDiscEndpointAuthSignAlgValuesIsJsonArray
        CheckDiscEndpointAuthEncryptAlgValuesIsJsonArray CheckDiscEndpointAuthEncryptEncValuesIsJsonArray
    """),
    excuse("keys of the test itself", "ValidateClientPrivateKeysAreDifferent CheckForKeyIdInClientJWKs"),
    excuse("clients that ask for no ID token", "ExpectNoIdTokenInTokenResponse"),
    excuse("authorization_details (RFC 9396)", "CheckForAuthorizationDetailsInTokenResponse"),
    excuse("clients that act for nobody but themselves", "CheckClientCredentialsOnlyServerConfiguration"),
    excuse("mutual TLS", "CheckTLSClientCertificateBoundAccessTokensTrue ExtractMTLSCertificates2FromConfiguration"),
    excuse("mutual TLS, where a proof is missing", """
        CheckErrorFromTokenEndpointResponseErrorInvalidClientOrInvalidRequest
        CheckTokenEndpointReturnedInvalidClientGrantOrRequestError
    """, End.CODE),
    excuse("client attestation", """
        GenerateClientAttestationClientInstanceKey CreateClientAttestationJwt
        CheckTokenEndpointReturnedInvalidClientGrantRequestOrAttestationError
    """),
    excuse("other ecosystems", """
        FAPIBrazilRefreshTokenRequired CDRRefreshTokenRequiredWhenSharingDurationRequested
        AddCdrXCdsClientHeadersToResourceEndpointRequest
    """),
    excuse("servers that replace refresh tokens: a pause, until the old one is dead", "WaitFor30Seconds"),
    excuse("servers that refuse what ours takes", """
        ExpectRequestObjectMissingStateErrorPage ExpectRequestDifferentNonceInsideAndOutsideErrorPage
        ExpectRequestDifferentStateInsideAndOutsideErrorPage EnsurePARInvalidRequestError EnsureInvalidRequestError
        EnsureInvalidRequestInvalidRequestObjectInvalidRequestUriOrAccessDeniedError EnsureInvalidRequestUriError
    """, End.TOKENS),
    excuse("servers that show a page where ours tells the relying party", """
        ExpectAuthorizationRequestWithoutRequestObjectErrorPage
    """, End.ERROR),
    excuse("servers that refuse later: ours refuses what is pushed", """
        EnsureErrorFromAuthorizationEndpointResponse EnsureInvalidRequestError ExpectResponseTypeErrorPage
        ExpectRedirectUriErrorPage ExpectRedirectUriMissingErrorPage ExpectRequestObjectMissingRedirectUriErrorPage
        ExpectPkceMissingErrorPage ExpectPlainPkceErrorPage DetectWhetherErrorResponseIsInQueryOrFragment
        EnsureUnsupportedResponseTypeOrInvalidRequestError
        CheckErrorFromAuthorizationEndpointErrorInvalidRequestOrInvalidRequestObject
    """, End.PUSH),
    excuse("what follows a pushed request: it is refused", NO_ANSWER | NOT_PUSHED, End.PUSH),
    excuse("what follows a code: it is refused", NO_TOKENS, End.CODE),
    excuse("what follows an answer: the person stays, or it is an error", NO_ANSWER - ANSWERS | NOT_PUSHED | JSON
           | {"CheckStateInAuthorizationResponse", "EnsureHttpStatusCodeIs4xx"}, End.PAGE, End.ERROR),
    excuse("what follows the metadata: nothing is asked",
           SERVED | NOT_PUSHED | {"CheckStateInAuthorizationResponse"} | FRAGMENT - ANSWERS, End.METADATA),
)
# fmt: on
