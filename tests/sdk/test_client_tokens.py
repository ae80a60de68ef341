"""Tokens that clients sign themselves: every claim, every trick, and where their documents come from."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import httpx2
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.sdk.honest_issuer import AUDIENCE, Clock, Issuer, eventually
from watchword import Verifier
from watchword.client import SelfSigned, signing_key
from watchword.client_tokens import LONGEST_FRESH, ClientOpener, Standing, read_document
from watchword.documents import BURST, COOL_DOWN, RATE, REMEMBER, SETTLE, Documents
from watchword.errors import (
    BadLifetime,
    BadSignature,
    CannotDecide,
    Expired,
    InvalidKey,
    InvalidToken,
    Malformed,
    Misconfigured,
    NotYetValid,
    Revoked,
    UnknownKey,
    WrongAudience,
    WrongConfirmation,
    WrongIssuer,
    WrongType,
)
from watchword.freshness import Clocks
from watchword.jose.b64 import b64url
from watchword.jose.jwk import SigningKey
from watchword.jose.jws import signer
from watchword.policy import Policy
from watchword.wire.exchange import Reply

ISSUER = "https://id.example.com"
CLIENT, OTHER = "client_one", "client_two"
KEY, OTHERS = SigningKey.generate("ES256"), SigningKey.generate("EdDSA")


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An issuer that lets two clients sign, each with its own key."""
    running = Issuer()
    let(running, CLIENT, KEY)
    let(running, OTHER, OTHERS, scope="orders:write")
    yield running
    running.stop()


@pytest.fixture
def verifier(issuer: Issuer, verifier_of: Callable[..., Verifier]) -> Verifier:
    """A verifier of an API that takes such tokens."""
    return verifier_of(issuer, client_tokens=True)


def let(issuer: Issuer, client_id: str, *keys: SigningKey, **more: object) -> None:
    issuer.documents[client_id] = {"jwks": {"keys": [key.public_jwk() for key in keys]}, **more}


def claims(client_id: str = CLIENT, **changes: object) -> dict[str, object]:
    now = int(time.time())
    usual = {"iss": client_id, "sub": client_id, "aud": AUDIENCE, "exp": now + 300, "iat": now}
    found = {**usual, "jti": secrets.token_urlsafe(8), **changes}
    return {name: value for name, value in found.items() if value is not ...}


def signed(body: Mapping[str, object], key: SigningKey = KEY, typ: str = "watchword-client+jwt") -> str:
    return signer(key, typ)(msgspec.json.encode(body))


def so_far(began: float, seconds: float) -> int:
    """How often something may have happened anew that happens each so many seconds: machines may be slow."""
    return int((time.monotonic() - began) / seconds)


def token(**changes: object) -> str:
    return signed(claims(**changes))


def test_a_client_signs_for_itself_with_the_scopes_that_it_has(issuer: Issuer, verifier: Verifier) -> None:
    """It is its own subject; what it may do is the issuer's to say."""
    principal = verifier.verify_sync(token())
    assert (principal.subject, principal.client_id) == (CLIENT, CLIENT)
    assert (principal.scopes, principal.roles) == ({"orders:read"}, frozenset())
    assert (principal.key_id, principal.rev) == (f"{CLIENT}/{KEY.kid}", 0)
    assert (principal.issuer, principal.sid, principal.gid) == (issuer.url, None, None)
    assert verifier.verify_sync(signed(claims(OTHER), OTHERS)).scopes == {"orders:write"}


async def test_a_token_seen_before_is_looked_up(issuer: Issuer, verifier: Verifier) -> None:
    """One object for all who carry it, and one document for all tokens."""
    text = token()
    assert await verifier.verify(text) is await verifier.verify(text)
    for _ in range(20):
        await verifier.verify(token())
    assert issuer.counts["documents"] == 1
    assert issuer.last_request["Authorization"].startswith("Basic ")


