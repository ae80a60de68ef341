"""The modules of the FAPI 2.0 plan in which a person is signed in, and in which the person decides otherwise."""

from __future__ import annotations

import json
import time
from typing import Any, Final

from tests.stories.oidf import shaking
from tests.stories.oidf.browser import Arrival
from tests.stories.oidf.case import Case
from tests.stories.oidf.conditions import answers, discovery, fapi2, id_token, userinfo
from tests.stories.oidf.relying import CALLBACK as CALLBACK
from tests.stories.oidf.relying import Relying, begins
from tests.stories.oidf.runs.basic import Run
from tests.stories.oidf.signing import Proof, ec
from tests.stories.oidf.tokens import Claims
from tests.stories.oidf.wire import Got

BEHIND: Final = -10
AHEAD: Final = 8
"""Seconds by which the clock of a good client may be off (§5.3.2.1); a little less where the way takes its time too."""
TELLING: Final = ("name", "email", "given_name", "family_name", "phone_number", "address", "birthdate")


def discovery_verification(case: Case) -> None:
    """Every member of it, in both documents."""
    begins(case)
    url = f"{case.issuer}{discovery.WELL_KNOWN}"
    discovery.is_where_it_is_looked_for(case.judge, url)
    discovery.speaks_of_itself(case.judge, case.metadata, url)
    for asks in DISCOVERED:
        asks(case.judge, case.metadata)
    oauth = case.wire.get(f"{case.issuer}{fapi2.OAUTH}").document
    fapi2.discovery(case.judge, case.metadata, oauth, case.issuer)


DISCOVERED: Final = (
    discovery.has_a_good_issuer,
    discovery.is_well_formed,
    discovery.is_known,
    discovery.takes_openid,
    discovery.has_subjects,
    discovery.authorizes,
    discovery.issues,
    discovery.registers,
    discovery.publishes,
    discovery.has_good_scopes,
    discovery.has_language_tags,
    discovery.spells_language_tags,
)


def happy_flow(case: Case) -> None:
    """Two clients, one after the other; the resource in all ways that a client may ask; and TLS."""
    one = begins(case)
    case.judge.did("GenerateDpopKey", "AddDpopJktToAuthorizationEndpointRequest")
    signed = one.flow(dpop_jkt=one.proof.key.jkt)
    id_token.has_nothing_else(case.judge, signed.claims)
    case.judge.did(*ASKING_IN_MANY_WAYS)
    for headers in ASKED_IN_MANY_WAYS:
        made = one.proof.made("GET", one.resource, signed.access_token)
        one.served(one.call({**headers, "Authorization": f"DPoP {signed.access_token}", "DPoP": made}))
    made = one.proof.made("GET", one.resource, signed.access_token)
    misplaced = one.call({"DPoP": made}, {"access_token": signed.access_token})
    takes_no_token_in_its_url(case, misplaced)
    case.judge.did("ExtractTLSTestValuesFromResourceConfiguration", "ExtractTLSTestValuesFromOBResourceConfiguration")
    fapi2.shaken(case.judge, shaking.asked(case.provider.port))
    one.as_the_other().flow()


ASKED_IN_MANY_WAYS: Final[tuple[dict[str, str], ...]] = (
    {"Accept": "application/json; charset=utf-8", "x-fapi-customer-ip-address": "2001:db8::1893:25c8:1946"},
    {"Accept": "application/json, */*;q=0.1"},
    {},
)
ASKING_IN_MANY_WAYS: Final = (
    "SetUtf8JsonAcceptHeadersForResourceEndpointRequest",
    "SetPermissiveAcceptHeaderForResourceEndpointRequest",
    "ClearAcceptHeaderForResourceEndpointRequest",
    "AddIpV6FapiCustomerIpAddressToResourceEndpointRequest",
)


def takes_no_token_in_its_url(case: Case, got: Got) -> None:
    """Its logs would keep it."""
    fapi2.refuses_a_token_in_its_url(case.judge, got)
    userinfo.is_refused(case.judge, got)


def user_rejects_authentication(case: Case) -> None:
    """The person denies it."""
    one = begins(case).as_the_other()
    case.person.answers = "deny"
    asked = one.request()
    came = one.authorize(asked)
    assert isinstance(came, Arrival), "the person stayed"
    for asks in fapi2.NOT_IN_THE_FRAGMENT:
        asks(case.judge, came)
    answers.keeps_the_query(case.judge, came, one.client.redirect_uri)
    answer = {name: value for name, value in came.query.items() if not name.startswith("dummy")}
    answers.refusal(case.judge, answer, case.issuer, asked["state"])
    fapi2.is_denied(case.judge, answer)


