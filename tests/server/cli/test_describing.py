"""Describing clients on the command line, and inviting those that register themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.stories.processes import Site
from watchword.jose.jwk import SigningKey
from watchword_server.cli.describing import OPTIONS
from watchword_server.protocol.self_registration import BEYOND_SAYING
from watchword_server.protocol.values import ClientMetadata

URI = "https://rp.example/cb"
OTHERS = {
    "sector", "registered_itself", "management_hash", "sealed_secret", "retiring_secret", "document_fresh_until",
    "software_id", "software_version",
}  # fmt: skip
JWK = SigningKey.generate("ES256").public_jwk()


def test_all_that_a_client_can_say_an_operator_can_say_for_it() -> None:
    """But for what follows from the rest, and for names of software that nobody reads."""
    assert OPTIONS.keys() == set(ClientMetadata.__struct_fields__) - OTHERS
    assert OPTIONS.keys() - BEYOND_SAYING == set(ClientMetadata.__struct_fields__) - BEYOND_SAYING - OTHERS


def test_a_client_is_described_by_options(site: Site, tmp_path: Path) -> None:
    """What was said is shown, and what follows from it."""
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [JWK]}))
    made = site.cli(
        "client", "add", "RP", "--redirect-uri", URI, "--redirect-uri", f"{URI}2", "--pkce", "optional",
        "--post-logout-redirect-uri", "https://rp.example/bye", "--backchannel-logout-uri", "https://rp.example/out",
        "--backchannel-logout-session", "--pairwise", "--id-token-alg", "ES256", "--userinfo-alg", "ES256",
        "--id-token-encryption-alg", "ECDH-ES", "--jwks", str(keys), "--request-uri", "https://rp.example/r#x",
        "--require-par", "--dpop", "--default-max-age", "60", "--require-auth-time", "--logo-uri", "https://cdn.example/l.png",
        "--client-uri", "https://rp.example", "--policy-uri", "https://rp.example/p", "--tos-uri", "https://rp.example/t",
        "--contact", "a@rp.example", "--auth-method", "client_secret_post",
    )  # fmt: skip
    assert made.pop("client_secret").startswith("wws_")
    assert made["grant_types"] == ["authorization_code", "refresh_token"]
    assert made["redirect_uris"] == [URI, f"{URI}2"]
    assert made["metadata"] == {
        "token_endpoint_auth_method": "client_secret_post",
        "pkce": "optional",
        "post_logout_redirect_uris": ["https://rp.example/bye"],
        "backchannel_logout_uri": "https://rp.example/out",
        "backchannel_logout_session_required": True,
        "subject_type": "pairwise",
        "sector": "rp.example",
        "id_token_signed_response_alg": "ES256",
        "id_token_encrypted_response_alg": "ECDH-ES",
        "id_token_encrypted_response_enc": "A128CBC-HS256",
        "userinfo_signed_response_alg": "ES256",
        "request_uris": ["https://rp.example/r#x"],
        "require_pushed_authorization_requests": True,
        "dpop_bound_access_tokens": True,
        "jwks": {"keys": [JWK]},
        "default_max_age": 60,
        "require_auth_time": True,
        "client_uri": "https://rp.example",
        "logo_uri": "https://cdn.example/l.png",
        "policy_uri": "https://rp.example/p",
        "tos_uri": "https://rp.example/t",
        "contacts": ["a@rp.example"],
    }
    assert site.cli("client", "show", made["client_id"]) == made


def test_a_change_replaces_what_is_said_and_nothing_else(site: Site) -> None:
    """A list as a whole, and an empty text takes away."""
    made = site.cli("client", "add", "App", "--public", "--native", "--redirect-uri", "com.example.app:/cb")
    client_id = made["client_id"]
    assert made["metadata"]["application_type"] == "native"
    changed = site.cli(
        "client", "set", client_id, "--logo-uri", "https://rp.example/l", "--contact", "a", "--name", "B"
    )
    assert (changed["name"], changed["redirect_uris"]) == ("B", ["com.example.app:/cb"])
    assert changed["metadata"] == {**made["metadata"], "logo_uri": "https://rp.example/l", "contacts": ["a"]}
    again = site.cli(
        "client", "set", client_id, "--redirect-uri", URI, "--web", "--logo-uri", "", "--contact", "", "--no-rotate"
    )
    assert again["metadata"] == {"id_token_signed_response_alg": "RS256"}
    assert (again["redirect_uris"], again["rotates"], again["name"]) == ([URI], False, "B")
    assert site.cli("client", "show", client_id) == again


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--redirect-uri", "javascript:alert(1)"), 1, "neither https nor http on loopback"),
        (("--redirect-uri", "com.example.app:/cb"), 1, "native program"),
        (("--grant", "authorization_code"), 1, "no redirect URI"),
        (("--public", "--redirect-uri", URI, "--pkce", "optional"), 1, "public"),
        (("--redirect-uri", URI, "--pkce", "maybe"), 2, "maybe"),
        (("--redirect-uri", URI, "--id-token-alg", "none"), 1, "id_token_signed_response_alg"),
        (("--redirect-uri", URI, "--jwks-uri", "http://rp.example/jwks"), 1, "https"),
        (("--redirect-uri", URI, "--require-signed-request-object"), 1, "no keys"),
        (("--redirect-uri", URI, "--sector-identifier-uri", "http://127.0.0.1:1/"), 1, "sector_identifier_uri"),
        (("--redirect-uri", URI, "--jwks", "/dev/null"), 2, "JWK set"),
        (("--redirect-uri", URI, "--jwks", "no-such-file"), 1, "no-such-file"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(
    site: Site, options: tuple[str, ...], code: int, said: str
) -> None:
    """With the reason, and nothing is kept."""
    before = site.cli("client", "list")["clients"]
    ran = site.run("client", "add", "refused", *options)
    assert ran.code == code
    assert said in ran.err
    assert site.cli("client", "list")["clients"] == before


def test_an_invitation_is_shown_once(site: Site) -> None:
    """And says that it opens nothing where clients do not register themselves."""
    told = site.cli("client", "invite", "--uses", "3", "--days", "2")
    assert told["initial_access_token"].startswith("wwi_")
    assert told["uses"] == 3
    assert (site.data / "watchword.db").read_bytes().find(told["initial_access_token"].encode()) == -1
    assert site.run("client", "invite", "--uses", "0").code == 2
