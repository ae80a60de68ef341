"""The modules about logout, by the relying party and to it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from joserfc import jws
from joserfc.jwk import OctKey

from tests.stories.oidf import tokens
from tests.stories.oidf.browser import Arrival
from tests.stories.oidf.case import HOME, Asked, Case, Client, Signed
from tests.stories.oidf.conditions import answers, discovery, logout, pages
from tests.stories.oidf.judge import Judge
from tests.stories.oidf.page import Page
from tests.stories.oidf.person import idle
from tests.stories.oidf.runs.basic import Run, whole

Change = Callable[[Asked, Case, Client, Signed], Asked]
Asks = Callable[[Judge, Page | Arrival], None]


def begun(case: Case, **metadata: Any) -> tuple[Client, Signed, Asked]:
    """A client, a person who is signed in, and the request that would sign them out by the book."""
    case.discover()
    discovery.signs_out(case.judge, case.metadata)
    bye = f"{HOME}/{case.name}/post_logout_redirect"
    client = case.register(post_logout_redirect_uris=[bye], **metadata)
    signed, _ = whole(case, client)
    state = secrets.token_urlsafe(8)
    return client, signed, {"id_token_hint": signed.id_token, "post_logout_redirect_uri": bye, "state": state}


def link(case: Case, asked: Asked) -> str:
    """The URL that the relying party sends the browser to."""
    endpoint = str(case.metadata["end_session_endpoint"])
    return f"{endpoint}?{urlencode(asked)}" if asked else endpoint


def is_out(case: Case, client: Client) -> None:
    """Nobody is signed in at this browser any more."""
    case.judge.did("AddPromptNoneToAuthorizationEndpointRequest")
    asked = case.request(client, prompt="none")
    answers.needs_a_person(case.judge, case.denied(case.silently(asked), asked))


def comes_back(case: Case, client: Client, asked: Asked) -> None:
    """The person is signed out without a question, and is back at the relying party."""
    came = idle(case.browser, link(case, asked))
    if "state" in asked:
        logout.has_the_state(case.judge, came, asked["post_logout_redirect_uri"], asked["state"])
    else:
        logout.has_no_state(case.judge, came, asked["post_logout_redirect_uri"])
    assert isinstance(came, Arrival)
    logout.has_nothing_else(case.judge, came)
    is_out(case, client)


def rp_initiated(case: Case) -> None:
    """By the book."""
    client, _, asked = begun(case)
    comes_back(case, client, asked)


def no_state(case: Case) -> None:
    """Nothing is made up."""
    client, _, asked = begun(case)
    case.judge.did("RemoveStateFromEndSessionEndpointRequest")
    comes_back(case, client, without(asked, "state"))


def without(asked: Asked, *names: str) -> Asked:
    """The request with less in it."""
    return {name: value for name, value in asked.items() if name not in names}


def signed_out(*steps: str, lacks: tuple[str, ...]) -> Run:
    """Nothing says where to go: the person is asked where the hint is missing, and reads that it is done."""

    def run(case: Case) -> None:
        client, _, asked = begun(case)
        case.judge.did(*steps)
        came = case.person.authorize(link(case, without(asked, *lacks)))
        pages.says_signed_out(case.judge, came)
        is_out(case, client)

    return run


def stays(asks: Asks, change: Change, *steps: str) -> Run:
    """The person is not sent back, but asked or told what is wrong."""

    def run(case: Case) -> None:
        client, signed, asked = begun(case)
        case.judge.did(*steps)
        asks(case.judge, idle(case.browser, link(case, change(asked, case, client, signed))))

    return run


def bad_uri(asked: Asked, *_: object) -> Asked:
    """One that nobody has registered."""
    return {**asked, "post_logout_redirect_uri": f"{HOME}/elsewhere"}


def added_query(asked: Asked, *_: object) -> Asked:
    """One that was registered without a query."""
    return {**asked, "post_logout_redirect_uri": f"{asked['post_logout_redirect_uri']}?foo=bar"}


def no_hint(asked: Asked, *_: object) -> Asked:
    """Nobody says who it was."""
    return without(asked, "id_token_hint")


def unsigned_hint(asked: Asked, case: Case, client: Client, signed: Signed) -> Asked:
    """The ID token without its signature."""
    return {**asked, "id_token_hint": tokens.unsigned(signed.claims)}


def forged_hint(asked: Asked, case: Case, client: Client, signed: Signed) -> Asked:
    """An ID token that the relying party has signed itself."""
    key = OctKey.import_key(client.secret.encode())
    return {**asked, "id_token_hint": jws.serialize_compact({"alg": "HS256"}, json.dumps(signed.claims), key)}


def backchannel(case: Case) -> None:
    """The relying party hears of it."""
    case.judge.did(
        "CreateBackchannelLogoutUri",
        "AddBackchannelLogoutUriToDynamicRegistrationRequest",
        "AddBackchannelLogoutSessionRequiredTrueToDynamicRegistrationRequest",
    )
    path = f"/{case.name}/backchannel_logout"
    uri = case.listener.origin + path
    client, signed, asked = begun(case, backchannel_logout_uri=uri, backchannel_logout_session_required=True)
    comes_back(case, client, asked)
    heard = case.told(path)
    logout.was_told(case.judge, heard)
    assert heard is not None
    logout.came_by_good_tls(case.judge, heard)
    logout.came_by_tls_13(case.judge, heard)
    logout.has_only_the_token(case.judge, heard)
    token = heard.sent.form["logout_token"]
    logout.good(case.judge, token, tokens.claims(token), case.jwks, case.issuer, client.client_id, signed.claims)
