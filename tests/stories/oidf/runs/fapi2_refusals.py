"""The modules of the FAPI 2.0 plan in which the server refuses: a pushed request, a link, a code."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from tests.stories.oidf import shaking
from tests.stories.oidf.browser import Arrival
from tests.stories.oidf.case import Asked, Case
from tests.stories.oidf.conditions import fapi2, pages, registration, token, userinfo
from tests.stories.oidf.judge import Judge
from tests.stories.oidf.relying import Relying, begins
from tests.stories.oidf.runs.basic import Run
from tests.stories.oidf.signing import LEFT_OUT as LEFT_OUT
from tests.stories.oidf.signing import Proof, ec
from tests.stories.oidf.wire import Got

PAST_A_MINUTE: Final = 62
AHEAD: Final = 8
TOO_FAR: Final = 70
"""Seconds."""
Asks = Callable[[Judge, Got], None]
Tells = Callable[[Judge, Asked], None]


# Pushed requests


def not_pushed(asks: Asks, *steps: str, **asked: str | None) -> Run:
    """A pushed request that is refused for what it asks."""

    def run(case: Case) -> None:
        case.judge.did(*steps)
        one = begins(case)
        got = one.push(one.request(**asked))
        asks(case.judge, got)
        registration.is_json(case.judge, got)

    return run


def other_response_type(response_type: str) -> Run:
    """Tokens in URLs are not for anybody."""

    def run(case: Case) -> None:
        name = "".join(word.replace("_", "").title() for word in response_type.split())
        case.judge.did(f"SetAuthorizationEndpointRequestResponseTypeTo{name}")
        one = begins(case)
        got = one.push(one.request(response_type=response_type))
        userinfo.is_refused(case.judge, got)
        fapi2.is_another_response_type(case.judge, got)
        registration.is_json(case.judge, got)

    return run


def object_without_redirect_uri(case: Case) -> None:
    """A request object that the client has signed and pushed says everything but where to."""
    case.judge.did("RemoveRedirectUriFromRequestObject")
    one = begins(case)
    asked, now = one.request(redirect_uri=None), int(time.time())
    claims = {**asked, "iss": one.client.client_id, "aud": case.issuer, "iat": now, "nbf": now, "exp": now + 60}
    text = one.client.key.sign({"alg": one.client.key.alg, "kid": one.client.key.public["kid"]}, claims)
    got = one.push({"client_id": one.client.client_id, "request": text})
    fapi2.is_invalid_object(case.judge, got)
    registration.is_json(case.judge, got)


def bad_redirect_uri(case: Case) -> None:
    """To an address that nobody has registered."""
    case.judge.did("CreateBadRedirectUriByAppending")
    one = begins(case)
    got = one.push(one.request(redirect_uri=f"{one.client.redirect_uri}/{case.name}"))
    fapi2.is_invalid_object(case.judge, got)
    registration.is_json(case.judge, got)


def other_key_at_par(case: Case) -> None:
    """`dpop_jkt` names another key than the proof beside it."""
    case.judge.did("GenerateDpopKey", "AddInvalidDpopJktToAuthorizationEndpointRequest")
    one = begins(case)
    got = one.push(one.request(dpop_jkt=ec().jkt), one.proof)
    fapi2.is_another_key(case.judge, got)
    registration.is_json(case.judge, got)


def other_method(case: Case) -> None:
    """`/par` takes a POST, and nothing else."""
    one = begins(case)
    url = str(case.metadata["pushed_authorization_request_endpoint"])
    got = case.wire.get(f"{url}?client_id={one.client.client_id}")
    fapi2.refuses_a_method(case.judge, got)
    registration.is_json(case.judge, got)


def not_authenticated(step: str, **claims: Any) -> Run:
    """A pushed request with an assertion that is not good. `claims`: as `ill_asserted` has them."""

    def run(case: Case) -> None:
        case.judge.did(step, *AT_PAR)
        one = begins(case)
        got = one.push(one.request(), **ill_asserted(one, claims))
        fapi2.is_refused(case.judge, got)
        fapi2.knows_no_such_client(case.judge, got)
        registration.is_json(case.judge, got)

    return run


def nbf_ahead(case: Case) -> None:
    """The client's clock is a little ahead (§5.3.2.1)."""
    case.judge.did("AddIatNbf8SecondsInTheFutureToClientAuthenticationAssertionClaims", *AT_PAR)
    one = begins(case)
    asked, then = one.request(), int(time.time()) + AHEAD
    link = one.link(one.pushed(asked, iat=then, nbf=then), asked)
    signed = one.after(case.person.authorize(link), asked)
    one.served(one.resource_with(signed.access_token))


