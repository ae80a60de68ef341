"""What is known of a module: how it runs, what it asserts, the fault that it has to notice, and where it ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tests.stories.oidf.case import Variant
from tests.stories.oidf.runs.basic import Run
from tests.stories.oidf.wire import Fault


class End(Enum):
    """How far a module goes."""

    TOKENS = "the person is signed in"
    ERROR = "the relying party gets an error from the authorization endpoint"
    PAGE = "the person reads a page of the server"
    REGISTRATION = "the registration is refused"
    METADATA = "the metadata are read"
    PUSH = "the pushed request is refused"
    CODE = "the code is refused"
    RESOURCE = "the resource refuses"
    NOWHERE = "nothing is asked"


@dataclass(frozen=True)
class Module:
    """One row of a plan."""

    run: Run
    asserts: frozenset[str]
    fault: Fault
    ends: End = End.TOKENS
    refuses: str = ""
    """What is not supported, where it is that which the module shows to be refused."""
    waits: float = 0.0
    """Seconds that it lets pass."""
    elsewhere: str = ""
    """Why it is not applicable, where it is part of the plan for another ecosystem than the plain profile."""


@dataclass(frozen=True)
class Plan:
    """A certification plan, named as in the facts."""

    name: str
    title: str
    variant: Variant
    modules: Mapping[str, Module]
    how: str = ""
    """A word on the way that it is run, for the page."""


def names(text: str) -> frozenset[str]:
    """Names of conditions, as they stand in a table."""
    return frozenset(text.split())


def row(run: Run, asserts: Iterable[str], fault: Fault, **more: object) -> Module:
    """A module; the condition that notices its fault is among those that it asserts."""
    made = Module(run, frozenset(asserts), fault, **more)  # type: ignore[arg-type]  # the fields of Module
    assert fault.notices in made.asserts, f"{fault.notices} is not asserted"
    return made


SERVER: Final = names("""
    CheckServerConfiguration EnsureServerConfigurationSupportsClientSecretBasic ValidateJwksStructure
    CheckServerKeysIsValid EnsureJwksHasNoPrivateOrSymmetricKeyMaterial CheckForKeyIdInServerJWKs
    CheckDistinctKeyIdValueInServerJWKs
""")
"""Of the server, before anything else."""
REGISTERED: Final = SERVER | names("""
    EnsureContentTypeJson EnsureHttpStatusCodeIs201 CheckNoErrorFromDynamicRegistrationEndpoint
    VerifyClientManagementCredentials VerifyDynamicRegistrationResponseClientCredentials
""")
ANSWERED: Final = names("""
    CheckIfAuthorizationEndpointError ValidateIssIfPresentInAuthorizationResponse CheckStateInAuthorizationResponse
    EnsureMinimumAuthorizationCodeLength EnsureMinimumAuthorizationCodeEntropy
""")
"""Of a code."""
ID_TOKEN: Final = names("""
    ValidateIdToken ValidateIdTokenStandardClaims ValidateIdTokenNonce ValidateIdTokenACRClaimAgainstRequest
    ValidateIdTokenSignature CheckForSubjectInIdToken EnsureIdTokenUpdatedAtValid ValidateAtHash
""")
TOKENS: Final = ID_TOKEN | names("""
    CheckTokenEndpointHttpStatus200 CheckIfTokenEndpointResponseError CheckForAccessTokenValue ValidateExpiresIn
    ExtractExpiresInFromTokenEndpointResponse
""")
USERINFO: Final = names("""
    EnsureHttpStatusCodeIs200 ValidateUserInfoStandardClaims EnsureUserInfoContainsSub EnsureUserInfoUpdatedAtValid
    EnsureMemberValuesInClaimNameReferenceToMemberNamesInClaimSources VerifyUserInfoAndIdTokenInTokenEndpointSameSub