def test_it_may_ask_for_less_and_not_for_more(verifier: Verifier) -> None:
    """No scope means all that the document has; an empty one, none."""
    assert verifier.verify_sync(token(scope="orders:read")).scopes == {"orders:read"}
    assert verifier.verify_sync(token(scope="")).scopes == frozenset()
    for scope in ("orders:write", "orders:read orders:write", " ", "orders:read "):
        with pytest.raises(Malformed):
            verifier.verify_sync(token(scope=scope))


def aged(seconds: int) -> str:
    """Signed so many seconds ago."""
    now = int(time.time())
    return token(iat=now - seconds, exp=now + 290)


def document(who: str, /, *keys: SigningKey, **more: object) -> bytes:
    usual = {"client_id": who, "jwks": {"keys": [key.public_jwk() for key in keys]}, "rev": 7, "fresh_for": 60}
    return msgspec.json.encode({**usual, "scope": "orders:read", **more})


@pytest.fixture(scope="module")
def opener() -> ClientOpener:
    """What a verifier has of both clients, without the rest of it."""
    known = {one: read_document(document(one, key), one) for one, key in ((CLIENT, KEY), (OTHER, OTHERS))}
    standing = {one: Standing(found, time.time() + 300) for one, found in known.items()}
    return ClientOpener(Policy(ISSUER, AUDIENCE), lambda name: standing.get(name, Standing(None, 0)))


NOW = time.time()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"sub": OTHER}, WrongIssuer),
        ({"sub": "user-1"}, WrongIssuer),
        ({"iss": OTHER, "sub": OTHER}, UnknownKey),
        ({"aud": "https://other.example"}, WrongAudience),
        ({"aud": AUDIENCE + "/"}, WrongAudience),
        ({"aud": [AUDIENCE]}, Malformed),
        ({"aud": [AUDIENCE, "https://other.example"]}, Malformed),
        ({"exp": int(NOW) + 301, "iat": int(NOW)}, BadLifetime),
        ({"exp": int(NOW) + 200.5, "iat": int(NOW) - 100}, BadLifetime),
        ({"exp": int(NOW), "iat": int(NOW)}, BadLifetime),
        ({"exp": int(NOW) - 10, "iat": int(NOW) - 60}, Expired),
        ({"exp": int(NOW) + 3700, "iat": int(NOW) + 3600}, NotYetValid),
        ({"nbf": int(NOW) + 3600}, NotYetValid),
        ({"cnf": {"jkt": "x"}}, WrongConfirmation),
        ({"cnf": None}, WrongConfirmation),
        *[({name: ...}, Malformed) for name in ("iss", "sub", "aud", "exp", "iat", "jti")],
        *[({name: None}, Malformed) for name in ("iss", "sub", "aud", "exp", "iat", "jti", "scope", "nbf")],
        ({"iss": "", "sub": ""}, Malformed),
        ({"iss": "../../token", "sub": "../../token"}, UnknownKey),
        ({"iss": "https://app.example/client.json", "sub": "https://app.example/client.json"}, UnknownKey),
        ({"exp": "soon"}, Malformed),
        ({"scope": ["orders:read"]}, Malformed),
    ],
)
def test_claims_that_do_not_do(opener: ClientOpener, changes: dict[str, object], error: type[InvalidToken]) -> None:
    """A typed refusal each, whether such a header was seen before or not."""
    with pytest.raises(error):
        opener.open(token(**changes), time.time())
    assert opener.open(token(), time.time()).principal.rev == 7


def test_what_others_sign_is_refused(opener: ClientOpener) -> None:
    """By whoever's key, under whoever's name; by the client itself as another kind of token."""
    stranger = SigningKey.generate("ES256")
    cases: list[tuple[str, type[InvalidToken]]] = [
        (signed(claims(CLIENT), OTHERS), UnknownKey),
        (signed(claims(OTHER), KEY), UnknownKey),
        (signed(claims(CLIENT), stranger), UnknownKey),
        (signed(claims(CLIENT), replace(stranger, kid=KEY.kid)), BadSignature),
        (signed(claims(CLIENT), replace(OTHERS, kid=KEY.kid)), WrongType),
        (signed(claims(CLIENT), typ="at+jwt"), WrongType),
        (signed(claims(CLIENT), typ="JWT"), WrongType),
        (signed(claims(CLIENT), typ="client-authentication+jwt"), WrongType),
        (signed(claims(CLIENT), typ="application/watchword-client+jwt"), WrongType),
    ]
    for text, error in cases:
        with pytest.raises(error):
            opener.open(text, time.time())


