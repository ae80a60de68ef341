"""`watchword client secret` and `watchword client key`: what a client shows who it is by, replaced while it works."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.stories.processes import Site
from watchword.jose.jwk import SigningKey, public_key
from watchword_server.cli.choosing import seconds
from watchword_server.cli.client_key import read
from watchword_server.cli.failures import Usage

FIRST, SECOND = SigningKey.generate("ES256"), SigningKey.generate("PS256")
PEM = Encoding.PEM, PublicFormat.SubjectPublicKeyInfo


def test_a_key_comes_beside_another_which_then_goes(site: Site, tmp_path: Path):
    """With --json, what programs need; and for people, what follows."""
    (tmp_path / "set.json").write_text(json.dumps({"keys": [FIRST.public_jwk()]}))
    (tmp_path / "next.json").write_text(json.dumps(SECOND.public_jwk()))
    access = f"{site.audience}=orders:read"
    signs = ("--auth-method", "private_key_jwt", "--jwks", str(tmp_path / "set.json"))
    made = site.cli("client", "add", "keyed", "--access", access, *signs)
    client_id = made["client_id"]
    assert "client_secret" not in made
    added = site.cli("client", "key", "add", client_id, str(tmp_path / "next.json"))
    assert (added["kid"], [key["kid"] for key in added["keys"]]) == (SECOND.kid, [FIRST.kid, SECOND.kid])
    again = site.run("client", "key", "add", client_id, str(tmp_path / "next.json"))
    assert (again.code, "already" in again.err) == (1, True)
    gone = site.cli("client", "key", "remove", client_id, FIRST.kid)
    assert [key["kid"] for key in gone["keys"]] == [SECOND.kid]
    assert [key["kid"] for key in site.cli("client", "key", "list", client_id)["keys"]] == [SECOND.kid]
    assert site.run("client", "key", "remove", client_id, FIRST.kid).code == 3


def test_a_secret_is_replaced_with_an_overlap(site: Site):
    """Until when both are good is said; the client's record never has either."""
    client = site.new_client()
    made = site.cli("client", "secret", client.client_id, "--overlap", "24h")
    shown = site.cli("client", "show", client.client_id)
    assert made["client_secret"] not in {"", client.secret}
    assert shown["metadata"]["old_secret_until"] == made["old_secret_until"]
    assert made["client_secret"] not in json.dumps(shown)
    assert site.run("client", "secret", client.client_id, "--overlap", "31d").code == 1
    signing = site.cli("client", "secret", client.client_id, "--signing")
    assert len(signing["client_secret"]) > 64
    assert "sealed_secret" not in json.dumps(site.cli("client", "show", client.client_id))
    assert "old_secret_until" not in site.cli("client", "show", client.client_id)["metadata"]


@pytest.mark.parametrize(("span", "meant"), [("", 0), ("90s", 90), ("15m", 900), ("24h", 86400), ("7d", 604800)])
def test_a_span_is_a_number_and_a_unit(span: str, meant: int):
    """In seconds."""
    assert seconds(span) == meant


@pytest.mark.parametrize("span", ["24", "h", "-1h", "1.5h", "24 h", "24x", "٣h", "9999999999s"])
def test_what_is_no_span_is_refused(span: str):
    """And not guessed at."""
    with pytest.raises(Usage, match="no span of time"):
        seconds(span)


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP521R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=lambda key: type(key).__name__,
)
def test_a_key_may_be_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, tmp_path: Path):
    """As OpenSSL writes it; it is named by its thumbprint."""
    file = tmp_path / "key.pem"
    file.write_bytes(key.public_key().public_bytes(*PEM))
    jwk = read(file)
    found = public_key(jwk, "RS256" if jwk["kty"] == "RSA" else None)
    assert found.kid == found.thumbprint == jwk["kid"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no key"),
        (b"[]", "holds no key"),
        (b'{"keys": []}', "holds no key"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "holds no key"),
        (ed448.Ed448PrivateKey.generate().public_key().public_bytes(*PEM), "holds no key"),
        (
            ec.generate_private_key(ec.SECP256R1()).private_bytes(PEM[0], PrivateFormat.PKCS8, NoEncryption()),
            "private key",
        ),
        (b"x" * 70_000, "too large"),
    ],
)
def test_what_is_no_public_key_is_refused(content: bytes, said: str, tmp_path: Path):
    """A private key most of all: it stays with the client."""
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(Usage, match=said):
        read(file)
