"""What a client may say of itself, whoever registers it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from watchword.jose.jwe import ENCRYPTIONS, KEY_ALGORITHMS, DecryptionKey
from watchword.jose.jwk import SigningKey
from watchword_server.protocol.client_assertion import MACS
from watchword_server.protocol.client_metadata import MOST, MOST_KEYS, checked_metadata, must_list
from watchword_server.protocol.registration import ALGORITHMS
from watchword_server.protocol.uris import BadRegistration
from watchword_server.protocol.values import Client, ClientMetadata

URI = "https://app.example/cb"
CLIENT = Client("c1", "App", "confidential", b"", frozenset({"authorization_code"}), {}, 0, redirect_uris=(URI,))
SIGNING = SigningKey.generate("ES256").public_jwk()
ENCRYPTING = DecryptionKey.generate("RSA-OAEP-256").public_jwk()
JWKS = {"keys": [SIGNING, ENCRYPTING]}
HAS = {"jwks": JWKS, "sealed_secret": b"sealed"}


def said(client: Client = CLIENT, **metadata: object) -> ClientMetadata:
    """What is kept of a client that says this."""
    return checked_metadata(replace(client, metadata=ClientMetadata(**metadata)), local=False).metadata


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"token_endpoint_auth_method": "client_secret_post"},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": JWKS},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://app.example/jwks"},
        {"token_endpoint_auth_method": "client_secret_jwt", "sealed_secret": b"sealed"},
        *(
            {"token_endpoint_auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": alg, **HAS}
            for alg in MACS
        ),
        *(
            {"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": alg, **HAS}
            for alg in ALGORITHMS
        ),
        {"pkce": "optional"},
        {"post_logout_redirect_uris": ("https://app.example/bye",)},
        {"application_type": "native", "post_logout_redirect_uris": ("com.example.app:/bye",)},
        {"backchannel_logout_uri": "https://app.example/out", "backchannel_logout_session_required": True},
        {"request_uris": ("https://app.example/request.jwt#hash",)},
        {"request_object_signing_alg": "ES256", "jwks_uri": "https://app.example/jwks"},
        {"require_signed_request_object": True, "jwks": JWKS},
        {"default_max_age": 0, "require_auth_time": True, "default_acr_values": ("urn:a", "1")},
        {"contacts": ("a@app.example",), "software_id": "x", "software_version": "1"},
        {"client_uri": "https://a.example", "logo_uri": "https://b.example/l", "tos_uri": "https://c.example/t"},
        *({"id_token_signed_response_alg": alg, "userinfo_signed_response_alg": alg} for alg in ALGORITHMS),
        *(
            {"jwks": JWKS, "id_token_encrypted_response_alg": alg, "id_token_encrypted_response_enc": enc}
            for alg in KEY_ALGORITHMS
            for enc in ENCRYPTIONS
        ),
    ],
)
def test_what_makes_sense_is_kept_as_it_is(metadata: dict[str, object]) -> None:
    """But for the keys, of which only what was looked at is kept."""
    kept = said(**metadata)
    assert {name: getattr(kept, name) for name in metadata if name != "jwks"} == {
        name: value for name, value in metadata.items() if name != "jwks"
    }


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"token_endpoint_auth_method": "private_key_jwt"}, "no keys that assertions are signed with"),
        ({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": []}}, "no keys"),
        ({"token_endpoint_auth_method": "client_secret_jwt"}, "needs a secret that the client can sign with"),
        ({"token_endpoint_auth_method": "client_secret_jwt", "jwks": JWKS}, "needs a secret"),
        *(
            ({"token_endpoint_auth_method": method, "token_endpoint_auth_signing_alg": alg, **HAS}, "does not fit")
            for method, alg in (
                ("private_key_jwt", "HS256"),
                ("private_key_jwt", "none"),
                ("private_key_jwt", ""),
                ("client_secret_jwt", "ES256"),
                ("client_secret_jwt", "none"),
                ("client_secret_basic", "none"),
                (None, "HS1"),
            )
        ),
        ({"token_endpoint_auth_method": "tls_client_auth"}, "token_endpoint_auth_method"),
        ({"token_endpoint_auth_method": ""}, "token_endpoint_auth_method"),
        ({"token_endpoint_auth_method": "none"}, "public"),
        ({"post_logout_redirect_uris": ("javascript:alert(1)",)}, "post_logout_redirect_uri"),
        ({"post_logout_redirect_uris": ("com.example.app:/bye",)}, "post_logout_redirect_uri"),
        ({"post_logout_redirect_uris": ("https://app.example/#x",)}, "post_logout_redirect_uri"),
        ({"post_logout_redirect_uris": ("https://app.example/",) * (MOST + 1)}, "more than"),
        ({"backchannel_logout_uri": "http://app.example/out"}, "https"),
        ({"backchannel_logout_uri": "https://app.example/#out"}, "fragment"),
        ({"backchannel_logout_session_required": True}, "backchannel_logout_uri"),
        ({"request_uris": ("http://app.example/request",)}, "request_uri"),
        ({"request_uris": ("https://app.example/",) * (MOST + 1)}, "more than"),
        ({"jwks": JWKS, "jwks_uri": "https://app.example/jwks"}, "not for the same client"),
        ({"id_token_signed_response_alg": "none"}, "id_token_signed_response_alg"),
        ({"id_token_signed_response_alg": "HS256"}, "id_token_signed_response_alg"),
        ({"id_token_signed_response_alg": ""}, "id_token_signed_response_alg"),
        ({"userinfo_signed_response_alg": "none"}, "userinfo_signed_response_alg"),
        ({"request_object_signing_alg": "HS256", "jwks": JWKS}, "request_object_signing_alg"),
        ({"request_object_signing_alg": "ES256"}, "no keys"),
        ({"require_signed_request_object": True}, "no keys"),
        ({"require_signed_request_object": True, "jwks": {"keys": []}}, "no keys"),
        ({"request_object_signing_alg": "none"}, "request_object_signing_alg"),
        ({"id_token_encrypted_response_alg": "RSA-OAEP-256", "id_token_encrypted_response_enc": "A256GCM"}, "no keys"),
        ({"jwks": JWKS, "id_token_encrypted_response_alg": "RSA-OAEP-256"}, "_enc"),
        ({"jwks": JWKS, "id_token_encrypted_response_enc": "A256GCM"}, "_alg"),
        *(
            (
                {"jwks": JWKS, "userinfo_encrypted_response_alg": alg, "userinfo_encrypted_response_enc": "A256GCM"},
                "_alg",
            )
            for alg in ("RSA1_5", "dir", "PBES2-HS256+A128KW", "A128KW", "none", "")
        ),
        ({"default_max_age": -1}, "default_max_age"),
        ({"default_max_age": 10**10}, "default_max_age"),
        ({"default_acr_values": ("two words",)}, "default_acr_values"),
        ({"contacts": ("a\nb",)}, "contact"),
        ({"contacts": ("a",) * (MOST + 1)}, "more than"),
        ({"software_id": "x" * 257}, "software_id"),
        *(
            ({name: uri}, name)
            for name in (
                "client_uri",
                "logo_uri",
                "policy_uri",
                "tos_uri",
                "jwks_uri",
                "sector_identifier_uri",
                "initiate_login_uri",
                "backchannel_logout_uri",
            )
            for uri in (
                "http://app.example/",
                "javascript:alert(1)",
                "https://localhost/",
                "https://u@app.example/",
                "",
            )
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(metadata: dict[str, object], reason: str) -> None:
    """Algorithms that are not, keys that are missing, addresses that lead elsewhere."""
    with pytest.raises(BadRegistration, match=reason):
        said(**metadata)


def test_a_public_client_cannot_do_without_pkce() -> None:
    """It has nothing else to show (RFC 9700 §2.1.1)."""
    public = replace(CLIENT, kind="public", secret_hash=None)
    assert said(public, token_endpoint_auth_method="none").pkce == "required"
    with pytest.raises(BadRegistration, match="PKCE"):
        said(public, pkce="optional")
    with pytest.raises(BadRegistration, match="public"):
        said(public, token_endpoint_auth_method="client_secret_basic")


@pytest.mark.parametrize(
    ("jwks", "reason"),
    [
        *(({"keys": [SIGNING, {**SIGNING, "kid": kid}]}, "kid") for kid in (5, None, "", "x" * 257)),
        # By its name a key is taken back, in a log that has room for what can be printed.
        *(({"keys": [{**SIGNING, "kid": kid}]}, "kid") for kid in ("a\nb", "\0", "a\u202eb")),
        ({}, "JWK set"),
        ({"keys": {}}, "JWK set"),
        ({"keys": ["x"]}, "JWK set"),
        ({"keys": [{"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAA"}]}, "private or secret"),
        ({"keys": [DecryptionKey.generate("ECDH-ES").private_jwk()]}, "private or secret"),
        ({"keys": [SIGNING, {**SIGNING, "d": "AA"}]}, "private or secret"),
        ({"keys": [{**SIGNING, "y": SIGNING["x"]}]}, "broken or weak"),
        ({"keys": [{**ENCRYPTING, "n": ENCRYPTING["n"][:170]}]}, "broken or weak"),
        ({"keys": [{**ENCRYPTING, "e": "AQ"}]}, "broken or weak"),
        ({"keys": [{"kty": "RSA"}]}, "broken or weak"),
        ({"keys": [SIGNING] * (MOST_KEYS + 1)}, "more than"),
        ({"keys": [{**SIGNING, "x5c": ["A" * 20_000]}]}, "more than"),
    ],
)
def test_keys_that_must_not_be_registered_are_refused(jwks: dict[str, object], reason: str) -> None:
    """Private, secret, weak, off their curve, or too many; and the sentence shows none of them."""
    with pytest.raises(BadRegistration, match=reason) as refusal:
        said(jwks=jwks)
    assert "AAAA" not in str(refusal.value)


def test_of_keys_only_what_was_looked_at_is_kept() -> None:
    """No certificate and no address, and no key of a kind that nobody here uses (RFC 7517 §5)."""
    given = {"keys": [{**SIGNING, "x5u": "https://elsewhere.example", "x": SIGNING["x"]}, {"kty": "AKP", "pub": "x"}]}
    kept = said(jwks={**given, "note": 1}).jwks
    assert kept == {"keys": [SIGNING]}


@pytest.mark.parametrize(
    ("redirect_uris", "metadata", "sector"),
    [
        ((URI,), {}, None),
        ((URI, "https://app.example:8443/other"), {"subject_type": "pairwise"}, "app.example"),
        (
            (URI, "https://b.example/cb"),
            {"subject_type": "pairwise", "sector_identifier_uri": "https://group.example/uris.json"},
            "group.example",
        ),
        ((URI,), {"subject_type": "public", "sector_identifier_uri": "https://group.example/uris.json"}, None),
    ],
)
def test_a_pairwise_client_has_a_sector(
    redirect_uris: tuple[str, ...], metadata: dict[str, object], sector: str | None
) -> None:
    """The host that all its redirect URIs have in common, or who speaks for them (OpenID Connect Core §8.1)."""
    assert said(replace(CLIENT, redirect_uris=redirect_uris), **metadata).sector == sector


@pytest.mark.parametrize(
    "redirect_uris",
    [(URI, "https://b.example/cb"), ("http://localhost:1/cb",), ("com.example.app:/cb",), ()],
)
def test_a_pairwise_client_without_a_host_of_its_own_needs_somebody_who_speaks_for_it(
    redirect_uris: tuple[str, ...],
) -> None:
    """Two programs on loopback have nothing in common but the machine."""
    client = replace(CLIENT, redirect_uris=redirect_uris)
    with pytest.raises(BadRegistration, match="sector_identifier_uri"):
        said(client, application_type="native", subject_type="pairwise")


@pytest.mark.parametrize("document", [None, {}, "x", [], [1], [URI, 1], ["https://app.example/CB"], [URI + "/"]])
def test_a_sector_that_does_not_name_every_redirect_uri_is_none(document: object) -> None:
    """OpenID Connect Registration 1.0 §5."""
    with pytest.raises(BadRegistration):
        must_list(document, (URI,), "https://group.example/uris.json")
    must_list([URI, "https://b.example/cb"], (URI,), "https://group.example/uris.json")


def test_a_client_has_what_its_way_takes() -> None:
    """One whose keys vouch for it has no secret, and cannot go over to a way that needs one."""
    keyed = replace(CLIENT, secret_hash=None)
    assert said(keyed, token_endpoint_auth_method="private_key_jwt", jwks=JWKS).jwks is not None
    for method in (None, "client_secret_basic", "client_secret_post"):
        with pytest.raises(BadRegistration, match="needs a secret"):
            said(keyed, token_endpoint_auth_method=method, jwks=JWKS)
    with pytest.raises(BadRegistration, match="no keys"):
        said(replace(CLIENT, grant_types=frozenset({"urn:ietf:params:oauth:grant-type:jwt-bearer"})))
