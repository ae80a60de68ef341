"""The modules of the basic plan, and of the form_post plan, which runs the same by another response mode."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from tests.stories.oidf.case import POST, Asked, Case, Client, Signed
from tests.stories.oidf.conditions import answers, id_token, pages, token, userinfo
from tests.stories.oidf.judge import condition, must
from tests.stories.oidf.page import Page
from tests.stories.oidf.tokens import Claims

PAST_A_SECOND: Final = 1.1
LANGUAGES: Final = ("es", "se")
"""The second is none that the server speaks."""
VERIFIER: Final = "a-verifier-of-more-than-forty-three-characters-01"
Run = Callable[[Case], None]


def whole(case: Case, client: Client, **asked: str | None) -> tuple[Signed, Claims]:
    """A flow, and what userinfo tells after it."""
    signed = case.flow(client, **asked)
    return signed, case.person_of(case.userinfo(signed.access_token), signed)


def with_request(*steps: str, **asked: str | None) -> Run:
    """A flow whose request has something more, or something less."""

    def run(case: Case) -> None:
        case.judge.did(*steps)
        whole(case, case.start(), **asked)

    return run


def server(case: Case) -> None:
    """A plain flow, looked at closely."""
    signed, _ = whole(case, case.start())
    id_token.has_no_name(case.judge, signed.claims)
    id_token.has_nothing_else(case.judge, signed.claims)
    case.judge.did("ExtractAtHash")


def client_secret_post(case: Case) -> None:
    """A plain flow with the secret in the body."""
    case.variant = replace(case.variant, auth_method=POST)
    whole(case, case.start())


def response_type_missing(case: Case) -> None:
    """Nobody is guessed at: the relying party hears of it."""
    client = case.start()
    asked = case.request(client, response_type=None)
    answers.is_about_the_response_type(case.judge, case.denied(case.authorize(asked), asked))


def idtoken_signature(case: Case) -> None:
    """RS256 where nothing was registered."""
    signed, _ = whole(case, case.start())
    id_token.has_a_kid(case.judge, signed.id_token)
    id_token.is_rs256(case.judge, signed.id_token)


def userinfo_post_header(case: Case) -> None:
    """By POST, the token in a header."""
    signed = case.flow(case.start())
    case.judge.did("SetResourceMethodToPost")
    case.person_of(case.userinfo(signed.access_token, "POST"), signed)


def userinfo_post_body(case: Case) -> None:
    """By POST, the token in the form."""
    signed = case.flow(case.start())
    case.judge.did("SetResourceMethodToPost", "CallUserInfoEndpointWithBearerTokenInBody")
    got = case.wire.post(str(case.metadata["userinfo_endpoint"]), {"access_token": signed.access_token})
    userinfo.takes_a_token_in_a_form(case.judge, got)
    case.person_of(got, signed)


def scope(*scopes: str) -> Run:
    """Everything that these scopes ask for, and at userinfo only."""
    step = "SetScopeInClientConfigurationToOpenId" + "".join(name.title() for name in scopes)

    def run(case: Case) -> None:
        case.judge.did(step)
        signed, claims = whole(case, case.start(), scope=" ".join(("openid", *scopes)))
        userinfo.has_what_was_asked(case.judge, claims, list(scopes))
        if "email" in scopes:
            id_token.has_no_name(case.judge, signed.claims)
            id_token.has_no_email(case.judge, signed.claims)
        if "profile" not in scopes:
            userinfo.has_no_name(case.judge, claims)

    return run


def alternate_happy_flow(case: Case) -> None:
    """In another order."""
    client = case.start()
    asked = case.request(client, scope="phone address email openid")
    backwards: Asked = dict(reversed(asked.items()))
    case.judge.did(
        "ReverseScopeOrderInAuthorizationEndpointRequest", "BuildPlainRedirectToAuthorizationEndpointReorderedParams"
    )
    signed = case.after(client, backwards, case.authorize(backwards))
    claims = case.person_of(case.userinfo(signed.access_token), signed)
    userinfo.has_what_was_asked(case.judge, claims, ["phone", "address", "email"])
    userinfo.has_no_name(case.judge, claims)
    id_token.has_no_name(case.judge, signed.claims)
    id_token.has_no_email(case.judge, signed.claims)


def asked_twice(case: Case, wait: float, *steps: str, **asked: str) -> Signed:
    """Signed in, and asked to sign in again."""
    client = case.start()
    first, _ = whole(case, client)
    time.sleep(wait)  # what is measured is in whole seconds: this is the time itself, not a wait for something
    shown = len(case.browser.seen)
    case.judge.did(*steps)
    second, _ = whole(case, client, **asked)
    pages.asked_again(case.judge, case.browser.seen[shown:])
    id_token.is_later(case.judge, second.claims, first.claims)
    return second


def prompt_login(case: Case) -> None:
    """A session is there, and does not do."""
    asked_twice(case, PAST_A_SECOND, "WaitForOneSecond", "AddPromptLoginToAuthorizationEndpointRequest", prompt="login")


def max_age_1(case: Case) -> None:
    """The session is two seconds old."""
    second = asked_twice(case, 2.0, "WaitFor2Seconds", "AddMaxAge1ToAuthorizationEndpointRequest", max_age="1")
    id_token.says_when(case.judge, second.claims)
    id_token.is_recent(case.judge, second.claims, 1)


def at_once(case: Case, client: Client, first: Signed, *steps: str, **asked: str) -> Signed:
    """A second time, while the person does nothing."""
    case.judge.did(*steps)
    request = case.request(client, **asked)
    second = case.after(client, request, case.silently(request))
    id_token.is_of_the_same_moment(case.judge, second.claims, first.claims)
    id_token.is_of_the_same_person(case.judge, second.claims, first.claims)
    return second


def prompt_none_logged_in(case: Case) -> None:
    """A session and a consent are there."""
    client = case.start()
    first, _ = whole(case, client)
    at_once(case, client, first, "AddPromptNoneToAuthorizationEndpointRequest", prompt="none")


def id_token_hint(case: Case) -> None:
    """The relying party says for whom."""
    client = case.start()
    first, _ = whole(case, client)
    steps = (
        "AddPromptNoneToAuthorizationEndpointRequest",
        "AddIdTokenHintFromFirstLoginToAuthorizationEndpointRequest",
    )
    at_once(case, client, first, *steps, prompt="none", id_token_hint=first.id_token)


def max_age_10000(case: Case) -> None:
    """The session is young enough."""
    client = case.start()
    case.judge.did("AddMaxAge15000ToAuthorizationEndpointRequest")
    first, _ = whole(case, client, max_age="15000")
    id_token.says_when(case.judge, first.claims)
    second = at_once(case, client, first, "AddMaxAge10000ToAuthorizationEndpointRequest", max_age="10000")
    id_token.says_when(case.judge, second.claims)


def prompt_none_not_logged_in(case: Case) -> None:
    """Nobody is signed in, and nobody may be asked."""
    client = case.start()
    case.judge.did("AddPromptNoneToAuthorizationEndpointRequest")
    asked = case.request(client, prompt="none")
    answers.needs_a_person(case.judge, case.denied(case.silently(asked), asked))


def login_hint(case: Case) -> None:
    """The relying party believes to know who comes."""
    case.judge.did("AddLoginHintFromConfigurationToAuthorizationEndpointRequest")
    whole(case, case.start(), login_hint=case.person.email)


@condition("AddUiLocalesFromConfigurationToAuthorizationEndpointRequest")
def speaks(seen: list[Page], language: str) -> None:
    """Every page that was shown is in the language that was asked for (OpenID Connect Core §3.1.2.1)."""
    spoken = {page.language.lower() for page in seen if page.words}
    must(seen and spoken <= {language}, f"it speaks {sorted(spoken)}")


def ui_locales(case: Case) -> None:
    """In Spanish."""
    client = case.start()
    case.judge.did("AddUiLocalesFromConfigurationToAuthorizationEndpointRequest")
    whole(case, client, ui_locales=" ".join(LANGUAGES))
    speaks(case.judge, [page for page in case.browser.seen if page.form("csrf")], LANGUAGES[0])


def acr_values(case: Case) -> None:
    """One of those that are advertised."""
    client = case.start()
    wanted = [str(value) for value in case.metadata.get("acr_values_supported", ("1", "2"))]
    case.judge.did("OIDCCAddAcrValuesToAuthorizationEndpointRequest")
    signed, _ = whole(case, client, acr_values=" ".join(wanted))
    id_token.has_an_asked_acr(case.judge, signed.claims, wanted)


def reused(case: Case, client: Client, signed: Signed) -> None:
    """The code once more."""
    got = case.redeem(client, signed.answer["code"])
    token.is_used_once(case.judge, got)
    token.is_refused(case.judge, got)
    token.is_about_the_grant(case.judge, got)
    token.refused(case.judge, got)


def codereuse(case: Case) -> None:
    """At once."""
    client = case.start()
    signed, _ = whole(case, client)
    reused(case, client, signed)


def codereuse_30seconds(case: Case) -> None:
    """Half a minute later, and what the first use brought dies."""
    client = case.start()
    signed, _ = whole(case, client)
    case.judge.did("WaitFor30Seconds")
    case.pause(30)
    reused(case, client, signed)
    case.judge.did("CallProtectedResource")
    userinfo.is_refused(case.judge, case.userinfo(signed.access_token))


def registered_redirect_uri(case: Case) -> None:
    """To an address that nobody has registered."""
    client = case.start()
    case.judge.did("CreateBadRedirectUriByAppending")
    pages.bad_redirect_uri(
        case.judge, case.authorize(case.request(client, redirect_uri=f"{client.redirect_uri}/elsewhere"))
    )


def post_request(case: Case) -> None:
    """The request comes by POST from the relying party's page."""
    client = case.start()
    asked = case.request(client)
    came = case.person.finish(case.browser.post(str(case.metadata["authorization_endpoint"]), asked))
    pages.came_back(case.judge, came)
    signed = case.after(client, asked, came)
    case.person_of(case.userinfo(signed.access_token), signed)


def claims_essential(case: Case) -> None:
    """The name, and nothing but it."""
    client = case.start()
    wanted = json.dumps({"userinfo": {"name": {"essential": True}}})
    signed, claims = whole(case, client, claims=wanted)
    userinfo.has_the_name(case.judge, claims)
    id_token.has_no_name(case.judge, signed.claims)


def valid_pkce(case: Case) -> None:
    """A relying party that does more than it has to."""
    client = case.start()
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    asked = case.request(client, code_challenge=challenge, code_challenge_method="S256")
    case.judge.did("AddCodeVerifierToTokenEndpointRequest")
    signed = case.after(client, asked, case.authorize(asked), code_verifier=VERIFIER)
    case.person_of(case.userinfo(signed.access_token), signed)
