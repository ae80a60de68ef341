"""Proofs of possession (RFC 9449) at the issuer: tokens, codes and refresh tokens that are bound to a key."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from tests.server.flows.house import BY
from tests.server.web.asking import BACK, VERIFIER, Site, answer
from tests.server.web.proving import Holder, by_key, spelled
from tests.server.web.served import AUDIENCE, ORIGIN, PASSWORD, SCOPES, Served, bearer, served
from tests.server.web.wire import Wire, post
from watchword.client import ClientCredentials
from watchword.dpop import ProofKey
from watchword.jose.jwk import SigningKey
from watchword_server.flows import clients
from watchword_server.flows.clients import NewClient
from watchword_server.main import load_settings, open_issuer
from watchword_server.protocol.values import ClientMetadata

BOUND = ClientMetadata(dpop_bound_access_tokens=True)
GRANTS = frozenset({"authorization_code", "refresh_token", "client_credentials"})


@pytest.fixture
def holder(site: Site) -> Holder:
    """Somebody with a new key."""
    return Holder(site.served.issuer)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server below a path and behind a proxy, which wants a nonce in every proof."""
    settings = {"DPOP__NONCE": "required", "TRUSTED_PROXIES": "127.0.0.1"}
    with served(tmp_path_factory.mktemp("strict"), "/auth", **settings) as found:
        yield found


def offered(server: Served) -> str:
    """A nonce, as whoever comes with any proof gets one."""
    found: str = server.http.post("/token", data={"x": "x"}, headers={"dpop": "x"}).headers["dpop-nonce"]
    return found


def added(server: Served, kind: str = "confidential", **more: Any) -> tuple[str, str]:
    """A new client; its `client_id` and secret."""
    grants = GRANTS if kind == "confidential" else GRANTS - {"client_credentials"}
    new = NewClient("App", kind, grants, {AUDIENCE: SCOPES}, redirect_uris=(BACK,), **more)

    async def add() -> tuple[str, str]:
        async with open_issuer(load_settings(None, {"issuer": server.issuer, "data": server.data})) as issuer:
            client, secret = await clients.add(issuer, BY, new, int(time.time()))
            return client.client_id, secret or ""

    return asyncio.run(add())


def ask(site: Site, app: str, *proofs: str, **form: str) -> httpx2.Response:
    """`POST /token` as this client, with these proofs."""
    return asked(site.served, site.apps[app].client_id, site.apps[app].secret, *proofs, **form)


def asked(server: Served, client_id: str, secret: str | None, *proofs: str, **form: str) -> httpx2.Response:
    """As `ask`, by whoever has this name and secret."""
    headers = [(b"dpop", proof.encode()) for proof in proofs]
    if not secret:
        return server.http.post("/token", data={"client_id": client_id, **form}, headers=headers)
    return server.http.post("/token", data=form, auth=(client_id, secret), headers=headers)


def redeem(site: Site, app: str, code: str, *proofs: str) -> httpx2.Response:
    """A code for tokens."""
    back = site.apps[app].redirect_uri
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": back, "code_verifier": VERIFIER}
    return ask(site, app, *proofs, **form)


def refreshed(site: Site, app: str, token: str, *proofs: str) -> httpx2.Response:
    """A refresh token for the next."""
    return ask(site, app, *proofs, grant_type="refresh_token", refresh_token=token)


def said(token: str) -> dict[str, Any]:
    """What an access token says."""
    body = token.split(".")[1]
    found: dict[str, Any] = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


def good(answer: httpx2.Response) -> dict[str, Any]:
    """Tokens that were given."""
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refused(answer: httpx2.Response, error: str = "invalid_dpop_proof", status: int = 400) -> None:
    """With this word, and a nonce for whoever sent a proof."""
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    assert answer.headers["cache-control"] == "no-store"


# Tokens.


def test_every_grant_gives_a_token_that_is_bound_to_the_proven_key(site: Site, holder: Holder) -> None:
    """RFC 9449 §5 and §6.1; without a proof it is a bearer token as ever."""
    machine = partial(asked, site.served, *site.served.known.machine, grant_type="client_credentials")
    first = good(redeem(site, "web", site.code(), holder.proof()))
    for found in (
        good(machine(holder.proof())),
        first,
        good(refreshed(site, "web", first["refresh_token"], holder.proof())),
    ):
        assert found["token_type"] == "DPoP"
        assert said(found["access_token"])["cnf"] == {"jkt": holder.jkt}
    plain = good(machine())
    assert plain["token_type"] == "Bearer"
    assert "cnf" not in said(plain["access_token"])


