"""What the FAPI 2.0 Security Profile demands of a client's registration, and of the algorithms used for it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from watchword.dpop import Proof
from watchword.jose.jwk import SigningKey
from watchword_server.protocol.dpop import must_be_signed_well, must_prove
from watchword_server.protocol.errors import InvalidDPoPProof, InvalidTarget
from watchword_server.protocol.fapi2 import ALGORITHMS, permits, profiled
from watchword_server.protocol.registration import ALGORITHMS as ALL
from watchword_server.protocol.targets import chosen_alg
from watchword_server.protocol.uris import BadRedirectUri, BadRegistration
from watchword_server.protocol.values import Api, Client, ClientMetadata

JWKS = {"keys": [SigningKey.generate("ES256").public_jwk()]}
URI = "https://app.example/cb"
GRANTS = frozenset({"authorization_code", "refresh_token"})
USUAL = Client("c", "App", "confidential", None, GRANTS, {}, 0, redirect_uris=(URI,))
CLIENT = replace(USUAL, metadata=ClientMetadata(fapi2=True, jwks=JWKS))
API = Api("https://api.example", "Orders", (), "api", b"", 0)
WEAK = sorted(set(ALL) - set(ALGORITHMS))


def saying(**metadata: object) -> Client:
    """The client of the profile, saying something more."""
    return replace(CLIENT, metadata=replace(CLIENT.metadata, **metadata))


def test_one_setting_turns_on_all_the_others() -> None:
    """§5.3.2.1 and §5.3.2.2."""
    found = profiled(CLIENT)
    assert found.rotates is False
    assert found.access_token_alg == "ES256"
    metadata = found.metadata
    assert metadata.token_endpoint_auth_method == "private_key_jwt"
    assert metadata.require_pushed_authorization_requests
    assert metadata.dpop_bound_access_tokens
    assert metadata.id_token_signed_response_alg == "ES256"
    assert metadata.pkce == "required"
    assert metadata.assertion_audience == "issuer"


def test_it_is_settled_once() -> None:
    """A second look changes nothing."""
    found = profiled(CLIENT)
    assert profiled(found) == found


@pytest.mark.parametrize("metadata", [ClientMetadata(), ClientMetadata(pkce="optional", jwks=JWKS)])
def test_other_clients_are_left_alone(metadata: ClientMetadata) -> None:
    """Without the setting nothing is demanded and nothing changed."""
    client = replace(USUAL, metadata=metadata)
    assert profiled(client) == client
    assert all(permits(client, alg) for alg in (*ALL, None))


@pytest.mark.parametrize("name", [
    "require_pushed_authorization_requests", "dpop_bound_access_tokens",
])  # fmt: skip
def test_nothing_of_it_can_be_turned_off_by_itself(name: str) -> None:
    """Who wants less takes the setting away."""
    assert getattr(profiled(saying(**{name: False})).metadata, name) is True
    assert profiled(replace(CLIENT, rotates=True)).rotates is False


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_its_three_algorithms_are_kept_where_they_were_chosen(alg: str) -> None:
    """§5.4.1."""
    names = ("id_token_signed_response_alg", "userinfo_signed_response_alg", "request_object_signing_alg")
    client = saying(token_endpoint_auth_signing_alg=alg, **dict.fromkeys(names, alg))
    found = profiled(replace(client, access_token_alg=alg))
    assert found.access_token_alg == alg
    assert {getattr(found.metadata, name) for name in names} == {alg}


@pytest.mark.parametrize(("client", "reason"), [
    (replace(CLIENT, kind="public"),                                       "confidential"),
    *((saying(token_endpoint_auth_method=method),                          "authenticates by private_key_jwt")
      for method in ("client_secret_basic", "client_secret_post", "client_secret_jwt", "none")),
    (saying(assertion_audience="token_endpoint"),                          "name the issuer"),
    (saying(jwks=None),                                                    "no key"),
    (saying(jwks={"keys": []}),                                            "no key"),
    (saying(jwks={"keys": "none"}),                                        "no key"),
    (saying(jwks={"keys": [None, 1]}),                                     "no key"),
    (saying(jwks={"keys": [SigningKey.generate("ES384").public_jwk()]}),   "no key"),
    (saying(jwks={"keys": [{**JWKS["keys"][0], "use": "enc"}]}),           "no key"),
    *((saying(**{name: alg}),                                              name)
      for name in ("token_endpoint_auth_signing_alg", "userinfo_signed_response_alg", "request_object_signing_alg")
      for alg in WEAK),
    *((saying(id_token_signed_response_alg=alg), "id_token_signed_response_alg") for alg in WEAK if alg != "RS256"),
    *((replace(CLIENT, access_token_alg=alg), "access_token_alg") for alg in WEAK),
    (saying(pkce="optional"),                                              "PKCE"),
    (saying(signs_tokens=True),                                            "bound to no key"),
    (replace(CLIENT, first_party=True),                                    "password"),
    *((replace(CLIENT, grant_types=GRANTS | {grant}),                      "may not use")
      for grant in ("urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:token-exchange",
                    "urn:ietf:params:oauth:grant-type:jwt-bearer", "urn:watchword:api-key", "password")),
])  # fmt: skip
def test_what_contradicts_it_is_refused(client: Client, reason: str) -> None:
    """And says which rule it was."""
    with pytest.raises(BadRegistration, match=reason):
        profiled(client)


@pytest.mark.parametrize(("uri", "application_type", "good"), [
    ("https://app.example/cb",      "web",    True),
    ("https://app.example/cb",      "native", True),
    ("http://127.0.0.1/cb",         "native", True),
    ("http://[::1]:8080/cb",        "native", True),
    ("http://localhost/cb",         "web",    False),
    ("http://127.0.0.1/cb",         "web",    False),
    ("http://app.example/cb",       "native", False),
    ("com.example.app:/cb",         "native", False),
])  # fmt: skip
def test_answers_travel_encrypted(uri: str, application_type: str, good: bool) -> None:
    """§5.3.2.2: https, but for the loopback interface of a person's own device."""
    client = replace(saying(application_type=application_type), redirect_uris=(uri,))
    if good:
        assert profiled(client).redirect_uris == (uri,)
        return
    with pytest.raises(BadRedirectUri, match="not https"):
        profiled(client)