def test_the_issuer_and_its_clients_do_not_sign_for_each_other(issuer: Issuer, verifier: Verifier) -> None:
    """An access token by a client's key, and a client's token by the issuer's."""
    cases: list[tuple[str, type[InvalidToken]]] = [
        (issuer.token(key=KEY), UnknownKey),
        (signed(claims(CLIENT), typ="at+jwt"), UnknownKey),
        (signed(claims(CLIENT), issuer.key), UnknownKey),
        (signed(claims(CLIENT), issuer.key, typ="at+jwt"), Malformed),
    ]
    for text, error in cases:
        with pytest.raises(error):
            verifier.verify_sync(text)


def test_a_kid_that_is_the_issuers_own_makes_nobody_the_issuer(issuer: Issuer, verifier: Verifier) -> None:
    """A client may name its key as it likes: an access token is verified with the issuer's keys alone, and a revoked
    key of the client is not the issuer's."""
    named = replace(KEY, kid=issuer.key.kid)
    let(issuer, CLIENT, named)
    assert verifier.verify_sync(signed(claims(), named)).key_id == f"{CLIENT}/{issuer.key.kid}"
    forged = issuer.token(key=named)
    with pytest.raises(BadSignature):
        verifier.verify_sync(forged)
    issuer.revoke("key", f"{CLIENT}/{issuer.key.kid}")
    eventually(lambda: verifier.freshness.seq == 1)
    with pytest.raises(Revoked):
        verifier.verify_sync(signed(claims(), named))
    assert verifier.verify_sync(issuer.token())


def test_headers_that_two_could_read_differently_are_refused(opener: ClientOpener) -> None:
    """Known extensions are none, and nobody else's key is looked at."""
    opener.open(token(), time.time())

    def made(head: bytes) -> str:
        text = f"{b64url(head)}.{b64url(msgspec.json.encode(claims()))}"
        return f"{text}.{b64url(KEY.sign(text.encode()))}"

    usual = f'"alg":"ES256","kid":"{KEY.kid}","typ":"watchword-client+jwt"'
    assert opener.open(made(f"{{{usual}}}".encode()), time.time())
    assert opener.open(made(f'{{{usual},"jku":"https://evil.example"}}'.encode()), time.time())
    for more, error in (
        (',"crit":["x"]', WrongType),
        (',"b64":false', WrongType),
        (',"x":1,"x":2', Malformed),
        (f',"kid":"{KEY.kid}"', Malformed),
    ):
        with pytest.raises(error):
            opener.open(made(f"{{{usual}{more}}}".encode()), time.time())


def test_claims_that_stand_twice_are_refused(opener: ClientOpener) -> None:
    """As in every token."""
    body = msgspec.json.encode(claims())
    twice = body[:-1] + b',"scope":"orders:read","scope":"orders:read"}'
    with pytest.raises(Malformed):
        opener.open(signer(KEY, "watchword-client+jwt")(twice), time.time())


def test_only_an_api_that_wants_them_takes_them(issuer: Issuer, verifier_of: Callable[..., Verifier]) -> None:
    """And only with credentials, since nobody else is told what clients sign with."""
    with pytest.raises(WrongType):
        verifier_of(issuer).verify_sync(token())
    assert issuer.counts["documents"] == 0
    for settings in ({"credentials": None}, {"credentials": None, "jwks": {"keys": issuer.published}}):
        with pytest.raises(Misconfigured, match="client_tokens needs credentials"):
            verifier_of(issuer, client_tokens=True, **settings)


# What takes them back.


