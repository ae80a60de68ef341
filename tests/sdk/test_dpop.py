"""Proofs of possession (RFC 9449 §4): every line of §4.3 refuses what it is there to refuse."""

from __future__ import annotations

import json
import secrets
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sdk.minting import ASYMMETRIC, NOW
from tests.sdk.proving import TOKEN, URL, bare, client_key, proof, proof_claims, proof_header
from watchword import dpop
from watchword.dpop import ALGS, MAX_PROOF, Nonces, Proof, ProofKey, _key_of, ath, target, thumbprint_of
from watchword.errors import InvalidProof, Misconfigured, NonceRequired
from watchword.jose.b64 import b64url, unb64url
from watchword.jose.jwk import SigningKey, secret_key
from watchword.jose.jws import signer

NONCES = Nonces(b"n" * 32)


def judged(text: str, **changes: Any) -> Proof:
    """The proof as this request's, with parts of the request changed."""
    asked: dict[str, Any] = {"method": "GET", "url": URL, "now": NOW, "access_token": TOKEN, **changes}
    return dpop.verify(text, **asked)


@pytest.mark.parametrize("alg", ASYMMETRIC)
def test_a_good_proof_tells_its_key(alg: str) -> None:
    """By every asymmetric algorithm, twice: the second time its header is known."""
    text = proof(proof_header(alg), key=client_key(alg))
    for _ in range(2):
        assert judged(text) == Proof(client_key(alg).kid, "p-1", NOW, "", alg, NOW + 30)


def test_every_asymmetric_algorithm_and_no_other_may_sign() -> None:
    """What is advertised."""
    assert len(ALGS) == len(ASYMMETRIC)
    assert set(ALGS) == set(ASYMMETRIC)


