"""Client ID metadata documents: what may be an address, and what a document may say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from watchword_server.protocol.client_document import (
    LEAST,
    MOST,
    USUAL,
    BadDocument,
    checked_address,
    client,
    is_address,
    lasts,
    open_to_all,
    read,
)
from watchword_server.protocol.interaction import is_sure
from watchword_server.protocol.values import Api, ClientMetadata

ADDRESS = "https://agent.example/oauth/client.json"
SAID: dict[str, Any] = {
    "client_id": ADDRESS,
    "client_name": "Agent",
    "redirect_uris": ["http://127.0.0.1:3000/callback"],
    "token_endpoint_auth_method": "none",
}
NOW = 1_800_000_000
# fmt: off
GOOD = (
    ADDRESS,
    "https://agent.example:8443/client",
    "https://a.b-c.example/x/",
    "https://agent.example/a%20b/~me;v=1,2@x:y!$&'()*+=",
    "https://xn--bcher-kva.example/client.json",
)
BAD = (
    "http://agent.example/client.json",             # anybody on the way could write it
    "HTTPS://agent.example/client.json",
    "https://Agent.example/client.json",            # another spelling of the same host
    "https://agent.example",                        # no path
    "https://agent.example/",
    "https://agent.example?x",
    "https://agent.example/client.json?v=2",        # a query
    "https://agent.example/client.json?",
    "https://agent.example/client.json#me",         # a fragment
    "https://agent.example/client.json#",
    "https://me@agent.example/client.json",         # a user
    "https://me:secret@agent.example/client.json",
    "https://bank.example@agent.example/client.json",
    "https://agent.example/../client.json",         # dot segments
    "https://agent.example/a/./client.json",
    "https://agent.example/a/..",
    "https://agent.example/%2E%2E/client.json",
    "https://agent.example/%2e%2e/client.json",
    "https://agent.example/.%2E/client.json",
    "https://agent.example:443/client.json",        # goes without saying
    "https://agent.example:0/client.json",
    "https://agent.example:99999/client.json",
    "https://agent.example:/client.json",
    "https://agent.example./client.json",
    "https://[::1]/client.json",
    "https://bücher.example/client.json",
    "https://agent.example\\@bank.example/client.json",
    "https://agent.example/client.json\n",
    "https://agent.example/a b",
    "https://agent.example/%zz",
    "https://agent.example/" + "a" * 256,
    "https:/agent.example/client.json",
    "https://-agent.example/client.json",
)
# fmt: on


def document(**more: Any) -> bytes:
    """A document with more in it; None leaves a member out."""
    return json.dumps({name: value for name, value in {**SAID, **more}.items() if value is not None}).encode()


@pytest.mark.parametrize("address", GOOD)
def test_an_address_of_https_with_a_path_is_one(address: str) -> None:
    """draft-ietf-oauth-client-id-metadata-document §3."""
    assert checked_address(address) == address
    assert is_address(address)


@pytest.mark.parametrize("address", BAD)
def test_what_parsers_could_see_differently_is_none(address: str) -> None:
    """One spelling of each, since `client_id`s are compared letter by letter."""
    with pytest.raises(BadDocument):
        checked_address(address)


def test_what_is_given_out_here_is_no_address() -> None:
    """§6.8: the two kinds of `client_id` never meet."""
    assert not is_address("client_nbYkW1yG6mWb8qj3")
    assert is_address("http://agent.example/client.json"), "told that it is none, rather than unknown"


def test_a_document_is_read_as_a_registration() -> None:
    """With what the draft leaves open: no secret, and the host where no name is said."""
    found = read(ADDRESS, document(client_name=None, token_endpoint_auth_method=None))
    assert (found.name, found.is_public, found.grant_types) == ("agent.example", True, {"authorization_code"})
    assert found.metadata.application_type == "native"
    assert found.origins == ("http://127.0.0.1:3000",)
    web = read(ADDRESS, document(redirect_uris=["https://agent.example/cb"]))
    assert (web.name, web.metadata.application_type) == ("Agent", "web")


def test_what_is_meant_for_other_servers_is_left_out() -> None:
    """One document is for many: grants and members that are not spoken here are no reason to refuse."""
    device = "urn:ietf:params:oauth:grant-type:device_code"
    grants = ["authorization_code", "refresh_token", device]
    found = read(ADDRESS, document(grant_types=grants, response_types=["code", "code id_token"], x_other={"a": 1}))
    assert found.grant_types == {"authorization_code", "refresh_token"}


@pytest.mark.parametrize(
    "said",
    [
        {"fapi2": True}, {"signs_tokens": True}, {"acts_for": ["*"]}, {"impersonates": True}, {"pkce": "optional"},
        {"registered_itself": False}, {"document_fresh_until": 9}, {"sector": "bank.example"}, {"first_party": True},
        {"subject_type": "pairwise"}, {"request_uris": ["https://bank.example/r"]},
    ],
)  # fmt: skip
def test_nothing_that_it_says_gives_it_a_right(said: dict[str, Any]) -> None:
    """Only what stands in the table is read."""
    plain, more = (client(ADDRESS, read(ADDRESS, document(**one)), {}, NOW + 60, NOW) for one in ({}, said))
    assert plain == more
    assert (more.first_party, more.secret_hash, more.metadata.pkce) == (False, None, "required")
    assert more.metadata.registered_itself


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (document(client_id="https://agent.example/oauth/client.json/"), "not the address"),
        (document(client_id="https://bank.example/client.json"), "not the address"),
        (document(client_id=None), "not the address"),
        (document(client_id=[ADDRESS]), "not the address"),
        (document(client_secret="x"), "secret"),
        (document(client_secret_expires_at=0), "secret"),
        (document(token_endpoint_auth_method="client_secret_basic"), "token_endpoint_auth_method"),
        (document(token_endpoint_auth_method="client_secret_post"), "token_endpoint_auth_method"),
        (document(token_endpoint_auth_method="client_secret_jwt"), "token_endpoint_auth_method"),
        (document(token_endpoint_auth_method=["none"]), "token_endpoint_auth_method"),
        (document(redirect_uris=None), "redirect_uris"),
        (document(redirect_uris=[]), "redirect_uris"),
        (document(redirect_uris="http://127.0.0.1/cb"), "redirect_uris"),
        (document(redirect_uris=["http://agent.example/cb"]), "neither https nor http on loopback"),
        (document(redirect_uris=["javascript:alert(1)"]), "neither https"),
        (document(redirect_uris=["https://agent.example/*"]), "wildcard"),
        (document(redirect_uris=["https://agent.example/cb#x"]), "fragment"),
        (document(grant_types=["client_credentials"]), "authorization_code"),
        (document(response_types=["token"]), "response_type"),
        (document(client_name="Bank\u202eelpmaxe"), "turn text around"),
        (b'{"client_id": 1, "client_id": 2}', "each member once"),
        (b"[]", "JSON object"),
        (b"not JSON", "JSON object"),
        (b"", "JSON object"),
        (b"\xff\xfe", "JSON object"),
    ],
)
def test_what_is_not_in_order_is_no_client(body: bytes, reason: str) -> None:
    """§4.1: letter by letter the same address, no secret, and redirect URIs as at registration."""
    with pytest.raises(BadDocument, match=reason):
        read(ADDRESS, body)


def test_pictures_and_links_of_other_hosts_are_left_out() -> None:
    """Where people return to vouches for nothing: it is the document's host that says whose it is."""
    ours, other = "https://agent.example/logo.png", "https://bank.example/logo.png"
    back = ["https://bank.example/cb", "http://127.0.0.1/cb"]
    for name in ("client_uri", "logo_uri", "policy_uri"):
        found = read(ADDRESS, document(redirect_uris=back, **{name: other}))
        assert getattr(found.metadata, name) is None
        assert getattr(read(ADDRESS, document(redirect_uris=back, **{name: ours})).metadata, name) == ours