@pytest.mark.parametrize("kind", ["client", "key", "issuer", "token"])
def test_a_revocation_kills_what_it_names_within_a_second(issuer: Issuer, verifier: Verifier, kind: str) -> None:
    """Whatever times such a token claims. The bystander's goes on, or has a newer document."""
    text, bystander = token(jti="j-1"), signed(claims(OTHER), OTHERS)
    for each in (text, bystander):
        verifier.verify_sync(each)
    if kind == "client":
        del issuer.documents[CLIENT]
    elif kind == "issuer":
        issuer.documents[CLIENT]["revoked_at"] = int(time.time())
    names = {"client": CLIENT, "key": f"{CLIENT}/{KEY.kid}", "issuer": "", "token": "j-1"}
    issuer.revoke(kind, names[kind])  # type: ignore[arg-type]  # each is a kind
    eventually(lambda: is_refused(verifier, text), 5)
    assert is_refused(verifier, text)
    if kind != "token":
        assert is_refused(verifier, aged(1))
    eventually(lambda: not is_refused(verifier, bystander))


def test_after_it_was_revoked_a_client_signs_anew_and_what_it_signed_before_stays_dead(
    issuer: Issuer, verifier: Verifier, clock: Clock
) -> None:
    """A document that was written after the revocation says since when."""
    old = aged(3)
    verifier.verify_sync(old)
    clock.forward(SETTLE)
    issuer.documents[CLIENT]["revoked_at"] = int(time.time()) - 2
    issuer.revoke("client", CLIENT)
    eventually(lambda: is_refused(verifier, old), 5)
    assert is_refused(verifier, old)
    new = verifier.verify_sync(token())
    assert new.rev == 1
    assert is_refused(verifier, old)


def test_a_document_that_lags_behind_a_revocation_kills(issuer: Issuer, verifier: Verifier, clock: Clock) -> None:
    """It is read anew, once in a while, until it is newer."""
    verifier.verify_sync(token())
    issuer.documents[CLIENT]["rev"] = 0  # by a node that has not heard of it
    clock.forward(SETTLE)
    issuer.revoke("client", CLIENT)
    began = time.monotonic()
    eventually(lambda: verifier.freshness.seq == 1)
    for _ in range(10):
        assert is_refused(verifier, token())
    assert 2 <= issuer.counts["documents"] <= 2 + so_far(began, SETTLE)
    del issuer.documents[CLIENT]["rev"]
    clock.forward(SETTLE)
    assert verifier.verify_sync(token()).rev == 1


def test_a_disabled_client_that_is_enabled_is_taken_again(issuer: Issuer, verifier: Verifier, clock: Clock) -> None:
    """A little later, since it is remembered that there was no document."""
    verifier.verify_sync(token())
    clock.forward(SETTLE)
    kept, began = issuer.documents.pop(CLIENT), time.monotonic()
    issuer.revoke("client", CLIENT)
    eventually(lambda: is_refused(verifier, token()), 5)
    for _ in range(10):
        assert is_refused(verifier, token())
    assert issuer.counts["documents"] <= 2 + so_far(began, SETTLE)
    issuer.documents[CLIENT] = kept
    clock.monotonic_ahead += REMEMBER
    eventually(lambda: not is_refused(verifier, token()))


def is_refused(verifier: Verifier, text: str) -> bool:
    try:
        verifier.verify_sync(text)
    except InvalidToken:
        return True
    return False


# Where the documents come from.


def test_a_new_key_is_found_by_its_first_token(issuer: Issuer, verifier: Verifier, clock: Clock) -> None:
    """Then invented names of keys cause no further look for a while."""
    verifier.verify_sync(token())
    new, began = SigningKey.generate("RS256"), time.monotonic()
    let(issuer, CLIENT, KEY, new)
    assert verifier.verify_sync(signed(claims(), new)).key_id == f"{CLIENT}/{new.kid}"
    assert issuer.counts["documents"] == 2
    for _ in range(50):
        with pytest.raises(UnknownKey):
            verifier.verify_sync(signed(claims(), replace(KEY, kid=secrets.token_hex(4))))
    assert issuer.counts["documents"] <= 2 + so_far(began, REMEMBER)