def test_introspection_tells_the_key(site: Site, holder: Holder) -> None:
    """RFC 9449 §6.2."""
    form = {"grant_type": "client_credentials", "scope": "orders:read"}
    for proofs, kind in ((holder.proof(),), "DPoP"), ((), "Bearer"):
        token = good(asked(site.served, *site.served.known.machine, *proofs, **form))["access_token"]
        told = site.served.http.post("/introspect", data={"token": token}, auth=site.served.known.api).json()
        assert (told["active"], told["token_type"]) == (True, kind)
        assert told.get("cnf") == ({"jkt": holder.jkt} if proofs else None)


def test_a_bound_token_is_taken_back_without_a_proof(site: Site, holder: Holder) -> None:
    """RFC 7009: whoever finds it may end it, if it is the client's own."""
    machine = site.served.known.machine
    token = good(asked(site.served, *machine, holder.proof(), grant_type="client_credentials"))["access_token"]
    assert site.served.http.post("/revoke", data={"token": token}, auth=machine).status_code == 200
    told = site.served.http.post("/introspect", data={"token": token}, auth=site.served.known.api).json()
    assert told == {"active": False}


# Proofs that prove nothing.


def _hs256(holder: Holder) -> str:
    secret = {"kty": "oct", "k": spelled(b"x" * 32)}
    head = {"typ": "dpop+jwt", "alg": "HS256", "jwk": secret}
    first = f"{spelled(json.dumps(head).encode())}.{spelled(json.dumps(holder.claims()).encode())}"
    return f"{first}.{spelled(hmac.digest(b'x' * 32, first.encode(), hashlib.sha256))}"


def _unsigned(holder: Holder) -> str:
    head, body, _ = holder.signed(holder.claims(), alg="none").split(".")
    return f"{head}.{body}."


def _other(holder: Holder) -> dict[str, str]:
    return {name: value for name, value in SigningKey.generate("ES256").public_jwk().items() if name in "kty crv x y"}


def _with_private(holder: Holder) -> str:
    jwk = {**{name: value for name, value in holder.key.public_jwk().items() if name in ("kty", "crv", "x", "y")}}
    return holder.signed(holder.claims(), jwk={**jwk, "d": spelled(b"d" * 32)})