AT_PAR: Final = (
    "CreateClientAuthenticationAssertionClaims",
    "UpdateClientAuthenticationAssertionClaimsWithISSAud",
    "CreateClientAuthenticationAssertionClaimsWithIssAudience",
    "SignClientAuthenticationAssertion",
    "AddClientAssertionToRequest",
)


def ill_asserted(one: Relying, claims: dict[str, Any]) -> dict[str, Any]:
    """Claims of an assertion: an audience by the name of its endpoint, times by seconds from now."""
    now, found = int(time.time()), dict(claims)
    for name in {"iat", "nbf", "exp"} & found.keys():
        found[name] = now + found[name]
    if "aud_of" in found:
        found["aud"] = str(one.case.metadata[found.pop("aud_of")])
    if found.get("aud") == []:
        found["aud"] = [one.case.issuer, "https://other.example/"]
    return found


# Links


def not_pushed_at_all(case: Case) -> None:
    """Everything stands in the URL."""
    case.judge.did("BuildPlainRedirectToAuthorizationEndpoint")
    one = begins(case)
    asked = one.request()
    answer = case.denied(case.silently(asked), asked)
    fapi2.is_told_invalid(case.judge, answer)


def is_no_link(case: Case, one: Relying, request_uri: str, asked: Asked, tells: Tells) -> None:
    """The person reads that this link is good for nothing; where it says whom to tell, they are told."""
    pages.bad_request_uri(case.judge, case.person.authorize(one.link(request_uri, asked)))
    where = {name: asked[name] for name in ("redirect_uri", "state")}
    came = case.person.authorize(one.link(request_uri, asked, **where))
    tells(case.judge, came.query if isinstance(came, Arrival) else {})


def reused_request_uri(case: Case) -> None:
    """Who came by it has been signed in."""
    case.judge.did("BuildRequestObjectByReferenceRedirectToAuthorizationEndpoint")
    one = begins(case)
    asked = one.request()
    request_uri = one.pushed(asked)
    signed = one.after(case.person.authorize(one.link(request_uri, asked)), asked)
    one.served(one.resource_with(signed.access_token))
    is_no_link(case, one, request_uri, asked, fapi2.is_told_of_the_uri)


def expired_request_uri(case: Case) -> None:
    """Nobody came by it in time."""
    case.judge.did("BuildRequestObjectByReferenceRedirectToAuthorizationEndpoint", "WaitForExpiry")
    one = begins(case)
    asked = one.request()
    request_uri = one.pushed(asked)
    case.pause(PAST_A_MINUTE)
    is_no_link(case, one, request_uri, asked, fapi2.is_told_of_the_uri)


def request_uri_of_another(case: Case) -> None:
    """Another client sends somebody by it."""
    case.judge.did("BuildRequestObjectByReferenceRedirectToAuthorizationEndpoint")
    case.judge.did("AddClientIdToAuthorizationEndpointRequest")
    one = begins(case)
    asked = one.request()
    request_uri = one.pushed(asked)
    stolen = {**asked, "client_id": one.other.client_id, "redirect_uri": one.other.redirect_uri}
    is_no_link(case, one, request_uri, stolen, fapi2.is_told_of_the_link)


# Codes


def refused(case: Case, got: Got, *asks: Asks) -> None:
    """What is asked of a refusal of the token endpoint, by these conditions and by those that hold for all."""
    for one in asks:
        one(case.judge, got)
    token.refused(case.judge, got)


def no_tokens(*asks: Asks, steps: tuple[str, ...] = (), alg: str = "", **claims: Any) -> Run:
    """A good code, and an assertion that is not. `claims`: as `ill_asserted` has them."""

    def run(case: Case) -> None:
        case.judge.did(*steps)
        one = begins(case)
        code = one.code()
        refused(case, one.redeem(code, alg=alg, **ill_asserted(one, claims)), *asks)

    return run


def with_form(*asks: Asks, steps: tuple[str, ...] = (), **form: Any) -> Run:
    """A good code, and a form that has something else."""

    def run(case: Case) -> None:
        case.judge.did(*steps)
        one = begins(case)
        code = one.code()
        refused(case, one.redeem(code, form), *asks)

    return run


def without_assertion(case: Case) -> None:
    """The client only says who it is."""
    case.judge.did("AddClientIdToRequest")
    one = begins(case)
    code = one.code()
    got = one.redeem(code, who={"client_id": one.client.client_id})
    refused(case, got, token.is_refused_as_a_client, fapi2.is_no_client)


def other_client_id(case: Case) -> None:
    """One client's assertion, beside another's name."""
    case.judge.did("AddClientIdToRequest")
    one = begins(case)
    code = one.code()
    got = one.redeem(code, {"client_id": one.other.client_id})
    refused(case, got, token.is_refused_as_a_client, fapi2.is_no_client_or_grant)