def test_a_token_seen_before_is_judged_by_the_newer_document(issuer: Issuer, verifier: Verifier) -> None:
    """As soon as anything is asked of it again: other scopes, or keys that are gone."""
    text, new = token(), SigningKey.generate("EdDSA")
    assert verifier.verify_sync(text).scopes == {"orders:read"}
    let(issuer, CLIENT, KEY, new, scope="orders:write")
    verifier.verify_sync(signed(claims(), new))  # an unknown key has the document read
    issuer.revoke("session", "somebody's")
    eventually(lambda: verifier.freshness.seq == 1)
    assert verifier.verify_sync(text).scopes == {"orders:write"}


async def test_a_flood_of_invented_clients_asks_little_and_pushes_nobody_out() -> None:
    """Beyond the burst nobody can tell; who is known is read anew all the same."""
    now, asked = [1000.0], list[str]()

    async def get(client_id: str, seconds: float) -> Reply:
        asked.append(client_id)
        return Reply(200, document(CLIENT, KEY)) if client_id == CLIENT else Reply(404, b"{}")

    shelf = Documents(get, Clocks(lambda: now[0], lambda: now[0]), begin=print)
    assert await shelf.look(CLIENT)
    looks = [await shelf.look(f"client_{number}") for number in range(3 * int(BURST))]
    assert looks == [True] * (int(BURST) - 1) + [False] * (2 * int(BURST) + 1)
    assert (shelf.may_look("client_x"), shelf.may_look_for_key(CLIENT)) == (False, False)
    assert shelf.find(CLIENT) is not None
    assert await shelf.look(CLIENT)
    assert len(asked) == BURST + 1
    now[0] += 1 / RATE
    assert await shelf.look("client_x")


def test_while_documents_cannot_be_read_those_at_hand_serve(issuer: Issuer, verifier: Verifier) -> None:
    """What is not at hand cannot be decided: a 503."""
    verifier.verify_sync(token())
    issuer.status[f"/clients/{OTHER}/document"] = 503
    began = time.monotonic()
    for _ in range(10):
        with pytest.raises(CannotDecide):
            verifier.verify_sync(signed(claims(OTHER), OTHERS))
    assert issuer.counts[f"/clients/{OTHER}/document"] <= 1 + so_far(began, COOL_DOWN)
    assert verifier.verify_sync(token())


def test_a_client_whose_document_fails_is_no_trouble_for_others(issuer: Issuer, verifier: Verifier) -> None:
    """The next client is asked for at once."""
    issuer.status[f"/clients/{CLIENT}/document"] = 503
    with pytest.raises(CannotDecide):
        verifier.verify_sync(token())
    assert verifier.verify_sync(signed(claims(OTHER), OTHERS))


@pytest.mark.parametrize(
    "more",
    [
        {"client_id": OTHER},
        {"jwks": {}},
        {"jwks": None},
        {"rev": -1},
        {"rev": "1"},
        {"fresh_for": None},
        {"scope": ["orders:read"]},
        {"revoked_at": -5},
    ],
)
def test_a_document_that_is_none_decides_nothing(more: dict[str, object]) -> None:
    """Nor does another client's."""
    assert read_document(document(CLIENT, KEY), CLIENT).keys.keys() == {KEY.kid}
    with pytest.raises(CannotDecide):
        read_document(document(CLIENT, KEY, **more), CLIENT)


def test_another_clients_document_says_nothing_of_this_one(issuer: Issuer, verifier: Verifier) -> None:
    """Whatever went wrong at the issuer: nobody can tell."""
    issuer.documents[CLIENT]["client_id"] = OTHER
    with pytest.raises(CannotDecide):
        verifier.verify_sync(token())


def test_a_document_is_kept_no_longer_than_revocations_are_remembered(
    issuer: Issuer, verifier: Verifier, clock: Clock
) -> None:
    """Whatever it says of itself. It is renewed before that, while it serves."""
    issuer.documents[CLIENT]["fresh_for"] = 10**9
    verifier.verify_sync(token())
    shelf = verifier._following.documents  # type: ignore[union-attr]  # it is online
    clock.monotonic_ahead += LONGEST_FRESH / 2 + 1
    assert shelf.find(CLIENT) is not None
    eventually(lambda: issuer.counts["documents"] == 2)
    eventually(lambda: shelf.age(CLIENT) < LONGEST_FRESH / 2)
    issuer.status[f"/clients/{CLIENT}/document"] = 503
    clock.monotonic_ahead += LONGEST_FRESH
    assert shelf.find(CLIENT) is None