BAD: dict[str, Callable[[Holder], str]] = {
    "for another method": lambda h: h.signed(h.claims(htm="GET")),
    "for a method in lower case": lambda h: h.signed(h.claims(htm="post")),
    "for another endpoint": lambda h: h.proof("/par"),
    "for a longer path": lambda h: h.proof("/token/x"),
    "for another host": lambda h: h.signed(h.claims(htu="https://evil.example/token")),
    "for another scheme": lambda h: h.signed(h.claims(htu=h.issuer.replace("http:", "https:") + "/token")),
    "for another name of the host": lambda h: Holder(h.issuer.replace("localhost", "127.0.0.1"), h.key).proof(),
    "for a path alone": lambda h: h.signed(h.claims(htu="/token")),
    "too old": lambda h: h.signed(h.claims(iat=int(time.time()) - 60)),
    "not yet": lambda h: h.signed(h.claims(iat=int(time.time()) + 90)),
    "at no time": lambda h: h.signed(h.claims(iat=None)),
    "at a word": lambda h: h.signed(h.claims(iat="now")),
    "without a name": lambda h: h.signed(h.claims(jti=None)),
    "with an empty name": lambda h: h.signed(h.claims(jti="")),
    "for no method": lambda h: h.signed(h.claims(htm=None)),
    "for no address": lambda h: h.signed(h.claims(htu=None)),
    "of another kind": lambda h: h.signed(h.claims(), typ="JWT"),
    "of no kind": lambda h: h.signed(h.claims(), typ=None),
    "an access token": lambda h: h.signed(h.claims(), typ="at+jwt"),
    "by no key": lambda h: h.signed(h.claims(), jwk=None),
    "by another key than it names": lambda h: h.signed(h.claims(), jwk=_other(h)),
    "by another algorithm than it names": lambda h: h.signed(h.claims(), alg="ES384"),
    "with its private key": _with_private,
    "by a shared secret": _hs256,
    "unsigned": _unsigned,
    "with an extension": lambda h: h.signed(h.claims(), crit=["x"], x=1),
    "cut": lambda h: h.proof()[:-4],
    "empty": lambda h: "",
    "two in one": lambda h: f"{h.proof()}, {h.proof()}",
    "no text": lambda h: "é",
    "too long": lambda h: h.signed(h.claims(padding="x" * 20_000)),
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_proof_that_proves_nothing_gives_nothing(site: Site, holder: Holder, bad: Callable[[Holder], str]) -> None:
    """RFC 9449 §4.3; each fails on one thing only. A client that may do without one is refused as well."""
    answer = asked(site.served, *site.served.known.machine, bad(holder), grant_type="client_credentials")
    refused(answer)
    assert "dpop-nonce" in answer.headers


def test_two_proofs_at_once_are_refused(site: Site, holder: Holder) -> None:
    """RFC 9449 §4.3: nobody could say which one counts; the same one twice is two."""
    proof = holder.proof()
    for pair in ((holder.proof(), holder.proof()), (proof, proof), ("", proof)):
        refused(asked(site.served, *site.served.known.machine, *pair, grant_type="client_credentials"))


@pytest.mark.parametrize("spell", [
    str.upper, lambda url: url.replace("//", "//").replace("localhost", "LOCALHOST"), lambda url: f"{url}?a=b#c",
    lambda url: url.replace("/token", "/x/../token"), lambda url: url.replace("token", "%74oken"),
], ids=["scheme", "host", "query", "dots", "percent"])  # fmt: skip
def test_an_address_may_be_spelled_in_another_way(site: Site, holder: Holder, spell: Callable[[str], str]) -> None:
    """RFC 9449 §4.3: query and fragment do not count, and what RFC 3986 §6.2 calls the same is the same."""
    htu = spell(f"{holder.issuer}/token")
    if spell is str.upper:
        htu = htu.replace("/TOKEN", "/token").replace("LOCALHOST", "localhost")
    good(asked(site.served, *site.served.known.machine, holder.proof(htu=htu), grant_type="client_credentials"))


def test_a_proof_that_failed_may_be_mended(site: Site, holder: Holder) -> None:
    """Its name is not used up by what was refused: nobody can use it up who has not got the key."""
    machine = partial(asked, site.served, *site.served.known.machine, grant_type="client_credentials")
    claims = holder.claims()
    for bad in ({**claims, "htm": "GET"}, {**claims, "iat": 1}, {**claims, "htu": "https://evil.example/token"}):
        refused(machine(holder.signed(bad)))
    stranger = Holder(holder.issuer)
    good(machine(stranger.signed(claims)))
    wrong = asked(site.served, site.served.known.machine[0], "wrong", holder.signed(claims), grant_type="x")
    refused(wrong, "invalid_client", 401)
    good(machine(holder.signed(claims)))


def test_a_proof_counts_once(site: Site, holder: Holder) -> None:
    """RFC 9449 §11.1; signed anew with the same name it is the same."""
    machine = partial(asked, site.served, *site.served.known.machine, grant_type="client_credentials")
    claims = holder.claims()
    proof = holder.signed(claims)
    good(machine(proof))
    refused(machine(proof))
    refused(machine(holder.signed(claims)))
    refused(machine(holder.signed({**claims, "iat": claims["iat"] + 1})))


def test_a_proof_that_came_with_a_refused_request_is_used(site: Site, holder: Holder) -> None:
    """Whoever saw it there, in a log perhaps, can do nothing with it."""
    tokens = good(redeem(site, "page", site.code(app="page"), holder.proof()))
    proof = holder.proof()
    refused(refreshed(site, "page", "wwr_" + "x" * 43, proof), "invalid_grant")
    refused(refreshed(site, "page", tokens["refresh_token"], proof))
    good(refreshed(site, "page", tokens["refresh_token"], holder.proof()))


def test_of_many_at_once_with_one_proof_one_is_answered(site: Site, holder: Holder) -> None:
    """A refresh token that may be used twice within seconds does not help."""
    token = good(redeem(site, "page", site.code(app="page"), holder.proof()))["refresh_token"]
    proof = holder.proof()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: refreshed(site, "page", token, proof), range(16)))
    assert sorted(answer.status_code for answer in answers) == [200, *[400] * 15]
    assert {answer.json()["error"] for answer in answers if answer.status_code != 200} == {"invalid_dpop_proof"}


