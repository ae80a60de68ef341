"""The modules of the dynamic plan that the basic plan has not: what a client registers, and what follows from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from tests.servers.loopback import until
from tests.stories.oidf import tokens
from tests.stories.oidf.browser import Browser, origin
from tests.stories.oidf.case import KEY as AUTHENTICATION
from tests.stories.oidf.case import Case, Client
from tests.stories.oidf.conditions import answers, discovery, id_token, pages, registration, userinfo
from tests.stories.oidf.conditions import keys as rotation
from tests.stories.oidf.judge import condition, must
from tests.stories.oidf.page import Page
from tests.stories.oidf.runs.basic import Run, whole
from tests.stories.oidf.runs.requests import inside, outside
from tests.stories.oidf.tokens import JWKS, Claims
from tests.stories.oidf.wire import Got

KEY: Final = "published"
LOGO: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cf"
    "c0f01f0005000201a2c4c0ff0000000049454e44ae426082"
)
"""A PNG of one pixel."""


def refused(case: Case, **wanted: Any) -> Got:
    """A registration that is to be refused, as an error of the client's."""
    got = case.apply(case.wanted(**wanted))
    registration.is_json(case.judge, got)
    registration.is_refused(case.judge, got)
    return got


@condition("AddIdTokenSigningAlgNoneToDynamicRegistrationRequest")
def signs_always(metadata: Claims) -> None:
    """`none` is not advertised."""
    must("none" not in metadata.get("id_token_signing_alg_values_supported", ()), "it says that it signs nothing")


def idtoken_unsigned(case: Case) -> None:
    """Not advertised, and refused."""
    case.discover()
    signs_always(case.judge, case.metadata)
    registration.is_about_metadata(case.judge, refused(case, id_token_signed_response_alg="none"))


def idtoken_rs256(case: Case) -> None:
    """As it was registered."""
    case.judge.did("AddIdTokenSigningAlgRS256ToDynamicRegistrationRequest")
    signed, _ = whole(case, case.start(id_token_signed_response_alg="RS256"))
    id_token.has_a_kid(case.judge, signed.id_token)
    id_token.is_by(case.judge, signed.id_token, "RS256")


def userinfo_rs256(case: Case) -> None:
    """userinfo as a JWT."""
    case.judge.did("AddUserinfoSignedResponseAlgRS256ToDynamicRegistrationRequest")
    case.discover()
    discovery.signs_userinfo_rs256(case.judge, case.metadata)
    client = case.register(userinfo_signed_response_alg="RS256")
    signed = case.flow(client)
    got = case.userinfo(signed.access_token)
    case.judge.did("CallUserInfoEndpoint", "ExtractSignedUserInfoFromUserInfoEndpointResponse")
    userinfo.is_ok(case.judge, got)
    userinfo.is_a_jwt(case.judge, got)
    userinfo.is_signed(case.judge, got.text, case.jwks)
    userinfo.is_rs256(case.judge, got.text)
    claims = tokens.claims(got.text)
    userinfo.is_for_us(case.judge, claims, case.issuer, client.client_id)
    userinfo.has_no_nonce(case.judge, claims)
    userinfo.good(case.judge, claims, signed.claims)


def redirect_uri_missing(case: Case) -> None:
    """Two are registered, and none is named."""
    case.judge.did(
        "AddMultipleRedirectUriToDynamicRegistrationRequest", "RemoveRedirectUriFromAuthorizationEndpointRequest"
    )
    client = case.start(redirect_uris=[case.callback, f"{case.callback}/2"])
    came = case.authorize(case.request(client, redirect_uri=None))
    answers.stays(case.judge, came)
    pages.no_redirect_uri(case.judge, came)


def redirect_uri_query(case: Case) -> None:
    """A query that was registered is kept."""
    case.judge.did("AddQueryToRedirectUri")
    whole(case, case.start(redirect_uris=[f"{case.callback}?dummy1=lorem&dummy2=ipsum"]))


def bad_query(registered: str, named: str, *steps: str) -> Run:
    """The query is not the one that was registered."""

    def run(case: Case) -> None:
        case.judge.did(*steps)
        client = case.start(redirect_uris=[case.callback + registered])
        pages.bad_redirect_uri(case.judge, case.authorize(case.request(client, redirect_uri=case.callback + named)))

    return run


def redirect_uri_fragment(case: Case) -> None:
    """A fragment is not registered."""
    case.judge.did("AddFragmentToRedirectUri")
    case.discover()
    registration.is_about_the_redirect_uri(case.judge, refused(case, redirect_uris=[f"{case.callback}#fragment"]))


@condition("OIDCCCheckDiscEndpointResponseTypesSupportedDynamic")
def answers_nothing_but_codes(metadata: Claims, got: Got, answer: dict[str, str]) -> None:
    """Tokens in URLs are neither advertised nor registered nor given (RFC 9700 §2.1.2)."""
    must(metadata.get("response_types_supported") == ["code"], f"it says {metadata.get('response_types_supported')}")
    must(got.status == 400 and got.document.get("error") == "invalid_client_metadata", f"it registers them: {got.text}")
    must(answer.get("error") == "unsupported_response_type", f"it answers {answer.get('error')!r}")


@condition("OIDCCCheckDiscEndpointGrantTypesSupportedDynamic")
def has_no_implicit_grant(metadata: Claims) -> None:
    """It is not advertised either."""
    must("implicit" not in metadata.get("grant_types_supported", ()), "it says that it has the implicit grant")