@pytest.mark.parametrize("uri", ["https://agent.example/cb", "http://127.0.0.1:3000/callback"])
@pytest.mark.parametrize("method", [None, "none"])
def test_consent_to_it_is_never_remembered(uri: str, method: str | None) -> None:
    """Its document may say something else the next time, and any program can listen on loopback."""
    found = client(ADDRESS, read(ADDRESS, document(redirect_uris=[uri], token_endpoint_auth_method=method)), {}, 1, 0)
    assert not is_sure(found, uri)
    registered = replace(found, metadata=ClientMetadata())
    assert is_sure(registered, uri) == uri.startswith("https://"), "else this would show nothing"


@pytest.mark.parametrize(
    ("said", "kept"), [(None, USUAL), (0.0, LEAST), (-5.0, LEAST), (900.5, 900), (1e9, MOST), (float("inf"), MOST)]
)
def test_it_is_good_for_as_long_as_its_server_says_within_bounds(said: float | None, kept: int) -> None:
    """§4.4, RFC 9111 §4.2."""
    assert lasts(said) == kept


def test_it_may_ask_for_what_is_open_to_all_and_for_nothing_else() -> None:
    """The operator says of an API that it serves itself."""
    closed = Api("https://orders.example", "Orders", ("orders:read",), "api_1", b"", NOW)
    notes = Api("https://notes.example", "Notes", ("notes:read", "notes:write"), "api_2", b"", NOW, self_service=True)
    assert open_to_all([closed, notes]) == {"https://notes.example": ("notes:read", "notes:write")}