EVIL = {"host": "evil.example", "x-forwarded-host": "evil.example", "x-forwarded-proto": "https"}
EVIL |= {"forwarded": "host=evil.example;proto=https", "x-forwarded-for": "10.0.0.1"}


def test_the_request_does_not_say_where_the_issuer_is(site: Site, strict: Served) -> None:
    """Its public URL is configured: neither Host nor what a proxy forwards moves it, trusted or not."""
    for server in (site.served, strict):
        for where, status in ((server.issuer, 200), ("https://evil.example", 400)):
            headers = {**EVIL, "dpop": Holder(where).proof(nonce=offered(server))}
            form = {"grant_type": "client_credentials"}
            answer = server.http.post("/token", data=form, headers=headers, auth=server.known.machine)
            assert answer.status_code == status, answer.text


def test_an_issuer_below_a_path_is_named_with_it(strict: Served) -> None:
    """And the endpoint without it is another address."""
    above, path = strict.issuer.rsplit("/", 1)
    machine = partial(asked, strict, *strict.known.machine, grant_type="client_credentials")
    refused(machine(Holder(above).proof(nonce=offered(strict))))
    good(machine(Holder(above).proof(f"/{path}/token", nonce=offered(strict))))


# Who has to prove.


def test_a_client_that_is_set_so_gets_nothing_without_a_proof(site: Site, holder: Holder) -> None:
    """RFC 9449 §5.2: by no grant, at the door and on the express lane."""
    machine = added(site.served, metadata=BOUND)
    form = {"grant_type": "client_credentials", "scope": "orders:read"}
    refused(asked(site.served, *machine, **form))
    assert good(asked(site.served, *machine, holder.proof(), **form))["token_type"] == "DPoP"
    refused(asked(site.served, *machine, grant_type="refresh_token", refresh_token="wwr_x"))
    refused(asked(site.served, *machine, grant_type="authorization_code", code="wwc_x"))
    with Wire(site.served) as wire:
        for body in (form, {"grant_type": "refresh_token", "refresh_token": "wwr_x"}, form):
            answer = wire.ask(post(machine, body=urlencode(body).encode()))
            assert (answer.status, answer.json["error"]) == (400, "invalid_dpop_proof")


def test_a_client_that_is_set_so_later_is_asked_from_then_on(site: Site, holder: Holder) -> None:
    """What the express lane remembers of it is forgotten."""
    machine = added(site.served)
    body = b"grant_type=client_credentials&n=dpop"

    async def change() -> None:
        settings = load_settings(None, {"issuer": site.served.issuer, "data": site.served.data})
        async with open_issuer(settings) as issuer:
            client = await clients.find(issuer, machine[0])
            wanted = clients.replace(client, metadata=BOUND)
            await clients.change(issuer, BY, wanted, int(time.time()))

    with Wire(site.served) as wire:
        answers = [wire.ask(post(machine, body=body)) for _ in range(3)]
        assert [(answer.status, answer.express) for answer in answers] == [(200, False), (200, True), (200, True)]
        with_proof = wire.ask(post(machine, f"dpop: {holder.proof()}", body=body))
        assert (with_proof.express, with_proof.json["token_type"]) == (False, "DPoP")
        assert wire.ask(post(machine, body=body)).json["token_type"] == "Bearer"
        asyncio.run(change())
        assert wire.ask(post(machine, body=body)).json["error"] == "invalid_dpop_proof"