def discovery_verification(case: Case) -> None:
    """The metadata; the response types that a dynamic provider would have beside `code` are refused everywhere."""
    got = case.discover()
    discovery.good(case.judge, got, f"{case.issuer}{discovery.WELL_KNOWN}")
    discovery.has_usable_keys(case.judge, case.jwks, case.metadata)
    discovery.has_no_other_keys(case.judge, case.jwks)
    registered = case.apply(case.wanted(response_types=["id_token"], grant_types=["implicit"]))
    client = case.register()
    came = case.silently(case.request(client, response_type="id_token", response_mode="query"))
    answer = {} if isinstance(came, Page) else came.query
    answers_nothing_but_codes(case.judge, case.metadata, registered, answer)
    has_no_implicit_grant(case.judge, case.metadata)


def at_home(case: Case) -> list[str]:
    """People return to the host where the documents lie, or nobody vouches for these (Registration §9.1)."""
    return [f"{case.listener.origin}/{case.name}/callback"]


def login_page(case: Case, client: Client) -> Page | None:
    """The page to sign in at; the flow is finished after it."""
    asked = case.request(client)
    case.after(client, asked, case.authorize(asked))
    return next((page for page in case.browser.seen if page.form("password")), None)


def logo_uri(case: Case) -> None:
    """The picture is shown, and the browser asks nobody but the issuer for it."""
    case.judge.did("CreateLogoUri", "AddLogoUriToDynamicRegistrationRequest")
    uri = case.listener.publish(f"/{case.name}/logo.png", "image/png", LOGO)
    client = case.start(logo_uri=uri, redirect_uris=at_home(case))
    # It is fetched beside the registration, and nobody's sign-in waits for it.
    with suppress(AssertionError):
        until(lambda: LOGO in pictures(case, shown(case, client)), case.patience(20), 0.1)
    login = login_page(case, client)
    pages.shows_the_logo(case.judge, login, pictures(case, login), LOGO)


def shown(case: Case, client: Client) -> Page | None:
    """The page that somebody sees who comes for the first time."""
    page = Browser(case.wire, case.issuer).visit(case.link(case.request(client)))
    return page if isinstance(page, Page) else None


def pictures(case: Case, page: Page | None) -> list[bytes]:
    """Those of a page that come from the issuer; a browser asks nobody else for one."""
    return [case.browser.fetch(url) for url in (page.pictures if page else ()) if origin(url) == case.issuer]


def linked(name: str, asks: Callable[..., None], *steps: str) -> Run:
    """A document that is linked where the person signs in."""

    def run(case: Case) -> None:
        case.judge.did(*steps)
        uri = f"{case.listener.origin}/{case.name}/{name}.html"
        asks(case.judge, login_page(case, case.start(**{name: uri}, redirect_uris=at_home(case))), uri)

    return run


@condition("AddJwksUriToDynamicRegistrationRequest")
def was_fetched(case: Case) -> None:
    """The server reads the keys where they lie."""
    must(case.listener.at(f"/{case.name}/jwks.json"), "nobody asked for the keys")


def jwks_uri(case: Case) -> None:
    """The relying party's keys lie at a URL; that they are used is shown by a request that one of them signed."""
    case.judge.did("CreateJwksUri", "GenerateRS256ClientJWKsWithKeyID", "SignRequestObject")
    keys = json.dumps({"keys": [tokens.public(KEY), tokens.public(AUTHENTICATION)]}).encode()
    uri = case.listener.publish(f"/{case.name}/jwks.json", "application/json", keys)
    client = case.start(jwks_uri=uri, request_object_signing_alg="RS256")
    asked = case.request(client)
    came = case.authorize(outside(asked, request=tokens.signed(inside(case, client, asked), KEY)))
    signed = case.after(client, asked, came)
    case.person_of(case.userinfo(signed.access_token), signed)
    was_fetched(case.judge, case)


def sector(case: Case, *uris: str) -> Claims:
    """What a pairwise client registers; at the URL lies a list of these redirect URIs."""
    case.judge.did(
        "AddSubjectTypePairwiseToDynamicRegistrationRequest", "AddSectorIdentifierUriToDynamicRegistrationRequest"
    )
    uri = case.listener.publish(f"/{case.name}/sector.json", "application/json", json.dumps(uris).encode())
    return {"subject_type": "pairwise", "sector_identifier_uri": uri}


def sector_uri(case: Case) -> None:
    """The list holds the redirect URI."""
    case.judge.did("CreateSectorRedirectUris")
    whole(case, case.start(**sector(case, case.callback, f"{case.callback}/other")))


def sector_bad(case: Case) -> None:
    """The list does not hold it."""
    case.judge.did("CreateInvalidSectorRedirectUris")
    case.discover()
    registration.is_about_metadata(case.judge, refused(case, **sector(case, f"{case.callback}/other")))


def rotate_keys(case: Case) -> None:
    """The operator rotates; what verified before goes on verifying."""
    case.discover()
    before: JWKS = case.provider.wire().get(str(case.metadata["jwks_uri"])).document
    seen: JWKS = case.jwks
    case.judge.did("TellUserToRotateOpKeys")
    # Refused for as long as another rotation is under way.
    until(lambda: case.provider.run("key", "rotate", "--alg", "RS256").code == 0, 60, 0.5)
    until(lambda: case.provider.wire().get(str(case.metadata["jwks_uri"])).document != before, 30)
    case.fetch_keys()
    discovery.has_usable_keys(case.judge, case.jwks, case.metadata)
    discovery.has_no_other_keys(case.judge, case.jwks)
    rotation.has_a_new_one(case.judge, case.jwks, seen)
    rotation.has_the_old_ones(case.judge, case.jwks, seen)
