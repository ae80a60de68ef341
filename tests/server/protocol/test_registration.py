"""What may be registered."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from watchword.jose.jwe import ENCRYPTIONS, KEY_ALGORITHMS, DecryptionKey
from watchword.jose.jwk import SigningKey
from watchword_server.protocol.registration import (
    ALGORITHMS,
    checked_api,
    checked_client,
    checked_encryption,
)
from watchword_server.protocol.uris import BadRegistration
from watchword_server.protocol.values import Api, Client, Encryption

API = Api("https://orders.example", "Orders", ("orders:read",), "api1", b"", 0)
CLIENT = Client("c1", "App", "public", None, frozenset({"refresh_token"}), {API.audience: ("orders:read",)}, 0)
APIS = {API.audience: API}
GRANTS = ("client_credentials", "refresh_token")


@pytest.mark.parametrize("audience", ["https://orders.example", "http://localhost:8001", "urn:example:orders"])
def test_an_audience_is_an_absolute_uri(audience):
    """RFC 8707 §2."""
    assert checked_api(replace(API, audience=audience)).audience == audience


@pytest.mark.parametrize(
    "api",
    [
        replace(API, audience="orders"),
        replace(API, audience="https://orders.example#x"),
        replace(API, audience="https://orders.example/\n"),
        replace(API, audience="https://orders.example/a b"),
        replace(API, audience="https://" + "a" * 300),
        replace(API, audience=""),
        replace(API, scopes=("two words",)),
        replace(API, scopes=("",)),
        replace(API, name=""),
        replace(API, name="a\x1b[31m"),
        replace(API, name="n" * 101),
        replace(API, access_token_alg="none"),
        replace(API, access_token_alg="HS256"),
        replace(API, access_token_alg="es256"),
        replace(API, access_token_alg=""),
    ],
)
def test_a_bad_api_is_refused(api):
    """Names and scopes end up in tokens, terminals and pages."""
    with pytest.raises(BadRegistration):
        checked_api(api)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"redirect_uris": ("https://app.example/cb", "http://127.0.0.1/cb", "http://localhost:9000/cb")},
        {"origins": ("https://app.example", "http://localhost:8000")},
    ],
)
def test_a_good_client_is_taken(change):
    """https anywhere, http on loopback only (RFC 8252 §7.3)."""
    client = replace(CLIENT, **change)
    assert checked_client(client, APIS, GRANTS) is client


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"grant_types": frozenset({"password"})},
        {"grant_types": frozenset({"client_credentials"})},
        {"access": {"https://other.example": ()}},
        {"access": {API.audience: ("orders:write",)}},
        {"access_token_alg": "RSA-OAEP-256"},
        {"access_token_alg": "none"},
        *(
            {"redirect_uris": (uri,)}
            for uri in (
                "http://app.example/cb",
                "https://app.example/cb#x",
                "https://*.example/cb",
                "https://user@app.example/cb",
                "javascript:alert(1)",
                "/cb",
                "",
                "https://app.example/\ncb",
            )
        ),
        *(
            {"origins": (origin,)}
            for origin in ("https://app.example/", "https://App.example", "http://app.example", "null", "*", "")
        ),
    ],
)
def test_a_bad_client_is_refused(change):
    """Unknown grants and scopes, and every address that a browser must not be sent to."""
    with pytest.raises(BadRegistration):
        checked_client(replace(CLIENT, **change), APIS, GRANTS)


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_every_algorithm_that_is_offered_can_be_signed_with(alg):
    """By API and by client."""
    assert SigningKey.generate(alg).alg == alg
    assert checked_api(replace(API, access_token_alg=alg)).access_token_alg == alg
    assert checked_client(replace(CLIENT, access_token_alg=alg), APIS, GRANTS).access_token_alg == alg


KEYS = {alg: DecryptionKey.generate(alg) for alg in KEY_ALGORITHMS}
PUBLIC = KEYS["ECDH-ES"].public_jwk()
RSA = KEYS["RSA-OAEP-256"].public_jwk()


@pytest.mark.parametrize("enc", ENCRYPTIONS)
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_public_key_of_every_algorithm_may_be_registered(key, enc):
    """What is kept is what was checked, and nothing that nobody looked at."""
    given = Encryption(enc, jwk={**key.public_jwk(), "x5u": "https://elsewhere.example", "note": "x" * 9999})
    assert checked_encryption(given, local=False) == Encryption(enc, jwk=key.public_jwk())


@pytest.mark.parametrize(
    ("jwk", "said"),
    [
        (KEYS["ECDH-ES"].private_jwk(), "private key"),
        (KEYS["RSA-OAEP-256"].private_jwk(), "private key"),
        ({"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAA", "alg": "A128KW"}, "private key"),
        ({**PUBLIC, "d": ""}, "private key"),
        ({name: value for name, value in PUBLIC.items() if name != "alg"}, "has no `alg`"),
        ({**PUBLIC, "alg": "RSA1_5"}, "can be"),
        ({**PUBLIC, "alg": "dir"}, "can be"),
        ({**PUBLIC, "alg": "PBES2-HS256+A128KW"}, "can be"),
        ({**PUBLIC, "alg": "RSA-OAEP-256"}, "can be"),
        ({**RSA, "alg": "RSA-OAEP"}, "can be"),
        ({**RSA, "alg": "ECDH-ES"}, "can be"),
        ({**RSA, "e": "AQ"}, "can be"),
        ({**RSA, "n": RSA["n"][:170]}, "can be"),
        ({**PUBLIC, "y": PUBLIC["x"]}, "can be"),
        ({**PUBLIC, "crv": "P-384"}, "can be"),
        ({**PUBLIC, "use": "sig"}, "can be"),
        ({**PUBLIC, "key_ops": ["verify"]}, "can be"),
        ({**PUBLIC, "kid": ""}, "can be"),
        (SigningKey.generate("ES256").public_jwk(), "can be"),
        ({}, "has no `alg`"),
    ],
)
def test_a_key_that_must_not_be_encrypted_to_is_refused(jwk, said):
    """Private, symmetric, weak, off its curve, for something else; and the sentence shows nothing of it."""
    with pytest.raises(BadRegistration, match=said) as refusal:
        checked_encryption(Encryption("A256GCM", jwk=jwk), local=True)
    assert not any(str(jwk.get(name)) in str(refusal.value) for name in ("d", "p", "q") if jwk.get(name))


@pytest.mark.parametrize(
    ("encryption", "said"),
    [
        (Encryption("A256GCM"), "one key or to one of a key set"),
        (Encryption("A256GCM", PUBLIC, "https://orders.example/jwks"), "one key or to one of a key set"),
        (Encryption("A192GCM", PUBLIC), "no content encryption"),
        (Encryption("none", PUBLIC), "no content encryption"),
        (Encryption("", PUBLIC), "no content encryption"),
    ],
)
def test_an_encryption_that_says_too_little_or_too_much_is_refused(encryption, said):
    """There is no half of it that could be left out."""
    with pytest.raises(BadRegistration, match=said):
        checked_encryption(encryption, local=True)


@pytest.mark.parametrize(
    ("uri", "local"),
    [
        ("https://orders.example/jwks.json", False),
        ("https://orders.example:8443/jwks.json?tenant=1", False),
        ("https://10.1.2.3/jwks.json", False),
        ("http://localhost:8001/jwks.json", True),
        ("http://127.0.0.1:8001/jwks.json", True),
        ("http://[::1]:8001/jwks.json", True),
        ("https://localhost/jwks.json", True),
    ],
)
def test_a_key_set_may_lie_at_https_and_on_this_machine_for_an_issuer_that_is_there(uri, local):
    """Which addresses are spoken to in the end is the fetcher's to say, each time."""
    given = Encryption("A128GCM", jwks_uri=uri)
    assert checked_encryption(given, local) == given


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize(
    "uri",
    [
        "http://orders.example/jwks.json",
        "ftp://orders.example/jwks.json",
        "file:///etc/passwd",
        "https:///jwks.json",
        "https://user@orders.example/",
        "https://orders.example\\@127.0.0.1/",
        "https://orders.example/#keys",
        "https://orders.example/ jwks",
        "https://orders.example/\n",
        "https://orders.example:99999/",
        "https://örders.example/",
        "https://[::1/",
        "jwks.json",
        "",
        "https://orders.example/" + "a" * 2000,
    ],
)
def test_a_key_set_at_a_bad_address_is_refused(uri, local):
    """Before anybody looks there."""
    with pytest.raises(BadRegistration, match="jwks_uri"):
        checked_encryption(Encryption("A256GCM", jwks_uri=uri), local)


@pytest.mark.parametrize("uri", ["http://localhost/", "https://localhost/", "https://127.0.0.1/", "https://[::1]/"])
def test_an_issuer_for_everybody_fetches_nothing_from_its_own_machine(uri):
    """What listens there trusts who comes from inside."""
    with pytest.raises(BadRegistration, match="this machine"):
        checked_encryption(Encryption("A256GCM", jwks_uri=uri), local=False)