def test_a_request_with_a_proof_takes_the_door_whatever_it_asks(site: Site, holder: Holder) -> None:
    """The lane remembers answers, and a proof deserves another each time."""
    body = b"grant_type=client_credentials&n=proof"
    with Wire(site.served) as wire:
        for _ in range(3):
            proof = holder.proof()
            first, again = (wire.ask(post(site.served.known.machine, f"DPoP: {proof}", body=body)) for _ in range(2))
            assert (first.status, first.express, first.claims["cnf"]) == (200, False, {"jkt": holder.jkt})
            assert (again.status, again.express, again.json["error"]) == (400, False, "invalid_dpop_proof")


def test_a_sign_in_by_password_is_no_way_around_it(site: Site) -> None:
    """`POST /session` takes no proof, so such a client gets nothing there, nor hears whether a password fits."""
    client_id, secret = added(site.served, first_party=True, metadata=BOUND)
    for password in (PASSWORD, "wrong"):
        body = {"client_id": client_id, "email": "alice@example.com", "password": password}
        refused(site.served.http.post("/session", json=body, auth=(client_id, secret)))


# Refresh tokens.


def test_the_refresh_token_of_a_public_client_is_bound_to_its_key(site: Site, holder: Holder) -> None:
    """RFC 9449 §5: whoever stole it needs the key too, and each successor as well; trying spends nothing."""
    thief = Holder(holder.issuer)
    token = good(redeem(site, "page", site.code(app="page"), holder.proof()))["refresh_token"]
    for _ in range(2):
        refused(refreshed(site, "page", token), "invalid_grant")
        refused(refreshed(site, "page", token, thief.proof()), "invalid_grant")
        refused(refreshed(site, "page", token, "nonsense"))
        found = good(refreshed(site, "page", token, holder.proof()))
        assert (found["token_type"], said(found["access_token"])["cnf"]) == ("DPoP", {"jkt": holder.jkt})
        token = found["refresh_token"]


def test_the_refresh_token_of_a_public_client_is_bound_by_its_first_proof(site: Site, holder: Holder) -> None:
    """RFC 9449 §5: also where that comes with a refresh; the retry of a lost answer needs the same key then."""
    unbound = good(redeem(site, "page", site.code(app="page")))["refresh_token"]
    bound = good(refreshed(site, "page", unbound, holder.proof()))["refresh_token"]
    for token in (unbound, bound):
        refused(refreshed(site, "page", token), "invalid_grant")
        refused(refreshed(site, "page", token, Holder(holder.issuer).proof()), "invalid_grant")
    assert good(refreshed(site, "page", unbound, holder.proof()))["refresh_token"] == bound
    good(refreshed(site, "page", bound, holder.proof()))


def test_the_bound_refresh_token_of_our_own_page_is_not_refreshed_at_the_session(site: Site) -> None:
    """`POST /session/refresh` takes no proof."""
    client_id, _ = added(site.served, "public", first_party=True, origins=(ORIGIN,))
    holder = Holder(site.served.issuer)
    query = {"client_id": client_id, "redirect_uri": BACK}
    code = answer(site.person().authorize(site.url("page", **query)))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
    token = good(asked(site.served, client_id, None, holder.proof(), **form))["refresh_token"]
    body = {"client_id": client_id, "refresh_token": token}
    refused(site.served.http.post("/session/refresh", json=body), "invalid_grant")
    good(asked(site.served, client_id, None, holder.proof(), grant_type="refresh_token", refresh_token=token))


def test_the_refresh_token_of_a_confidential_client_is_not_bound(site: Site, holder: Holder) -> None:
    """RFC 9449 §5: it proves who it is by its credentials, and may change its key."""
    token = good(redeem(site, "web", site.code(), holder.proof()))["refresh_token"]
    other = Holder(holder.issuer)
    found = good(refreshed(site, "web", token, other.proof()))
    assert said(found["access_token"])["cnf"] == {"jkt": other.jkt}
    assert good(refreshed(site, "web", found["refresh_token"]))["token_type"] == "Bearer"


# Codes.


@pytest.mark.parametrize("app", ["web", "page"])
def test_a_code_is_bound_to_the_key_that_the_request_names(site: Site, holder: Holder, app: str) -> None:
    """RFC 9449 §10: another key, or none, gets nothing, and the code stays good for its owner."""
    code = site.code(app=app, dpop_jkt=holder.jkt)
    refused(redeem(site, app, code), "invalid_grant")
    refused(redeem(site, app, code, Holder(holder.issuer).proof()), "invalid_grant")
    assert said(good(redeem(site, app, code, holder.proof()))["access_token"])["cnf"] == {"jkt": holder.jkt}