# fmt: off
HEADERS: dict[str, object] = {
    "typ is missing": proof_header(typ=...),
    "typ of an access token": proof_header(typ="at+jwt"),
    "typ JWT": proof_header(typ="JWT"),
    "typ is null": proof_header(typ=None),
    "alg none": proof_header(alg="none"),
    "alg HS256": proof_header(alg="HS256"),
    "alg is missing": proof_header(alg=...),
    "alg is another one's": proof_header(alg="ES384"),
    "alg is a list": proof_header(alg=["ES256"]),
    "jwk is missing": proof_header(jwk=...),
    "jwk is null": proof_header(jwk=None),
    "jwk is text": proof_header(jwk="x"),
    "jwk is another key": proof_header(jwk=bare(SigningKey.generate("ES256"))),
    "jwk is private": proof_header(jwk={**bare(client_key()), "d": b64url(bytes(31) + b"\1")}),
    "jwk is symmetric": proof_header(jwk={"kty": "oct", "k": b64url(bytes(32))}),
    "jwk is for encryption": proof_header(jwk={**bare(client_key()), "use": "enc"}),
    "jwk is for signing": proof_header(jwk={**bare(client_key()), "key_ops": ["sign"]}),
    "jwk is of another algorithm": proof_header(jwk={**bare(client_key()), "alg": "ES512"}),
    "jwk is off its curve": proof_header(jwk={**bare(client_key()), "y": b64url(bytes(32))}),
    "an address of a key": proof_header(jwk=..., jku="https://evil.example/keys"),
    "a certificate": proof_header(jwk=..., x5c=["MIIB"]),
    "an extension": proof_header(crit=["b64"], b64=True),
    "b64": proof_header(b64=False),
    "a long header": proof_header(pad="x" * 2048),
    "a member twice": b'{"typ":"dpop+jwt",' + msgspec.json.encode(proof_header())[1:],
    "a member of the key twice": msgspec.json.encode(proof_header()).replace(b'"kty":"EC"', b'"kty":"EC","kty":"EC"'),
    "not an object": [],
    "not JSON": b"{",
}
CLAIMS: dict[str, object] = {
    "jti is missing": proof_claims(jti=...),
    "jti is empty": proof_claims(jti=""),
    "jti is too long": proof_claims(jti="x" * 257),
    "jti is a number": proof_claims(jti=1),
    "htm is missing": proof_claims(htm=...),
    "htm is another method": proof_claims(htm="POST"),
    "htm is in lower case": proof_claims(htm="get"),
    "htu is missing": proof_claims(htu=...),
    "htu is another path": proof_claims(htu=URL + "/1"),
    "htu has a slash more": proof_claims(htu=URL + "/"),
    "htu is another host": proof_claims(htu="https://orders.example.org/orders"),
    "htu begins alike": proof_claims(htu="https://orders.example.com.evil.example/orders"),
    "htu is another scheme": proof_claims(htu="http://orders.example.com/orders"),
    "htu is another port": proof_claims(htu="https://orders.example.com:444/orders"),
    "htu in another case": proof_claims(htu="https://orders.example.com/Orders"),
    "htu with a user": proof_claims(htu="https://me@orders.example.com/orders"),
    "htu with a user and a password": proof_claims(htu="https://orders.example.com:x@evil.example/orders"),
    "htu with white space": proof_claims(htu="https://orders.example.com/or\tders"),
    "htu with a backslash": proof_claims(htu="https://orders.example.com\\orders"),
    "htu with an encoded slash": proof_claims(htu="https://orders.example.com%2Forders"),
    "htu is a path": proof_claims(htu="/orders"),
    "htu is empty": proof_claims(htu=""),
    "htu is too long": proof_claims(htu=URL + "?" + "x" * 2048),
    "htu is a list": proof_claims(htu=[URL]),
    "iat is missing": proof_claims(iat=...),
    "iat is too old": proof_claims(iat=NOW - 30),
    "iat is an hour old": proof_claims(iat=NOW - 3600),
    "iat is in the future": proof_claims(iat=NOW + 31),
    "iat is text": proof_claims(iat=str(NOW)),
    "iat is true": proof_claims(iat=True),
    "iat is negative": proof_claims(iat=-1),
    "iat is past all dates": proof_claims(iat=10**18),
    "iat is beyond all floats": json.dumps(proof_claims(iat=10**400)).encode(),
    "iat is before all floats": json.dumps(proof_claims(iat=-(10**400))).encode(),
    "exp is before all floats": json.dumps(proof_claims(exp=-(10**400))).encode(),
    "iat is infinite": b'{"jti":"p","htm":"GET","htu":"' + URL.encode() + b'","iat":1e400}',
    "nbf is in the future": proof_claims(nbf=NOW + 31),
    "exp has passed": proof_claims(exp=NOW - 30),
    "exp is null": proof_claims(exp=None),
    "ath is missing": proof_claims(ath=...),
    "ath is of another token": proof_claims(ath=ath("other")),
    "ath is the token": proof_claims(ath=TOKEN),
    "ath is not ASCII": proof_claims(ath="é"),
    "nonce is a number": proof_claims(nonce=1),
    "a claim twice": b'{"jti":"p",' + msgspec.json.encode(proof_claims())[1:],
    "a claim twice, the second one hidden": msgspec.json.encode(proof_claims())[:-1] + b',"x":{"a":1,"a":2}}',
    "not an object": b"[]",
    "not JSON": b"x",
    "bytes after it": msgspec.json.encode(proof_claims()) + b" {}",
}
# fmt: on


@pytest.mark.parametrize("head", HEADERS.values(), ids=HEADERS)
def test_a_bad_header_is_refused(head: object) -> None:
    """RFC 9449 §4.3, lines 4 to 7, and what no JWT may have."""
    with pytest.raises(InvalidProof):
        judged(proof(head))


@pytest.mark.parametrize("body", CLAIMS.values(), ids=CLAIMS)
def test_bad_claims_are_refused(body: object) -> None:
    """RFC 9449 §4.3, lines 3 and 8 to 12; with the leeway as issuers have it, and as verifiers do."""
    for leeway in (30, 30.0):
        with pytest.raises(InvalidProof):
            judged(proof(body=body), leeway=leeway)


GOOD = proof()
SIGNED = GOOD.rpartition(".")[0]


# fmt: off
TEXTS = {
    "nothing": "",
    "one dot": ".",
    "two dots": "..",
    "three dots": "...",
    "short": "a.b.c",
    "two segments": "a.b",
    "not ASCII": "é.é.é",
    "a segment more": f"{GOOD}.",
    "padding": f"{GOOD}=",
    "cut": GOOD[:-1],
    "longer": f"{GOOD}A",
    "a space before it": f" {GOOD}",
    "two of them": f"{GOOD}, {GOOD}",
    "no signature": f"{SIGNED}.",
    "100 kB": f"{GOOD}.{'x' * 100_000}",
    "just too long": f"{SIGNED}.{'A' * (MAX_PROOF - len(SIGNED))}",
    "a signature of zeros": f"{SIGNED}.{b64url(bytes(64))}",
    "the signature of another": f"{SIGNED}.{proof(body=proof_claims(jti='p-2')).rpartition('.')[2]}",
}
# fmt: on


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_what_is_no_signed_proof_is_refused(text: str) -> None:
    """One compact JWS, in its one spelling, with its own signature."""
    with pytest.raises(InvalidProof):
        judged(text)


