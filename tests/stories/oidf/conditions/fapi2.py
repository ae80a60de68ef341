"""What the FAPI 2.0 Security Profile adds: pushed requests, key-bound tokens, resources, TLS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from tests.stories.oidf.browser import Arrival
from tests.stories.oidf.conditions.values import enough, holds, is_https
from tests.stories.oidf.judge import Judge, condition, must
from tests.stories.oidf.page import Page
from tests.stories.oidf.shaking import GOOD, Agreed, Heard
from tests.stories.oidf.tokens import Claims, header
from tests.stories.oidf.wire import Got

ALGORITHMS: Final = frozenset({"PS256", "ES256", "EdDSA"})
OAUTH: Final = "/.well-known/oauth-authorization-server"
LONGEST: Final = 600
"""Seconds for which a request_uri may wait, and less (§5.3.2.2)."""
Answer = dict[str, str]


def _status(condition_name: str, *good: int) -> Callable[[Judge, Got], None]:
    @condition(condition_name)
    def asserted(got: Got) -> None:
        must(got.status in good, f"the status is {got.status}: {got.text[:300]}")

    return asserted


def _error(condition_name: str, *errors: str, statuses: tuple[int, ...] = (400,)) -> Callable[[Judge, Got], None]:
    @condition(condition_name)
    def asserted(got: Got) -> None:
        must(got.status in statuses, f"the status is {got.status}: {got.text[:300]}")
        must(got.document.get("error") in errors, f"the error is {got.document.get('error')!r}")

    return asserted


def _told(condition_name: str, *errors: str) -> Callable[[Judge, Answer], None]:
    @condition(condition_name)
    def asserted(answer: Answer) -> None:
        must(answer.get("error") in errors, f"the error is {answer.get('error')!r}")

    return asserted


def _true(condition_name: str, member: str) -> Callable[[Judge, Claims], None]:
    @condition(condition_name)
    def asserted(metadata: Claims) -> None:
        must(metadata.get(member) is True, f"{member} is {metadata.get(member)!r}")

    return asserted


def _array(condition_name: str, member: str, *least: str) -> Callable[[Judge, Claims], None]:
    @condition(condition_name)
    def asserted(metadata: Claims) -> None:
        holds(metadata, member, *least)

    return asserted


NO_CLIENT: Final = ("invalid_client", "invalid_request")
REFUSALS: Final = (400, 401)

# fmt: off
answers_codes = _array("CheckDiscEndpointResponseTypeCodeSupported", "response_types_supported", "code")
takes_challenges = _array(
    "EnsureServerConfigurationSupportsCodeChallengeMethodS256", "code_challenge_methods_supported", "S256"
)
names_itself = _true(
    "EnsureAuthorizationResponseIssParameterSupportedIsTrue", "authorization_response_iss_parameter_supported"
)
is_pushed = _status("CheckPAREndpointResponse201WithNoError", 201)
refuses_a_method = _status("EnsureParHTTPError", 400, 401, 404, 405)
is_refused = _status("EnsureHttpStatusCodeIs400or401", *REFUSALS)
is_served = _status("EnsureHttpStatusCodeIs200or201", 200, 201)
is_invalid = _error("EnsurePARInvalidRequestError", "invalid_request")
is_invalid_object = _error(
    "EnsurePARInvalidRequestOrInvalidRequestObjectError", "invalid_request", "invalid_request_object"
)
is_another_key = _error("EnsurePARInvalidRequestOrInvalidDpopProof", "invalid_request", "invalid_dpop_proof")
takes_no_request_uri = _error(
    "EnsurePARInvalidRequestOrInvalidRequestObjectOrRequestUriNotSupportedError",
    "invalid_request", "invalid_request_object", "request_uri_not_supported",
)
is_another_response_type = _error(
    "EnsurePARUnsupportedResponseTypeOrInvalidRequestOrUnauthorizedClientError",
    "unsupported_response_type", "invalid_request", "unauthorized_client",
)
knows_no_such_client = _error(
    "CheckErrorFromParEndpointResponseErrorInvalidClientOrInvalidRequest", *NO_CLIENT, statuses=REFUSALS
)
is_no_client_or_grant = _error(
    "CheckErrorFromTokenEndpointResponseErrorInvalidClientOrInvalidGrant", "invalid_client", "invalid_grant",
    statuses=REFUSALS,
)
is_no_client = _error(
    "CheckErrorFromTokenEndpointResponseErrorInvalidClientOrInvalidRequest", *NO_CLIENT, statuses=REFUSALS
)
is_no_client_grant_or_request = _error(
    "CheckTokenEndpointReturnedInvalidClientGrantOrRequestError", *NO_CLIENT, "invalid_grant", statuses=REFUSALS
)
is_not_proven = _error(
    "CheckTokenEndpointReturnedInvalidRequestGrantOrDPopProofError",
    "invalid_request", "invalid_grant", "invalid_dpop_proof",
)
is_one_or_the_other = _status("CheckTokenEndpointHttpStatus400or401", *REFUSALS)
is_denied = _told("ExpectAccessDeniedErrorFromAuthorizationEndpointDueToUserRejectingRequest", "access_denied")
is_told_of_the_uri = _told("EnsureInvalidRequestUriError", "invalid_request_uri")
is_told_of_the_link = _told(
    "EnsureInvalidRequestInvalidRequestObjectOrInvalidRequestUriError",
    "invalid_request", "invalid_request_object", "invalid_request_uri",
)
is_told_invalid = _told("EnsureInvalidRequestError", "invalid_request")
# fmt: on


@condition("CheckDiscEndpointPARSupported")
def takes_pushed_requests(metadata: Claims) -> None:
    """RFC 9126 §5."""
    found = metadata.get("pushed_authorization_request_endpoint")
    must(is_https(found), f"pushed_authorization_request_endpoint is {found!r}")


@condition("CheckDiscRequirePushedAuthorizationRequestsIsABoolean")
def says_whether_all_are_pushed(metadata: Claims) -> None:
    """RFC 9126 §5."""
    found = metadata.get("require_pushed_authorization_requests", False)
    must(isinstance(found, bool), f"require_pushed_authorization_requests is {found!r}")


@condition("FAPI2CheckDiscEndpointRequestObjectSigningAlgValuesSupported")
def reads_good_algorithms(metadata: Claims) -> None:
    """§5.4.1, where it reads request objects at all."""
    name = "request_object_signing_alg_values_supported"
    holds(metadata, name)
    must(ALGORITHMS & set(metadata[name]), f"{name} has none of {sorted(ALGORITHMS)}")


@condition("CheckOauthDiscEndpointDiscoveryUrl")
def is_where_oauth_looks(url: str) -> None:
    """RFC 8414 §3."""
    must(is_https(url) and urlsplit(url).path.startswith(OAUTH), f"it is at {url}")


@condition("CheckOauthDiscEndpointIssuer")
def speaks_of_itself_there_too(metadata: Claims, issuer: str) -> None:
    """RFC 8414 §3.3."""
    must(metadata.get("issuer") == issuer, f"issuer is {metadata.get('issuer')!r}")


@condition("CheckForRequestUriValue")
def has_a_request_uri(got: Got) -> None:
    """RFC 9126 §2.2."""
    found = got.document.get("request_uri")
    must(isinstance(found, str) and urlsplit(found).scheme, f"request_uri is {found!r}")


@condition("CheckForPARResponseExpiresIn")
def expires(got: Got) -> None:
    """RFC 9126 §2.2, §5.3.2.2: less than ten minutes."""
    found = got.document.get("expires_in")
    must(type(found) is int and 0 < found < LONGEST, f"expires_in is {found!r}")


@condition("EnsureMinimumRequestUriEntropy")
def is_hard_to_guess(got: Got) -> None:
    """RFC 9101 §10.2."""
    enough(str(got.document.get("request_uri", "")).rpartition(":")[2], "request_uri", 128)


def _fragment(came: Arrival) -> Answer:
    return dict(parse_qsl(urlsplit(came.url).fragment, keep_blank_values=True))


def _nowhere(condition_name: str, name: str) -> Callable[[Judge, Arrival], None]:
    @condition(condition_name)
    def asserted(came: Arrival) -> None:
        must(name not in _fragment(came), f"{name} is in the fragment")

    return asserted


NOT_IN_THE_FRAGMENT: Final = (
    _nowhere("RejectErrorInUrlFragment", "error"),
    _nowhere("RejectAuthCodeInUrlFragment", "code"),
    _nowhere("RejectStateInUrlFragmentForCodeFlow", "state"),
)


@condition("VerifyNoStateInAuthorizationResponse")
def has_no_state(answer: Answer) -> None:
    """RFC 6749 §4.1.2: it was not sent."""
    must("state" not in answer, f"the state is {answer.get('state')!r}")


@condition("CheckTokenTypeIsDpop")
def is_bound(got: Got) -> None:
    """RFC 9449 §5."""
    must(str(got.document.get("token_type")).lower() == "dpop", f"it is {got.document.get('token_type')!r}")


@condition("EnsureMinimumAccessTokenLength")
def is_long(got: Got) -> None:
    """RFC 6749 §10.10."""
    must(len(got.document.get("access_token") or "") >= 22, "the access token is short")


@condition("DisallowAccessTokenInQuery")
def refuses_a_token_in_its_url(got: Got) -> None:
    """§5.3.4."""
    must(400 <= got.status < 500, f"the status is {got.status}")


@condition("ValidateCHash")
def has_no_code_hash(claims: Claims) -> None:
    """OpenID Connect Core §3.3.2.11: there is nothing to tie an ID token to that comes from the token endpoint."""
    must("c_hash" not in claims, "there is a c_hash")


@condition("ValidateSHash")
def has_no_state_hash(claims: Claims) -> None:
    """The same of the state."""
    must("s_hash" not in claims, "there is an s_hash")


@condition("CheckForDateHeaderInResourceResponse")
def says_when(got: Got) -> None:
    """RFC 9110 §6.6.1."""
    must(got.header("date"), "there is no Date")


@condition("CheckIfOidcStandardClaimsSupported")
def knows_claims(metadata: Claims) -> None:
    """OpenID Connect Discovery §3."""
    holds(metadata, "claims_supported", "name", "email")


@condition("EnsureIdentityClaimsContainRequestedClaims")
def has_what_was_asked(known: Claims, wanted: list[str]) -> None:
    """OpenID Connect Core §5.5: in the ID token or at userinfo."""
    missing = sorted(set(wanted) - known.keys())
    must(not missing, f"nobody says {missing}")


@condition("CheckForUnexpectedClaimsInUserinfo")
def tells_nothing_unasked(claims: Claims, wanted: list[str]) -> None:
    """OpenID Connect Core §5.5: what nobody knows is left out."""
    must(claims.keys() <= {"sub", *wanted}, f"there is {sorted(claims.keys() - {'sub', *wanted})} too")


def _login(condition_name: str) -> Callable[[Judge, Page | Arrival], None]:
    @condition(condition_name)
    def asserted(came: Page | Arrival) -> None:
        must(isinstance(came, Page) and came.got.status == 200 and came.form("password"), "it does not ask to sign in")

    return asserted


asks_to_sign_in = _login("ExpectLoginPage")


@condition("ValidateRefreshTokenNotRotated")
def is_not_rotated(got: Got, before: str) -> None:
    """§5.3.2.1."""
    must(got.document.get("refresh_token", before) == before, "the refresh token is another")


@condition("ServerAllowedExpiredAuthorizationCode")
def is_too_late(got: Got) -> None:
    """§5.3.2.1: a minute."""
    must(got.status != 200, "a code was good for more than a minute")


@condition("DisallowTLS10")
def refuses_tls_10(found: Agreed | None) -> None:
    """§5.2.1."""
    must(found is None, f"it takes {found}")


@condition("DisallowTLS11")
def refuses_tls_11(found: Agreed | None) -> None:
    """§5.2.1."""
    must(found is None, f"it takes {found}")


@condition("EnsureTLS12RequireBCP195Ciphers")
def takes_tls_12_well(found: Agreed | None) -> None:
    """§5.2.2: where it takes TLS 1.2, then by these suites."""
    must(found is not None and found.version == "TLSv1.2" and found.cipher in GOOD, f"it takes {found}")


@condition("RequireOnlyBCP195RecommendedCiphersForTLS12")
def takes_no_other_suite(found: Agreed | None) -> None:
    """§5.2.2."""
    must(found is None, f"it takes {found}")


@condition("EnsureTLS13PreferredOverTLS12")
def prefers_tls_13(found: Agreed | None) -> None:
    """RFC 9325 §3.1.1."""
    must(found is not None and found.version == "TLSv1.3", f"it takes {found}")


@condition("ValidateIdTokenSignature")
def is_signed_well(token: str) -> None:
    """§5.4.1: by one of three algorithms."""
    must(header(token).get("alg") in ALGORITHMS, f"alg is {header(token).get('alg')!r}")


def discovery(judge: Judge, metadata: Claims, oauth: Claims, issuer: str) -> None:
    """All that is asked of the metadata beyond what OpenID Connect asks."""
    is_where_oauth_looks(judge, f"{issuer}{OAUTH}")
    speaks_of_itself_there_too(judge, oauth, issuer)
    for asks in (
        answers_codes,
        takes_challenges,
        names_itself,
        takes_pushed_requests,
        says_whether_all_are_pushed,
        reads_good_algorithms,
    ):
        asks(judge, metadata)


def pushed(judge: Judge, got: Got) -> None:
    """All that is asked of an answer to a pushed request."""
    for asks in (is_pushed, has_a_request_uri, expires, is_hard_to_guess):
        asks(judge, got)


def shaken(judge: Judge, heard: Heard) -> None:
    """All that is asked of TLS."""
    refuses_tls_10(judge, heard.older)
    refuses_tls_11(judge, heard.old)
    takes_tls_12_well(judge, heard.tls12)
    takes_no_other_suite(judge, heard.weak)
    prefers_tls_13(judge, heard.either)