@pytest.mark.parametrize("jkt", ["x", "A" * 42 + "B", "A" * 44, "A" * 42 + "=", "A" * 42 + "\n", "é" * 43])
def test_a_thumbprint_that_is_none_goes_back_as_an_error(site: Site, jkt: str) -> None:
    """It could never be answered by a key."""
    assert answer(site.person().authorize(site.url(dpop_jkt=jkt)))["error"] == "invalid_request"


def push(site: Site, app: str, *proofs: str, **more: str | None) -> httpx2.Response:
    """`POST /par` of a request that is in order, but for `more`."""
    query = dict(httpx2.URL(site.url(app, **more)).params)
    headers = [("dpop", proof) for proof in proofs]
    auth = (site.apps[app].client_id, site.apps[app].secret or "") if site.apps[app].secret else None
    return site.served.http.post("/par", data=query, auth=auth, headers=headers)


def pushed_code(site: Site, app: str, answered: httpx2.Response) -> str:
    """What comes of a pushed request."""
    assert answered.status_code == 201, answered.text
    query = {"client_id": site.apps[app].client_id, "request_uri": answered.json()["request_uri"]}
    return answer(site.person().authorize(f"{site.served.issuer}/authorize?{urlencode(query)}"))["code"]


@pytest.mark.parametrize("how", ["proof", "dpop_jkt", "both"])
def test_a_pushed_request_binds_its_code(site: Site, holder: Holder, how: str) -> None:
    """RFC 9449 §10.1: by a proof, by name, or by both."""
    proofs = () if how == "dpop_jkt" else (holder.proof("/par"),)
    named = None if how == "proof" else holder.jkt
    code = pushed_code(site, "web", push(site, "web", *proofs, dpop_jkt=named))
    refused(redeem(site, "web", code), "invalid_grant")
    refused(redeem(site, "web", code, Holder(holder.issuer).proof()), "invalid_grant")
    good(redeem(site, "web", code, holder.proof()))


def test_a_pushed_request_that_names_another_key_is_refused(site: Site, holder: Holder) -> None:
    """RFC 9449 §10.1; and so is a proof that is for another endpoint, was used, or is one of two."""
    refused(push(site, "web", holder.proof("/par"), dpop_jkt=Holder(holder.issuer).jkt))
    refused(push(site, "web", holder.proof("/token")))
    refused(push(site, "web", holder.proof("/par"), holder.proof("/par")))
    proof = holder.proof("/par")
    first, second = push(site, "web", proof), push(site, "web", proof)
    assert (first.status_code, "dpop-nonce" in first.headers) == (201, True)
    refused(second)
    refused(push(site, "web", dpop_jkt="x"), "invalid_request")


# Userinfo.


@pytest.fixture
def token(site: Site, holder: Holder) -> str:
    """A bound access token of a person."""
    found: str = good(redeem(site, "web", site.code(), holder.proof()))["access_token"]
    return found


def info(site: Site, headers: Any, method: str = "GET", **more: Any) -> httpx2.Response:
    """`/userinfo`."""
    return site.served.http.request(method, "/userinfo", headers=headers, **more)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_userinfo_takes_a_bound_token_with_its_proof(site: Site, holder: Holder, token: str, method: str) -> None:
    """RFC 9449 §7.1: once for each proof."""
    headers = by_key(token, holder.proof("/userinfo", method, token))
    answer = info(site, headers, method)
    assert (answer.status_code, answer.json()["email"]) == (200, "alice@example.com")
    assert "dpop-nonce" in answer.headers
    denied(info(site, headers, method), "invalid_dpop_proof")


def denied(answer: httpx2.Response, error: str, status: int = 401) -> None:
    """RFC 9449 §7.1: in the terms of DPoP alone."""
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    (challenge,) = answer.headers.get_list("www-authenticate")
    assert challenge.startswith("DPoP ")
    assert f'error="{error}"' in challenge
    assert 'algs="' in challenge
    assert "ES256" in challenge
    assert "alice" not in answer.text
    assert "dpop-nonce" in answer.headers