@pytest.mark.parametrize("text", [None, b"a.b.c", 1, ["a.b.c"]])
def test_what_is_no_text_is_refused(text: Any) -> None:
    """Whatever a program hands in."""
    with pytest.raises(InvalidProof):
        judged(text)


def test_a_proof_signed_with_the_public_key_as_a_secret_is_refused() -> None:
    """The oldest confusion of all: HMAC with what everybody knows."""
    material = unb64url(str(bare(client_key())["x"]))
    forged = secret_key(material, "HS256", "k")
    for head in (proof_header(alg="HS256"), proof_header(alg="HS256", jwk={"kty": "oct", "k": b64url(material)})):
        signed = f"{b64url(msgspec.json.encode(head))}.{b64url(msgspec.json.encode(proof_claims()))}"
        with pytest.raises(InvalidProof):
            judged(f"{signed}.{b64url(forged.sign(signed.encode()))}")


@pytest.mark.parametrize("off", [-29, -10, 0, 10, 30])
def test_clocks_may_differ_a_little(off: int) -> None:
    """At least ten seconds either way."""
    assert judged(proof(body=proof_claims(iat=NOW + off))).until == NOW + off + 30


def test_a_window_can_be_narrower() -> None:
    """`leeway` counts on both sides."""
    for off in (-10, 11):
        with pytest.raises(InvalidProof):
            judged(proof(body=proof_claims(iat=NOW + off)), leeway=10)
    assert judged(proof(body=proof_claims(iat=NOW + 10)), leeway=10).iat == NOW + 10


@pytest.mark.parametrize("body", [
    proof_claims(nbf=NOW + 30), proof_claims(exp=NOW - 29), proof_claims(iat=NOW + 0.5), proof_claims(more={"a": [1]}),
    proof_claims(nonce="of somebody else"), json.dumps(proof_claims(), indent=2).encode(),
])  # fmt: skip
def test_what_may_be_there_is_allowed(body: object) -> None:
    """Times that hold, a nonce where none is asked for, claims that nobody knows, any spelling of the JSON."""
    assert judged(proof(body=body)).jkt == client_key().kid