def without_state(case: Case) -> None:
    """None is sent, and none comes back."""
    one = begins(case).as_the_other()
    asked = one.request(state=None)
    came = one.authorize(asked)
    if isinstance(came, Arrival):
        fapi2.has_no_state(case.judge, came.query)
    case.judge.did("ExtractAuthorizationCodeFromAuthorizationResponse")
    signed = one.after(came, asked)
    one.served(one.resource_with(signed.access_token))


def with_request(*steps: str, **asked: str | None) -> Run:
    """A flow whose request has something more, or something less."""

    def run(case: Case) -> None:
        case.judge.did(*steps)
        begins(case).flow(None, **asked)

    return run


def with_proofs(*steps: str, skew: int = 0, **times: int) -> Run:
    """A flow whose proofs are not the usual ones, and good nevertheless. `times`: claims, in seconds from now."""

    def run(case: Case) -> None:
        case.judge.did(*steps)
        one = begins(case)
        now = int(time.time())
        one.proof = Proof(ec(), claims={name: now + seconds for name, seconds in times.items()}, skew=skew)
        one.flow(one.proof)

    return run


def bound_code(case: Case) -> None:
    """The code is bound by `dpop_jkt`, and by the proof of the pushed request too."""
    case.judge.did("GenerateDpopKey", "AddDpopJktToAuthorizationEndpointRequest")
    one = begins(case)
    one.flow(one.proof, dpop_jkt=one.proof.key.jkt)


def beside(*steps: str, inside: dict[str, str | None], **outside: str) -> Run:
    """A flow in which the URL says something else than what was pushed: it is as if it said nothing."""

    def run(case: Case) -> None:
        case.judge.did(*steps)
        one = begins(case)
        asked = one.request(**inside)
        came = one.authorize(asked, None, **outside)
        if isinstance(came, Arrival) and "state" not in asked:
            fapi2.has_no_state(case.judge, came.query)
        signed = one.after(came, asked)
        one.served(one.resource_with(signed.access_token))

    return run


def without_duplicates(case: Case) -> None:
    """The URL has a client_id and a request_uri, and nothing else."""
    case.judge.did("BuildRequestObjectByReferenceRedirectToAuthorizationEndpointWithoutDuplicates")
    one = begins(case)
    asked = one.request()
    link = case.link({"client_id": one.client.client_id, "request_uri": one.pushed(asked)})
    signed = one.after(case.person.authorize(link), asked)
    one.served(one.resource_with(signed.access_token))


def claims_parameter(case: Case) -> None:
    """All that the server says that it knows, asked for by name in many ways, and something that nobody knows."""
    one = begins(case)
    fapi2.knows_claims(case.judge, case.metadata)
    case.judge.did(
        "AddAllSupportedStandardClaimsToAuthorizationEndpointRequestIdTokenAndUserinfoClaims",
        "AddRandomLocationClaimsToAuthorizationEndpointRequest",
        "ExtractIdentityClaimsFromIdToken",
        "CreateEmptyResourceEndpointRequestHeaders",
        "SetProtectedResourceUrlToUserInfoEndpoint",
        "ExtractUserInfoFromUserInfoEndpointResponse",
        "AddIdentityClaimsFromUserInfo",
    )
    signed = one.flow(claims=json.dumps({"id_token": every_way(), "userinfo": every_way()}))
    got = one.resource_with(signed.access_token)
    userinfo.is_ok(case.judge, got)
    claims = one.served(got)
    userinfo.good(case.judge, claims, signed.claims)
    fapi2.has_what_was_asked(case.judge, {**claims, **signed.claims}, list(TELLING))
    fapi2.tells_nothing_unasked(case.judge, claims, list(TELLING))


def every_way() -> Claims:
    """What is asked of each claim, each in another way (OpenID Connect Core §5.5.1)."""
    ways: list[Any] = [None, {"essential": True}, {"essential": False}, {"purpose": "to greet you"}]
    asked = {name: ways[number % len(ways)] for number, name in enumerate(TELLING)}
    return {**asked, "favourite_colour_of_nobody": None}


def scheme_in_another_case(case: Case) -> None:
    """A scheme is the same in capitals and in small letters (RFC 9110 §11.1)."""
    case.judge.did("SetAccessTokenTypeToInvertedCase")
    one = begins(case)
    signed = one.flow()
    one.served(one.resource_with(signed.access_token, scheme="dpOp"))


def twice_before_the_end(case: Case) -> None:
    """Somebody comes by the link, does nothing, and comes by it again (§5.3.2.2, note 3)."""
    one: Relying = begins(case)
    asked = one.request()
    link = one.link(one.pushed(asked), asked)
    fapi2.asks_to_sign_in(case.judge, case.browser.visit(link))
    signed = one.after(case.person.authorize(link), asked)
    one.served(one.resource_with(signed.access_token))