def test_userinfo_takes_no_bound_token_as_bearer(site: Site, holder: Holder, token: str) -> None:
    """RFC 9449 §7.2: not in the header, with or without a proof, nor in the form."""
    proof = holder.proof("/userinfo", "GET", token)
    for found in (
        site.userinfo(token),
        info(site, {**bearer(token), "dpop": proof}),
        info(site, {}, "POST", data={"access_token": token}),
    ):
        assert (found.status_code, found.json()["error"]) == (401, "invalid_token")
        plain, bound = found.headers.get_list("www-authenticate")
        assert plain == 'Bearer realm="watchword", error="invalid_token"'
        assert bound.startswith("DPoP ")
    assert info(site, by_key(token, proof)).status_code == 200


def test_userinfo_takes_no_other_token_as_bound(site: Site, holder: Holder) -> None:
    """One that is bound to nothing, or to another key."""
    plain = good(redeem(site, "web", site.code()))["access_token"]
    thief = Holder(holder.issuer)
    theirs = good(redeem(site, "web", site.code(), holder.proof()))["access_token"]
    denied(info(site, by_key(plain, holder.proof("/userinfo", "GET", plain))), "invalid_token")
    denied(info(site, by_key(theirs, thief.proof("/userinfo", "GET", theirs))), "invalid_token")
    denied(info(site, by_key("x.y.z", holder.proof("/userinfo", "GET", "x.y.z"))), "invalid_token")


def test_userinfo_wants_a_proof_of_this_very_token(site: Site, holder: Holder, token: str) -> None:
    """RFC 9449 §4.3: `ath`, method and address; exactly one of them."""
    other = good(redeem(site, "web", site.code(), holder.proof()))["access_token"]
    for proof in (
        holder.proof("/userinfo", "GET"),
        holder.proof("/userinfo", "GET", other),
        holder.proof("/userinfo", "POST", token),
        holder.proof("/token", "GET", token),
        holder.proof("/userinfo", "GET", token, iat=1),
    ):
        denied(info(site, by_key(token, proof)), "invalid_dpop_proof")
    one, two = (holder.proof("/userinfo", "GET", token) for _ in range(2))
    twice = [("authorization", f"DPoP {token}"), ("dpop", one), ("dpop", two)]
    denied(info(site, twice), "invalid_dpop_proof")
    denied(info(site, {"authorization": f"DPoP {token}"}), "invalid_dpop_proof")
    assert info(site, by_key(token, one)).status_code == 200


def test_who_comes_with_a_bound_token_that_lacks_the_scope_is_told_so(site: Site, holder: Holder) -> None:
    """RFC 6750 §3.1, in the terms of DPoP."""
    found = good(asked(site.served, *site.served.known.machine, holder.proof(), grant_type="client_credentials"))
    proof = holder.proof("/userinfo", "GET", found["access_token"])
    answer = info(site, by_key(found["access_token"], proof))
    denied(answer, "insufficient_scope", 403)
    assert 'scope="openid"' in answer.headers["www-authenticate"]


def test_a_session_is_not_shown_or_ended_by_a_bound_token_alone(site: Site) -> None:
    """Of our own page too: stolen, it is worth nothing."""
    client_id, _ = added(site.served, "public", first_party=True, origins=(ORIGIN,))
    body = {"client_id": client_id, "email": "alice@example.com", "password": PASSWORD}
    first = good(site.served.http.post("/session", json=body))
    assert site.served.http.get("/session", headers=bearer(first["access_token"])).status_code == 200
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    bound = good(asked(site.served, client_id, None, Holder(site.served.issuer).proof(), **form))
    for method in ("GET", "DELETE"):
        answer = site.served.http.request(method, "/session", headers=bearer(bound["access_token"]))
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


# Nonces.


