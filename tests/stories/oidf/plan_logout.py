"""The plans for RP-initiated and for back-channel logout."""

from __future__ import annotations

from typing import Final

from tests.stories.oidf import faults
from tests.stories.oidf.case import Variant
from tests.stories.oidf.conditions import pages
from tests.stories.oidf.conditions.discovery import WELL_KNOWN
from tests.stories.oidf.faults import GONE
from tests.stories.oidf.module import FLOW, NEEDS_A_PERSON, OUT, SERVER, End, Module, Plan, names, row
from tests.stories.oidf.runs import config, logout

METADATA: Final = SERVER | {"CheckDiscEndpointAllEndpointsAreHttps", "CheckDiscEndSessionEndpoint"}
BACK: Final = OUT | {"CheckPostLogoutState", "CheckForUnexpectedParametersInPostLogoutRedirect"}
NOT_BACK: Final = FLOW | {"CheckDiscEndSessionEndpoint"}
READ: Final = OUT | {"ExpectSuccessfulLogoutPage"}
BY_SESSION: Final = "CheckDiscEndpointBackchannelLogoutSessionSupported"
BAD_URI: Final = "ExpectPostLogoutRedirectUriNotRegisteredErrorPage"
BAD_HINT: Final = "ExpectInvalidIdTokenHintErrorPage"
NO_HINT: Final = "ExpectIdTokenHintRequiredErrorPage"
WITHOUT_URI: Final = "RemovePostLogoutRedirectUriFromEndSessionEndpointRequest"
WITHOUT_HINT: Final = "RemoveIdTokenHintFromEndSessionEndpointRequest"
WITHOUT_ALL: Final = "RemoveAllParametersFromEndSessionEndpointRequest"
ALL: Final = ("id_token_hint", "post_logout_redirect_uri", "state")
BACKCHANNEL: Final = BACK | names("""
    EnsureIncomingTls12WithSecureCipherOrTls13 EnsureIncomingTls13 ExtractLogoutTokenFromBackchannelLogoutRequest
    CheckForUnexpectedParametersInBackchannelLogoutRequest ValidateLogoutTokenSignature ValidateLogoutTokenClaims
    CheckIdTokenSubMatchesLogoutToken CheckIdTokenSidMatchesLogoutToken CheckLogoutTokenNoNonce
    CheckLogoutTokenHasSubOrSid
""")

# fmt: off
RP_MODULES: Final[dict[str, Module]] = {
    "oidcc-rp-initiated-logout-discovery-endpoint-verification": row(
        config.rp_initiated_logout, METADATA,
        faults.member("CheckDiscEndSessionEndpoint", WELL_KNOWN, "end_session_endpoint", GONE), ends=End.METADATA,
    ),
    "oidcc-rp-initiated-logout": row(
        logout.rp_initiated, BACK, faults.asked("CheckPostLogoutState", "/logout", "state", GONE),
    ),
    "oidcc-rp-initiated-logout-bad-post-logout-redirect-uri": row(
        logout.stays(
            pages.bad_post_logout_redirect_uri, logout.bad_uri,
            "AddBadPostLogoutRedirectUriToEndSessionEndpointRequest",
        ),
        NOT_BACK | {BAD_URI}, faults.sent_away(BAD_URI, "/logout"),
    ),
    "oidcc-rp-initiated-logout-modified-id-token-hint": row(
        logout.stays(pages.bad_hint, logout.unsigned_hint, "ChangeIdTokenToAlgNone"),
        NOT_BACK | {BAD_HINT}, faults.sent_away(BAD_HINT, "/logout"),
    ),
    "oidcc-rp-initiated-logout-no-id-token-hint": row(
        logout.stays(pages.no_hint, logout.no_hint, WITHOUT_HINT),
        NOT_BACK | {NO_HINT}, faults.sent_away(NO_HINT, "/logout"),
    ),
    "oidcc-rp-initiated-logout-no-params": row(
        logout.signed_out(WITHOUT_ALL, lacks=ALL),
        READ, faults.page_without("ExpectSuccessfulLogoutPage", "/logout", "igned out"),
    ),
    "oidcc-rp-initiated-logout-no-post-logout-redirect-uri": row(
        logout.signed_out(WITHOUT_URI, lacks=("post_logout_redirect_uri",)),
        READ, faults.replaced(NEEDS_A_PERSON, "error", "access_denied"),
    ),
    "oidcc-rp-initiated-logout-no-state": row(
        logout.no_state, BACK - {"CheckPostLogoutState"} | {"CheckNoPostLogoutState"},
        faults.made_up("CheckNoPostLogoutState", "/logout", "state", "made-up"),
    ),
    "oidcc-rp-initiated-logout-only-state": row(
        logout.signed_out(WITHOUT_HINT, WITHOUT_URI, lacks=("id_token_hint", "post_logout_redirect_uri")),
        READ, faults.status("ExpectSuccessfulLogoutPage", "/logout", 500, only=200),
    ),
    "oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri": row(
        logout.stays(
            pages.bad_post_logout_redirect_uri, logout.added_query,
            "AddPostLogoutRedirectUriWithQueryAddedToEndSessionEndpointRequest",
        ),
        NOT_BACK | {BAD_URI}, faults.sent_away(BAD_URI, "/logout"),
    ),
    "oidcc-rp-initiated-logout-bad-id-token-hint": row(
        logout.stays(
            pages.bad_hint, logout.forged_hint,
            "GenerateJWKsFromClientSecret", "GenerateFakeIdTokenClaims", "SignFakeIdToken",
        ),
        NOT_BACK | {BAD_HINT}, faults.sent_away(BAD_HINT, "/logout"),
    ),
}
BACKCHANNEL_MODULES: Final[dict[str, Module]] = {
    "oidcc-backchannel-logout-discovery-endpoint-verification": row(
        config.backchannel_logout,
        METADATA | {"CheckDiscEndpointBackchannelLogoutSupported", BY_SESSION},
        faults.member(BY_SESSION, WELL_KNOWN, "backchannel_logout_session_supported", False),
        ends=End.METADATA,
    ),
    "oidcc-backchannel-rp-initiated-logout": row(
        logout.backchannel, BACKCHANNEL,
        faults.claim("CheckLogoutTokenNoNonce", "nonce", "of-the-id-token", "logout_token"),
    ),
}
# fmt: on

RP_LOGOUT: Final = Plan(
    "oidcc-rp-initiated-logout-certification-test-plan", "RP-initiated logout", Variant(), RP_MODULES
)
BACKCHANNEL_LOGOUT: Final = Plan(
    "oidcc-backchannel-rp-initiated-logout-certification-test-plan",
    "Back-channel logout",
    Variant(),
    BACKCHANNEL_MODULES,
)
