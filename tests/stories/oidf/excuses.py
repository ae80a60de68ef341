"""Why a module does not assert a condition of the facts: it is for other variants, or lies behind the module's end."""

from __future__ import annotations

from typing import Final

from tests.stories.oidf.excuse import Excuse
from tests.stories.oidf.excuses_fapi2 import EXCUSES as OF_FAPI2
from tests.stories.oidf.module import (
    ANSWERED,
    ERRORS,
    NEEDS_A_PERSON,
    POSTED,
    REGISTERED,
    SERVER,
    TOKEN_ERROR,
    TOKENS,
    End,
    Module,
    Plan,
    names,
)

CODE: Final = ANSWERED - names("EnsureMinimumAuthorizationCodeLength EnsureMinimumAuthorizationCodeEntropy")
SIGNED_IN: Final = TOKENS - names("ValidateAtHash ExtractExpiresInFromTokenEndpointResponse") | names(
    "EnsureHttpStatusCodeIs200"
)
"""What nearly every module has in common."""
ANSWER: Final = CODE | POSTED
# fmt: off
EXCUSES: Final = (
    Excuse("clients that authenticate in another way than in this run", names("""
        EnsureServerConfigurationSupportsClientAuthNone EnsureServerConfigurationSupportsPrivateKeyJwt
        EnsureServerConfigurationSupportsMTLS ValidateMTLSCertificatesAsX509
        EnsureServerConfigurationSupportsClientSecretPost EnsureServerConfigurationSupportsClientSecretBasic
    """)),
    Excuse("keys of the test itself, in runs with private_key_jwt", names("""
        CheckDistinctKeyIdValueInClientJWKs ValidateClientJWKsPrivatePart GenerateRS256ClientJWKs
        AddPublicJwksToDynamicRegistrationRequest
    """)),
    Excuse("response types that bring an ID token with the code, or instead of it", names("""
        VerifyIdTokenSubConsistentHybridFlow VerifyUserInfoAndIdTokenInAuthorizationEndpointSameSub ValidateCHash
        AddImplicitGrantTypeToDynamicRegistrationRequest
    """)),
    Excuse("clients that register for encrypted ID tokens", names("ValidateEncryptedIdTokenHasKid")),
    Excuse("clients that use DPoP", names("""
        CheckTokenTypeIsDpop GenerateDpopKey CallTokenEndpointAllowingDpopNonceErrorAndReturnFullResponse
    """)),
    Excuse("servers whose clients register dynamically, in a plan where they do not", names("""
        OIDCCCheckDiscEndpointResponseTypesSupportedDynamic OIDCCCheckDiscEndpointGrantTypesSupportedDynamic
    """), frozenset({End.METADATA})),
    Excuse("servers without discovery", names("GetStaticServerConfiguration")),
    Excuse("redirect URIs with a query", names("CheckMatchingCallbackParameters")),
    Excuse("servers that show a page: ours tells the relying party", names("ExpectResponseTypeMissingErrorPage")),
    Excuse("answers by form_post", POSTED, mode="query"),
    Excuse("an object by reference: here it is in the request", names("""
        BuildRequestObjectByReferenceRedirectToAuthorizationEndpoint
    """), frozenset({End.TOKENS})),
    Excuse("errors, where none is awaited", ERRORS | {NEEDS_A_PERSON}, frozenset({End.TOKENS})),
    Excuse("what follows a code", SIGNED_IN | {"CheckIfAuthorizationEndpointError"},
           frozenset({End.ERROR})),
    Excuse("what follows an answer, where the person stays", ANSWER | ERRORS | SIGNED_IN, frozenset({End.PAGE})),
    Excuse("what follows a registration: there is none",
           REGISTERED - SERVER - {"EnsureContentTypeJson"} | ANSWER | ERRORS | SIGNED_IN
           | {"CheckIdTokenSignatureAlgorithm"},
           frozenset({End.REGISTRATION})),
    Excuse("what follows the metadata: nothing does",
           REGISTERED - SERVER | ANSWER | ERRORS | SIGNED_IN | {NEEDS_A_PERSON}, frozenset({End.METADATA})),
    Excuse("servers that refuse what ours takes: an assertion for the issuer", TOKEN_ERROR | names("""
        CheckErrorFromTokenEndpointResponseErrorInvalidClient
        CheckTokenEndpointHttpStatusIs400Allowing401ForInvalidClientError
    """), frozenset({End.TOKENS}), plan="oidcc-dynamic-certification-test-plan"),
    Excuse("the way that the module would go on, were it supported", names("""
        SignRequestObject BuildRequestObjectByReferenceRedirectToAuthorizationEndpoint
    """), refused=True),
    *OF_FAPI2,
)
# fmt: on


def excused(plan: Plan, module: Module) -> frozenset[str]:
    """The conditions that a module of a plan need not assert."""
    good = (one.conditions for one in EXCUSES if holds(one, plan, module))
    return frozenset().union(*good)


def holds(excuse: Excuse, plan: Plan, module: Module) -> bool:
    """Whether an excuse is good for a module."""
    return (
        module.ends in excuse.ends
        and (not excuse.refused or bool(module.refuses))
        and excuse.mode in ("", plan.variant.response_mode)
        and excuse.plan in ("", plan.name)
    )
