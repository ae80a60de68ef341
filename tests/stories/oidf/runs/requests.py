"""Modules about request objects: by value and by reference, signed and not (OpenID Connect Core §6, RFC 9101)."""

from __future__ import annotations

import time
from typing import Any

from tests.stories.oidf import tokens
from tests.stories.oidf.browser import Arrival
from tests.stories.oidf.case import HOME, Asked, Case, Client
from tests.stories.oidf.conditions import discovery, pages
from tests.stories.oidf.judge import condition, must
from tests.stories.oidf.tokens import Claims

KEY = "request-objects"
"""The name of the relying party's key."""
OUTSIDE = ("client_id", "response_type", "scope")
"""What stands in the URL too (§6.1)."""
UNSUPPORTED = frozenset({"request_uri_not_supported", "request_not_supported", "invalid_request_object"})


def inside(case: Case, client: Client, asked: Asked) -> Claims:
    """The claims of a request object."""
    case.judge.did(
        "ConvertAuthorizationEndpointRequestToRequestObject", "AddAudToRequestObject", "AddIssToRequestObject"
    )
    now = int(time.time())
    return {**asked, "iss": client.client_id, "aud": case.issuer, "iat": now, "exp": now + 300}


def outside(asked: Asked, **more: str) -> Asked:
    """The URL beside a request object."""
    return {**{name: asked[name] for name in OUTSIDE}, **more}


def signs(case: Case, **more: Any) -> Client:
    """A client that signs its requests."""
    case.judge.did("AddRequestObjectSigningAlgRS256ToDynamicRegistrationRequest", "GenerateRS256ClientJWKs")
    keys = {"keys": [tokens.public(KEY)]}
    return case.register(request_object_signing_alg="RS256", jwks=keys, **more)


def published(case: Case, text: str = "") -> str:
    """Where a request object lies; nothing lies there yet when there is no text."""
    return case.listener.publish(f"/{case.name}/request.jwt", "application/oauth-authz-req+jwt", text.encode())


@condition("SerializeRequestObjectWithNullAlgorithm")
def takes_no_unsigned_ones(metadata: Claims, answer: Asked) -> None:
    """Not advertised, and refused as an error of the relying party's, without a code."""
    must("none" not in metadata.get("request_object_signing_alg_values_supported", ()), "it says that it takes them")
    must(answer.get("error") in UNSUPPORTED, f"it answers {answer}")


@condition("BuildRequestObjectByReferenceRedirectToAuthorizationEndpoint")
def was_fetched(case: Case, path: str) -> None:
    """The server asked the relying party for it."""
    must(case.listener.at(path), "nobody asked for the request object")


def unsigned_by_reference(case: Case) -> None:
    """A request_uri that was registered, and leads to a request object that nobody signed."""
    case.discover()
    discovery.takes_request_uris(case.judge, case.metadata)
    client = case.register(request_uris=[published(case)])
    asked = case.request(client)
    uri = published(case, tokens.unsigned(inside(case, client, asked)))
    request = outside(asked, request_uri=uri, redirect_uri=asked["redirect_uri"], state=asked["state"])
    refused_unsigned(case, request)


def unsigned_by_value(case: Case) -> None:
    """A request object that nobody signed."""
    client = case.start()
    discovery.takes_requests(case.judge, case.metadata)
    asked = case.request(client)
    text = tokens.unsigned(inside(case, client, asked))
    refused_unsigned(case, outside(asked, request=text, redirect_uri=asked["redirect_uri"], state=asked["state"]))


def refused_unsigned(case: Case, request: Asked) -> None:
    """It goes back to the relying party as an error."""
    if case.variant.response_mode != "query":
        request["response_mode"] = case.variant.response_mode
    takes_no_unsigned_ones(case.judge, case.metadata, case.denied(case.silently(request), request))


def with_redirect_uri(case: Case) -> None:
    """Two redirect URIs: the good one is in the signed request object, a bad one in the URL, and then both are bad."""
    case.discover()
    discovery.takes_requests(case.judge, case.metadata)
    client = signs(case)
    asked = case.request(client)
    text = tokens.signed(inside(case, client, asked), KEY)
    case.judge.did("SignRequestObject", "AddInvalidRedirectUriToAuthorizationRequest")
    came = case.authorize(outside(asked, request=text, redirect_uri=f"{HOME}/elsewhere"))
    if isinstance(came, Arrival):
        signed = case.after(client, asked, came)
        case.person_of(case.userinfo(signed.access_token), signed)
    bad = tokens.signed(inside(case, client, {**asked, "redirect_uri": f"{HOME}/elsewhere"}), KEY)
    stayed = case.authorize(outside(asked, request=bad, redirect_uri=asked["redirect_uri"]))
    pages.stays(case.judge, stayed)
    pages.bad_redirect_uri(case.judge, stayed)


def signed_by_reference(case: Case) -> None:
    """A request_uri that was registered, and leads to a request object that the relying party signed."""
    case.discover()
    discovery.takes_request_uris(case.judge, case.metadata)
    discovery.reads_rs256(case.judge, case.metadata)
    case.judge.did("SetScopeInClientConfigurationToOpenId", "SignRequestObject")
    client = signs(case, request_uris=[published(case)])
    asked = case.request(client)
    uri = published(case, tokens.signed(inside(case, client, asked), KEY, typ="oauth-authz-req+jwt"))
    came = case.authorize(outside(asked, request_uri=uri))
    was_fetched(case.judge, case, f"/{case.name}/request.jwt")
    signed = case.after(client, asked, came)
    case.person_of(case.userinfo(signed.access_token), signed)