def test_keys_that_are_published_elsewhere_are_looked_at_when_they_are_used() -> None:
    """A `jwks_uri` is not fetched to register a client."""
    assert profiled(saying(jwks=None, jwks_uri="https://app.example/jwks")).metadata.jwks_uri


@pytest.mark.parametrize("alg", [None, *WEAK, "HS256", "none"])
def test_what_it_does_not_permit_is_permitted_nowhere(alg: str | None) -> None:
    """Neither as a token of an API that wants it so, nor as a proof. No algorithm at all is none of the three."""
    assert not permits(CLIENT, alg)
    with pytest.raises(InvalidTarget, match="may not take"):
        chosen_alg(replace(API, access_token_alg=alg), replace(CLIENT, access_token_alg=None))
    with pytest.raises(InvalidDPoPProof, match="not signed with"):
        must_be_signed_well(CLIENT, Proof("jkt", "jti", 0, "", str(alg), 0))


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_what_it_permits_is_taken(alg: str) -> None:
    """By an API's choice, by the client's, and in a proof."""
    assert chosen_alg(replace(API, access_token_alg=alg), replace(CLIENT, access_token_alg="ES256")) == alg
    assert chosen_alg(API, replace(CLIENT, access_token_alg=alg)) == alg
    must_prove(CLIENT, Proof("jkt", "jti", 0, "", alg, 0))


def test_it_gets_no_token_without_a_proof() -> None:
    """§5.3.2.1, also where the setting stands alone in the store."""
    with pytest.raises(InvalidDPoPProof, match="has to send"):
        must_prove(CLIENT, None)