def long(length: int) -> str:
    """A good proof of exactly so many characters; base64 has none of some lengths, so the header helps out."""
    empty = len(msgspec.json.encode(proof_claims(pad="")))
    for kid in ("", "k", "kk"):
        head = proof_header(kid=kid)
        room = length - len(proof(head)) + len(proof(head).split(".")[1])
        text = proof(head, proof_claims(pad="x" * (room * 3 // 4 - empty)))
        if len(text) == length:
            return text
    raise AssertionError("no such length")


def test_a_proof_may_be_long_but_not_longer() -> None:
    """Every byte of it is read before it is known whose it is."""
    assert judged(long(8 * 1024)).jkt == client_key().kid
    with pytest.raises(InvalidProof, match="too long"):
        judged(long(8 * 1024 + 1))


@pytest.mark.parametrize("length", [1, 256])
def test_a_name_may_be_of_any_sensible_length(length: int) -> None:
    """257 are refused above."""
    assert judged(proof(body=proof_claims(jti="x" * length))).jti == "x" * length


def test_an_address_may_be_long_but_not_longer() -> None:
    """2,048 characters, as everywhere."""
    longest = f"{URL}?{'x' * (2047 - len(URL))}"
    assert judged(proof(body=proof_claims(htu=longest))).jkt == client_key().kid
    with pytest.raises(InvalidProof):
        judged(proof(body=proof_claims(htu=f"{longest}x")))


def test_whatever_the_token_is_its_hash_is_compared() -> None:
    """Even a text that cannot be encoded."""
    with pytest.raises(InvalidProof, match="ath"):
        judged(proof(), access_token="\ud800")


def test_where_no_token_comes_no_hash_is_needed() -> None:
    """RFC 9449 §4.2: `ath` is for protected resources."""
    for body in (proof_claims(ath=...), proof_claims()):
        assert judged(proof(body=body), access_token=None).jti == "p-1"


@pytest.mark.parametrize("head", [
    proof_header(typ="DPoP+JWT"), proof_header(kid="any"), proof_header(jwk={**bare(client_key()), "kid": "own"}),
    proof_header(jwk={**bare(client_key()), "key_ops": ["verify"], "ext": True, "alg": "ES256", "use": "sig"}),
    proof_header(jku="https://evil.example/keys"),
])  # fmt: skip
def test_a_key_is_named_by_its_thumbprint_whatever_it_says(head: object) -> None:
    """RFC 7638: the required members count, and nothing else does."""
    assert judged(proof(head)).jkt == client_key().kid


# fmt: off
SAME = [
    ("https://orders.example.com/orders", "https://orders.example.com/orders?a=b#c"),
    ("https://orders.example.com/orders?x", "https://orders.example.com/orders"),
    ("https://orders.example.com/orders", "HTTPS://Orders.Example.COM/orders"),
    ("https://orders.example.com/orders", "https://orders.example.com:443/orders"),
    ("https://orders.example.com/orders", "https://orders.example.com:/orders"),
    ("https://orders.example.com/orders", "https://orders.example.com:0443/orders"),
    ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
    ("http://[::1]:80/", "http://[::1]"),
    ("https://a.example/%7Euser/a%2fb", "https://a.example/~user/a%2Fb"),
    ("https://a.example/%6frders", "https://a.example/orders"),
    ("https://a.example/%4F%2D%30%5f", "https://a.example/O-0_"),
    ("https://a.example/a/b", "https://a.example/./a/x/../b"),
    ("https://a.example/b", "https://a.example/../../b"),
    ("https://a.example/b", "https://a.example/a/../b"),
    ("https://a.example/a/b/d", "https://a.example/a/b/c/../d"),
    ("https://a.example/a/", "https://a.example/a/."),
    ("https://a.example/", "https://a.example/a/.."),
    ("https://a.example/.../a", "https://a.example/.../a"),
    ("https://a.example/a/", "https://a.example/a/b/%2E%2e"),
    ("https://a.example//a", "https://a.example//a"),
    ("https://a.example/a;p=1", "https://a.example/a;p=1"),
    ("https://a.ex%61mple/", "https://a.example/"),
]
OTHER = [
    ("https://a.example/a", "https://a.example/a/"),
    ("https://a.example/a/b", "https://a.example/a%2Fb"),
    ("https://a.example/a", "https://a.example//a"),
    ("https://a.example/a", "https://a.example/a;p=1"),
    ("https://a.example/", "https://a.example:8443/"),
    ("https://a.example/", "http://a.example/"),
    ("http://a.example:443/", "https://a.example/"),
    ("https://a.example/a%3Fb", "https://a.example/a?b"),
    ("https://a.example/%", "https://a.example/"),
]
# fmt: on


@pytest.mark.parametrize(("one", "other"), SAME)
def test_addresses_that_mean_the_same_are_the_same(one: str, other: str) -> None:
    """RFC 9449 §4.3: normal by syntax and by scheme (RFC 3986 §6.2.2, §6.2.3), without query or fragment."""
    assert target(one) == target(other)
    for htu, url in ((one, other), (other, one)):
        assert judged(proof(body=proof_claims(htu=htu)), url=url)


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_addresses_that_differ_stay_different(one: str, other: str) -> None:
    """Nothing is thrown together that a server could tell apart."""
    for htu, url in ((one, other), (other, one)):
        with pytest.raises(InvalidProof):
            judged(proof(body=proof_claims(htu=htu)), url=url)


@pytest.mark.parametrize(("url", "normal"), [
    ("HTTPS://Orders.Example.com:443", "https://orders.example.com/"),
    ("http://A.example:8080/%7eb/../c%2fd?e#f", "http://a.example:8080/c%2Fd"),
    ("http://[::FFFF:7F00:1]:80/", "http://[::ffff:7f00:1]/"),
    ("https://a.example/a/./b/%61/", "https://a.example/a/b/a/"),
])  # fmt: skip
def test_an_address_has_one_spelling(url: str, normal: str) -> None:
    """What proofs are made with."""
    assert target(url) == normal


@pytest.mark.parametrize("url", [
    "", "/a", "a.example", "//a.example/", "https:", "https:a.example", "https://", "https:///a", "https://:443/a",
    "ftp://a.example/", "ws://a.example/", "mailto:a@a.example", "https://@a.example/", "https://me@a.example/",
    "https://me:x@a.example/", "https://a.example:65536/", "https://a.example:-1/", "https://a.example:x/",
    "https://[::1/", "https://::1]/", "https://[x]/", "https://a.example/ ", " https://a.example/", "https://a.example/é",
    "https://a.example/\n", "https://a.example/%zz", "https://a.example/%", 'https://a.example/"', "https://a.example/<",
    "https://a.example/^", "https://a.example/`", "https://a.example/{}", "https://a.example/|", "https://a.example/\\",
])  # fmt: skip
def test_what_is_no_address_of_http_is_refused(url: str) -> None:
    """RFC 3986 §2, §3: nothing is dropped or mended on the way."""
    with pytest.raises(InvalidProof):
        target(url)


def test_what_is_kept_of_strangers_is_kept_within_bounds() -> None:
    """Anybody may make keys, and sign any address with them: the newest are kept, and no more than so many."""
    for number in range(1_100):
        target(f"https://a.example/{number}")
        _key_of(b64url(msgspec.json.encode(proof_header(kid=str(number)))).encode())
    assert [shared.cache_info().currsize for shared in (target, _key_of)] == [1024, 1024]


@given(st.text(max_size=60))
def test_any_text_is_a_target_or_refused(text: str) -> None:
    """Nothing else is raised, and what is normal stays as it is."""
    for url in (text, f"https://a.example/{text}", f"https://{text}/"):
        try:
            normal = target(url)
        except InvalidProof:
            continue
        assert target(normal) == normal


@given(st.binary(max_size=80))
def test_any_bytes_in_a_proof_are_refused_as_an_invalid_proof(data: bytes) -> None:
    """In the place of the header, and in that of the claims."""
    for text in (proof(data), proof(body=data)):
        with pytest.raises(InvalidProof):
            judged(text)


def test_what_is_used_up_is_a_name_of_one_key() -> None:
    """Who chooses the `jti` of somebody else uses up nothing of theirs."""
    other = client_key("EdDSA")
    names = {judged(proof(), url=URL).name, judged(proof(proof_header("EdDSA"), key=other)).name}
    names.add(judged(proof(body=proof_claims(jti="p-2"))).name)
    assert len(names) == 3
    assert {len(name) for name in names} == {43}
    assert judged(proof()).name in names


@pytest.mark.parametrize("nonce", [
    "", "x", NONCES.make(NOW)[:-1], NONCES.make(NOW) + "A", Nonces(b"m" * 32).make(NOW), NONCES.make(NOW - 300),
    NONCES.make(NOW + 32), b64url(bytes(21)), "é" * 28, "=" * 28,
])  # fmt: skip
def test_a_nonce_that_is_not_ours_or_old_asks_for_another(nonce: str) -> None:
    """RFC 9449 §8: none, one of another secret, one that was changed, one that is too old."""
    assert not NONCES.accepts(nonce, NOW)
    with pytest.raises(NonceRequired):
        judged(proof(body=proof_claims(nonce=nonce or ...)), nonces=NONCES)


@pytest.mark.parametrize("age", [0, 1, 299, -5, -31])
def test_a_nonce_of_ours_is_accepted_while_it_is_young(age: int) -> None:
    """By whoever has the secret, whose clock may be a little behind."""
    nonce = NONCES.make(NOW - age)
    assert judged(proof(body=proof_claims(nonce=nonce)), nonces=Nonces(b"n" * 32)).nonce == nonce


def test_a_nonce_is_the_same_in_every_process_and_version() -> None:
    """Those that share a secret must know each other's, while they are replaced one by one."""
    assert NONCES.make(NOW) == NONCES.make(NOW + 0.9) == "AGtJ0gDbyyivL7QMclxDSaePPmDE"


def test_only_a_proof_that_is_good_otherwise_is_told_to_bring_a_nonce() -> None:
    """Nobody gets a nonce who has not proven a key."""
    with pytest.raises(InvalidProof):
        judged(proof(body=proof_claims(htm="POST")), nonces=NONCES)


def test_a_short_secret_makes_no_nonces() -> None:
    """It could be guessed."""
    with pytest.raises(Misconfigured):
        Nonces(b"n" * 31)


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "PS256"])
def test_a_key_makes_proofs_that_are_good(alg: str) -> None:
    """RFC 9449 §4.2: for this request and token, with the thumbprint that tokens name."""
    key = ProofKey.generate(alg)
    text = key.prove("POST", URL + "?a=b", now=NOW + 0.9, jti="j", access_token=TOKEN)
    assert judged(text, method="POST") == Proof(key.jkt, "j", NOW, "", alg, NOW + 30)
    header = json.loads(unb64url(text.partition(".")[0]))
    assert header.keys() == {"typ", "alg", "jwk"}
    assert header["jwk"].keys() <= {"kty", "crv", "x", "y", "n", "e"}
    assert json.loads(unb64url(text.split(".")[1])) == {
        "jti": "j",
        "htm": "POST",
        "htu": URL,
        "iat": NOW,
        "ath": ath(TOKEN),
    }
    plain = key.prove("GET", URL, now=NOW, jti="j")
    assert judged(plain, access_token=None).jkt == key.jkt
    assert "ath" not in json.loads(unb64url(plain.split(".")[1]))
    assert key.generate(alg).jkt != key.jkt


def test_a_key_keeps_the_nonce_of_each_server() -> None:
    """RFC 9449 §8.2: the newest, for all of an origin, and for no other."""
    key = ProofKey.generate()
    assert key.hear("https://a.example/token", "n-1")
    assert key.hear("https://b.example/", "n-2")
    assert not key.hear("https://a.example/other", "n-1")
    assert key.hear("HTTPS://A.example:443/x?y", "n-3")
    said = {
        url: json.loads(unb64url(key.prove("GET", url, now=NOW, jti="j").split(".")[1])).get("nonce")
        for url in ("https://a.example/a", "https://b.example/b", "https://a.example:8443/", "http://a.example/")
    }
    assert list(said.values()) == ["n-3", "n-2", None, None]


@pytest.mark.parametrize("nonce", [None, "", "a b", 'a"b', "a\\b", "é", "a\n", "x" * 257])
def test_what_is_no_nonce_is_not_kept(nonce: str | None) -> None:
    """RFC 9449 §8.1."""
    key = ProofKey.generate()
    assert not key.hear(URL, nonce)
    assert "nonce" not in json.loads(unb64url(key.prove("GET", URL, now=NOW, jti="j").split(".")[1]))


def test_a_thousand_servers_do_not_fill_the_memory() -> None:
    """256 are remembered; the next one begins anew."""
    key = ProofKey.generate()
    for number in range(256):
        assert key.hear(f"https://h{number}.example/", "n")
    assert not any(key.hear(f"https://h{number}.example/", "n") for number in range(256))
    assert key.hear("https://another.example/", "n")
    assert not key.hear("https://another.example/", "n")
    assert all(key.hear(f"https://h{number}.example/", "n") for number in range(255))


def test_a_key_is_secret() -> None:
    """Neither its repr nor a proof shows what is private."""
    key = ProofKey(client_key())
    private = b64url(client_key().pkcs8())
    assert repr(key) == f"ProofKey(jkt='{client_key().kid}')"
    text = key.prove("GET", URL, now=NOW, jti=secrets.token_urlsafe(16))
    assert "d" not in json.loads(unb64url(text.partition(".")[0]))["jwk"]
    assert private not in text


@pytest.mark.parametrize("found", [
    None, "x", {}, [], {"jkt": None}, {"jkt": "x"}, {"jkt": "A" * 42 + "B"}, {"jkt": "A" * 44},
    {"jkt": "A" * 43 + "\n"}, {"x5t#S256": "A" * 43}, {"jkt": "A" * 43, "x5t#S256": "A" * 43},
    {"jkt": "A" * 43, "kid": "k"}, {"jwk": {}},
])  # fmt: skip
def test_only_a_single_thumbprint_binds(found: object) -> None:
    """RFC 7800 §3.1: what cannot be held must not be passed over."""
    assert thumbprint_of(found) is None
    assert thumbprint_of({"jkt": client_key().kid}) == client_key().kid


def test_a_proof_of_the_issuers_signer_has_a_kid_and_no_key() -> None:
    """What is signed like a token is no proof."""
    text = signer(client_key(), "dpop+jwt")(msgspec.json.encode(proof_claims()))
    with pytest.raises(InvalidProof):
        judged(text)