def test_a_token_is_not_cached_for_longer_than_its_document(issuer: Issuer, verifier: Verifier, clock: Clock) -> None:
    """What the issuer no longer says is not so, though nothing was revoked."""
    issuer.documents[CLIENT]["fresh_for"] = 5
    text = token()
    for _ in range(3):  # from the second time on, only time is asked
        verifier.verify_sync(text)
    del issuer.documents[CLIENT]
    clock.forward(5)
    assert is_refused(verifier, text)


def test_a_name_that_no_client_can_have_is_not_asked_for(issuer: Issuer, verifier: Verifier) -> None:
    """What a token says never becomes any other address."""
    for name in ("../../token", "https://app.example/client.json", "a/b", "a b", "ä", "x" * 129):
        with pytest.raises(UnknownKey):
            verifier.verify_sync(token(iss=name, sub=name))
    assert not [path for path in issuer.counts if path.startswith("/clients") or path == "documents"]


def test_a_stale_verifier_asks_for_the_document(issuer: Issuer, verifier: Verifier, clock: Clock) -> None:
    """As it asks about tokens of the issuer's own; the answer is good for seconds."""
    verifier.verify_sync(token())
    issuer.status.update({"/revocations": 503, "/revocations/stream": 503})
    issuer.cut()
    clock.forward(15)
    assert verifier.freshness.state == "stale"
    for _ in range(5):
        assert verifier.verify_sync(token())
    assert issuer.counts["documents"] == 2
    assert issuer.counts["/introspect"] == 0
    del issuer.documents[CLIENT]
    clock.forward(4)
    with pytest.raises(UnknownKey):
        verifier.verify_sync(token())


# Signing.


def test_a_signer_makes_a_token_and_keeps_it_until_shortly_before_its_end(
    issuer: Issuer, verifier: Verifier, clock: Clock
) -> None:
    """By either clock."""
    own = SelfSigned(
        client_id=CLIENT, key=KEY, audience=AUDIENCE, scope=("orders:read",), monotonic=clock.monotonic, wall=clock.wall
    )
    first = own.token()
    assert own.token() is first
    assert verifier.verify_sync(first).scopes == {"orders:read"}
    clock.monotonic_ahead += 271
    assert own.token() != first
    second = own.token()
    clock.wall_ahead += 300
    assert own.token() != second


def test_a_refused_token_is_replaced_once(issuer: Issuer) -> None:
    """When the API says that it was the token."""
    own = SelfSigned(client_id=CLIENT, key=KEY, audience=AUDIENCE)
    first = own.token()
    issuer.inactive.add(first)
    with httpx2.Client(auth=own, trust_env=False) as http:
        seen = http.get(f"{issuer.url}/echo").json()["token"]
    assert seen == own.token() != first


@pytest.mark.parametrize(
    "settings",
    [{"client_id": ""}, {"audience": ""}, {"scope": "orders:read"}, {"origins": ("http://orders.example",)}],
)
def test_a_signer_with_wrong_settings_says_so(settings: dict[str, object]) -> None:
    """At once."""
    with pytest.raises(Misconfigured):
        SelfSigned(**{"client_id": CLIENT, "key": KEY, "audience": AUDIENCE, **settings})  # type: ignore[arg-type]  # a bag of settings


def test_a_key_comes_from_a_file(issuer: Issuer, verifier: Verifier) -> None:
    """PEM, as every tool writes it; with the name that it is registered under."""
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key = signing_key(pem, "ES256", kid="2026-11")
    let(issuer, CLIENT, key)
    own = SelfSigned(client_id=CLIENT, key=key, audience=AUDIENCE)
    assert verifier.verify_sync(own.token()).key_id == f"{CLIENT}/2026-11"
    with pytest.raises(InvalidKey) as refused:
        signing_key(pem[:60], "ES256")
    assert pem[30:60].decode() not in str(refused.value)