def without_proof(case: Case) -> None:
    """Nothing shows a key that the token could be bound to."""
    case.judge.did("ExtractTLSTestValuesFromServerConfiguration", "CallTokenEndpointAllowingTLSFailure")
    case.judge.did("RemoveMTLSCertificates")
    one = begins(case)
    code = one.code()
    got = one.redeem(code, proof=None)
    refused(case, got, token.is_refused_as_a_client, fapi2.is_not_proven)
    userinfo.is_refused(case.judge, got)
    fapi2.shaken(case.judge, shaking.asked(case.provider.port))


def code_of_another(case: Case) -> None:
    """A code that leaked, and a client that is good otherwise."""
    one = begins(case)
    code = one.code()
    got = one.as_the_other().redeem(code, {"redirect_uri": one.client.redirect_uri})
    refused(case, got, token.is_refused, token.is_about_the_grant)


def other_key_than_pushed(case: Case) -> None:
    """The pushed request had a proof by one key, the code comes with a proof by another."""
    case.judge.did("GenerateDpopKey")
    one = begins(case)
    code = one.code(one.proof)
    refused(case, one.redeem(code, proof=Proof(ec())), fapi2.is_not_proven)


def other_key_than_named(case: Case) -> None:
    """`dpop_jkt` named one key, the code comes with a proof by another."""
    case.judge.did("GenerateDpopKey", "AddInvalidDpopJktToAuthorizationEndpointRequest")
    one = begins(case)
    code = one.code(dpop_jkt=ec().jkt)
    refused(case, one.redeem(code), fapi2.is_not_proven)


def code_reused(case: Case) -> None:
    """A second later; and what the first use brought dies."""
    case.judge.did("WaitForOneSecond")
    one = begins(case)
    signed = one.flow()
    case.pause(1)
    got = one.redeem(signed.answer["code"])
    refused(case, got, token.is_used_once, token.is_refused, token.is_about_the_grant)
    userinfo.is_refused(case.judge, one.resource_with(signed.access_token))


def code_expired(case: Case) -> None:
    """A minute later."""
    case.judge.did("WaitFor62Seconds")
    one = begins(case)
    code = one.code()
    case.pause(PAST_A_MINUTE)
    refused(case, one.redeem(code), fapi2.is_too_late, token.is_refused, token.is_about_the_grant)


def other_verifier(case: Case) -> None:
    """A `code_verifier` of another request."""
    case.judge.did("CreateRandomCodeVerifier")
    one = begins(case)
    code = one.code()
    got = one.redeem(code, {"code_verifier": "another-" + one.verifier})
    refused(case, got, token.is_refused, token.is_about_the_grant)


NO_VERIFIER: Final[dict[str, Any]] = {"code_verifier": LEFT_OUT}


# Refresh tokens


def refresh_token(case: Case) -> None:
    """It works for who got it, as often as it is needed, and not without who that is, nor without its key."""
    case.judge.did(*REFRESHING)
    one = begins(case)
    token.says_that_it_refreshes(case.judge, case.metadata)
    signed = one.flow(scope=OFFLINE, prompt="consent")
    first = str(signed.tokens.document.get("refresh_token", ""))
    token.refresh_is_printable(case.judge, signed.tokens.document)
    case.pause(1)
    form = {"grant_type": "refresh_token", "refresh_token": first, "scope": OFFLINE}
    for _ in range(2):  # it is not replaced, so it is good for a second time as well
        got = one.token(form)
        one.tokens_of(got, None)
        fapi2.is_not_rotated(case.judge, got, first)
        one.served(one.resource_with(str(got.document["access_token"])))
    ill_refreshed(case, one, form)


def ill_refreshed(case: Case, one: Relying, form: dict[str, str]) -> None:
    """By another client, by nobody, by nobody's key, by another key."""
    refused(case, one.as_the_other().token(form), token.is_refused, token.is_about_the_grant)
    nobody = one.token(form, who={"client_id": one.client.client_id})
    refused(case, nobody, fapi2.is_one_or_the_other, token.is_refused_as_a_client, fapi2.is_no_client)
    fapi2.is_no_client_grant_or_request(case.judge, nobody)
    userinfo.is_refused(case.judge, nobody)
    refused(case, one.token(form, proof=None), fapi2.is_not_proven)


OFFLINE: Final = "openid offline_access"
REFRESHING: Final = (
    "CreateRefreshTokenRequest",
    "AddScopeToTokenEndpointRequest",
    "AddPromptConsentToAuthorizationEndpointRequestIfScopeContainsOfflineAccess",
    "CallTokenEndpointAllowingTLSFailure",
    "CallTokenEndpointAllowingDpopNonceErrorOrTLSFailureAndReturnFullResponse",
)