""")
FLOW: Final = REGISTERED | ANSWERED | TOKENS | USERINFO
"""From the metadata to userinfo."""
ERRORS: Final = names("""
    EnsureErrorFromAuthorizationEndpointResponse RejectAuthCodeInAuthorizationEndpointResponse
    CheckForUnexpectedParametersInErrorResponseFromAuthorizationEndpoint
    CheckErrorDescriptionFromAuthorizationEndpointResponseErrorContainsCRLFTAB
    ValidateErrorDescriptionFromAuthorizationEndpointResponseError
    ValidateErrorUriFromAuthorizationEndpointResponseError
""")
REFUSED: Final = (
    REGISTERED | ERRORS | {"CheckStateInAuthorizationResponse", "ValidateIssIfPresentInAuthorizationResponse"}
)
"""Of an error of the authorization endpoint."""
POSTED: Final = names("""
    CheckCallbackHttpMethodIsPost CheckCallbackContentTypeIsFormUrlEncoded RejectAuthCodeInUrlQuery
    RejectErrorInUrlQuery
""")
"""Of an answer by form_post."""
TOKEN_ERROR: Final = names("""
    CheckTokenEndpointReturnedJsonContentType ValidateErrorFromTokenEndpointResponseError
    CheckErrorDescriptionFromTokenEndpointResponseErrorContainsCRLFTAB
    ValidateErrorDescriptionFromTokenEndpointResponseError ValidateErrorUriFromTokenEndpointResponseError
""")
BAD_GRANT: Final = TOKEN_ERROR | {
    "CheckTokenEndpointHttpStatus400",
    "CheckErrorFromTokenEndpointResponseErrorInvalidGrant",
}
REFRESH: Final = BAD_GRANT | names("""
    EnsureServerConfigurationSupportsRefreshToken EnsureRefreshTokenContainsAllowedCharactersOnly
    EnsureMinimumRefreshTokenLength EnsureMinimumRefreshTokenEntropy CheckTokenEndpointCacheHeaders
    CheckTokenTypeIsBearer EnsureMinimumAccessTokenEntropy EnsureAccessTokenContainsAllowedCharactersOnly
    EnsureAccessTokenValuesAreDifferent CompareIdTokenClaims
""")
DISCOVERY: Final = SERVER | names("""
    EnsureDiscoveryEndpointResponseStatusCodeIs200 CheckDiscoveryEndpointReturnedJsonContentType
    OIDCCCheckDiscEndpointResponseTypesSupported CheckDiscEndpointDiscoveryUrl CheckDiscEndpointIssuer
    CheckDiscEndpointIssuerIsValidUrl ValidateServerMetadataAgainstSchema CheckForUnexpectedParametersInServerMetadata
    CheckDiscEndpointSubjectTypesSupported OIDCCCheckDiscEndpointIdTokenSigningAlgValuesSupported
    OIDCCCheckDiscEndpointUserinfoSigningAlgValuesSupported CheckDiscEndpointAuthorizationEndpoint
    CheckDiscEndpointTokenEndpoint CheckDiscEndpointUserinfoEndpoint CheckDiscEndpointRegistrationEndpoint CheckJwksUri
    ParseUsableJwksKeys WarnOnUnusableJwksKeys CheckDiscEndpointRequestParameterSupported
    CheckDiscEndpointRequestUriParameterSupported CheckDiscEndpointRequestObjectSigningAlgValuesSupportedIncludesRS256
    CheckDiscEndpointClaimsParameterSupported OIDCCCheckDiscEndpointClaimsSupported
    OIDCCCheckDiscEndpointGrantTypesSupported CheckDiscEndpointScopesSupportedContainsOpenId
    CheckDiscEndpointScopesSupportedSyntax CheckDiscEndpointLocalesSyntax CheckDiscEndpointLocalesCanonicalCasing
    CheckDiscEndpointAllEndpointsAreHttps EnsureServerConfigurationCodeChallengeMethodsSupportedIsAnArray
""")
NEEDS_A_PERSON: Final = "CheckErrorFromAuthorizationEndpointIsOneThatRequiredAUserInterface"
OUT: Final = FLOW | ERRORS | {"CheckDiscEndSessionEndpoint", NEEDS_A_PERSON}
"""A flow, and a session that is over."""