def test_a_nonce_is_offered_and_is_taken(site: Site, holder: Holder) -> None:
    """RFC 9449 §8.2: with every answer to a proof, and with no other; one that is not ours is never taken."""
    machine = partial(asked, site.served, *site.served.known.machine, grant_type="client_credentials")
    nonce = machine(holder.proof()).headers["dpop-nonce"]
    good(machine(holder.proof(nonce=nonce)))
    assert "dpop-nonce" not in machine().headers
    for other in ("x", nonce[:-1] + ("A" if nonce[-1] != "A" else "E"), nonce + "A", "é"):
        answer = machine(holder.proof(nonce=other))
        refused(answer, "use_dpop_nonce")
        good(machine(holder.proof(nonce=answer.headers["dpop-nonce"])))


def test_where_nonces_are_required_a_proof_without_one_is_sent_back(strict: Served) -> None:
    """RFC 9449 §8: with the one to use; the proof is not used up, and after a restart the nonce is still good."""
    holder = Holder(strict.issuer)
    machine = partial(asked, strict, *strict.known.machine, grant_type="client_credentials")
    claims = holder.claims()
    answer = machine(holder.signed(claims))
    refused(answer, "use_dpop_nonce")
    nonce = answer.headers["dpop-nonce"]
    good(machine(holder.signed({**claims, "nonce": nonce})))
    refused(machine(holder.signed({**claims, "nonce": nonce})))
    par = strict.http.post("/par", data={"client_id": strict.known.third}, headers={"dpop": holder.proof("/par")})
    refused(par, "use_dpop_nonce")
    stale = machine(holder.proof(nonce=nonce, iat=1))
    refused(stale)
    assert stale.headers["dpop-nonce"]


def test_where_nonces_are_required_userinfo_asks_for_one_too(strict: Served) -> None:
    """RFC 9449 §9: by 401 and a challenge."""
    holder = Holder(strict.issuer)
    machine = partial(asked, strict, *strict.known.machine, grant_type="client_credentials")
    nonce = machine(holder.proof()).headers["dpop-nonce"]
    token = good(machine(holder.proof(nonce=nonce)))["access_token"]
    answer = strict.http.get("/userinfo", headers=by_key(token, holder.proof("/userinfo", "GET", token)))
    denied(answer, "use_dpop_nonce")
    proof = holder.proof("/userinfo", "GET", token, nonce=answer.headers["dpop-nonce"])
    denied(strict.http.get("/userinfo", headers=by_key(token, proof)), "insufficient_scope", 403)


def test_our_own_client_brings_nonces_where_they_are_asked_for(strict: Served) -> None:
    """For the token and with it; in the end it is refused for nothing but what the token may not do."""
    client_id, secret = strict.known.machine
    key = ProofKey.generate()
    auth = ClientCredentials(issuer=strict.issuer, client_id=client_id, client_secret=secret, dpop=key)
    with httpx2.Client(auth=auth, trust_env=False) as http:
        for _ in range(2):
            denied(http.get(f"{strict.issuer}/userinfo"), "insufficient_scope", 403)


# Pages of other origins, metadata.


def test_a_page_of_a_registered_origin_may_send_proofs_and_read_nonces(site: Site, holder: Holder) -> None:
    """Fetch §3.2: what it may send is said before, what it may read with the answer itself; refusals too."""
    asks = {"origin": ORIGIN, "access-control-request-method": "POST", "access-control-request-headers": "dpop"}
    for path in ("/token", "/par", "/userinfo"):
        before = site.served.http.request("OPTIONS", path, headers=asks)
        assert "dpop" in before.headers["access-control-allow-headers"]
    app = site.apps["page"]
    form = {"grant_type": "refresh_token", "refresh_token": "wwr_x", "client_id": app.client_id}
    for proof in (holder.proof(), "nonsense"):
        answer = site.served.http.post("/token", data=form, headers={"origin": ORIGIN, "dpop": proof})
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert {"dpop-nonce", "www-authenticate"} <= set(answer.headers["access-control-expose-headers"].split(", "))
        assert answer.headers["dpop-nonce"]


def test_metadata_says_how_proofs_are_signed(site: Site) -> None:
    """RFC 9449 §5.1: no algorithm with a shared secret, and none at all."""
    found = site.served.http.get("/.well-known/openid-configuration").json()["dpop_signing_alg_values_supported"]
    assert {"ES256", "EdDSA", "RS256", "PS256"} <= set(found)
    assert not [alg for alg in found if alg.startswith("HS") or alg == "none"]
