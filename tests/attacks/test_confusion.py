"""No kind of JWT is taken for another: every kind, under either key, before everyone who reads one."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace

from tests.architecture.kinds import MADE, TAKEN
from tests.attacks.instances import FEED, GENUINE, Model, disguised, signed
from tests.server.web.served import AUDIENCE, Served, bearer
from watchword import InvalidToken, Verifier, dpop
from watchword.client_tokens import ClientOpener, Standing, read_document
from watchword.errors import InvalidFeed, InvalidProof
from watchword.jose import jws
from watchword.jose.b64 import unb64url
from watchword.jose.jwe import DecryptionKey, encrypt, encryption_key
from watchword.jose.jwk import SigningKey, key_set
from watchword.jose.kinds import Kind
from watchword.log import is_page, type_of, unseal
from watchword.policy import Policy
from watchword_server.changes import ReplaceClient
from watchword_server.flows.client_authentication import Judge
from watchword_server.main import load_settings, open_issuer
from watchword_server.protocol import client_assertion, foreign_token
from watchword_server.protocol.client_assertion import Reading
from watchword_server.protocol.errors import InvalidClient, UnacceptableToken
from watchword_server.protocol.foreign_token import Trust

USES: Final = ("token", "feed")


@dataclass(frozen=True, slots=True)
class Acceptor:
    """Somebody who reads JWTs: where in the source, which kind by whose key, and whether it takes this one.

    What it is shown `wears` the claims of a kind. `also`: a kind that it cannot tell from its own by the `typ`.
    """

    name: str
    places: frozenset[str]
    kind: Kind
    use: str
    takes: Callable[[str], bool]
    wears: Kind = Kind.ACCESS_TOKEN
    also: frozenset[Kind] = frozenset()
    alike: frozenset[Kind] = frozenset()
    """Kinds whose claims are its own, where it has no `typ` of its own."""

    @property
    def kinds(self) -> frozenset[Kind]:
        """All that it takes."""
        return self.also | {self.kind}


def claims_of(token: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(unb64url(token.split(".")[1]))
    return found


@pytest.fixture
def model(server: Served) -> Model:
    """The issuer's own keys, and an access token of a session of its own."""
    genuine = server.sign_in().json()["access_token"]
    feed = server.http.get("/revocations", auth=server.known.api).text
    kids = [json.loads(unb64url(text.split(".")[0]))["kid"] for text in (genuine, feed)]
    keys = asyncio.run(private_keys(server))
    return Model(claims_of(genuine), keys[kids[0]], keys[kids[1]])


async def let_it_ask(server: Served, key: SigningKey) -> None:
    """The public client may send people here, and signs with a key that signs access tokens too: to be confused."""
    async with open_issuer(load_settings(None, {"issuer": server.issuer, "data": server.data})) as issuer:
        client = await issuer.stores.clients.find(server.known.spa)
        assert client is not None
        metadata = replace(client.metadata, jwks={"keys": [key.public_jwk()]})
        grants, places = client.grant_types | {"authorization_code"}, ("https://app.example/cb",)
        whole = replace(client, metadata=metadata, grant_types=grants, redirect_uris=places)
        await issuer.stores.journal.save(ReplaceClient(whole))


async def private_keys(server: Served) -> dict[str, SigningKey]:
    """The signing keys, opened as the server opens them."""
    async with open_issuer(load_settings(None, {"issuer": server.issuer, "data": server.data})) as issuer:
        return {key.kid: issuer.key_store.open(key) for key in await issuer.stores.keys.all()}


@pytest.fixture
def acceptors(server: Served, model: Model) -> Iterator[list[Acceptor]]:
    """Everyone who reads a JWT today."""
    opens = DecryptionKey.generate("ECDH-ES")
    seals = encryption_key(opens.public_jwk())
    jwks = server.http.get("/jwks.json").json()
    feed_keys = key_set(server.http.get("/revocations/jwks.json", auth=server.known.api).json())
    fixed = Verifier(issuer=server.issuer, audience=AUDIENCE, jwks=jwks)
    opening = Verifier(
        issuer=server.issuer, audience=AUDIENCE, jwks=jwks, decryption_jwks={"keys": [opens.private_jwk()]}
    )

    def verifies(verifier: Verifier, token: str) -> bool:
        with suppress(InvalidToken):
            return bool(verifier.verify_sync(token))
        return False

    def unseals(kind: Kind, token: str) -> bool:
        """As a reader takes it that did not ask for pages: those have the claims of a delta, on purpose, and only
        `Pages` reads them, which takes nothing from one but what is dead."""
        with suppress(InvalidFeed):
            message = unseal(token.encode(), feed_keys, server.issuer)
            return type_of(type(message)) is kind and not is_page(message)
        return False

    def introspects(token: str) -> bool:
        return bool(server.http.post("/introspect", data={"token": token}, auth=server.known.api).json()["active"])

    def revokes(token: str) -> bool:
        form = {"token": token, "client_id": server.known.spa}
        assert server.http.post("/revoke", data=form).status_code == 200
        action, outcome = server.audit("action, outcome")
        assert action == "token.revoke"
        return outcome == "ok"

    def asks(token: str) -> bool:
        answer = server.http.post("/par", data={"client_id": server.known.spa, "request": token}).json()
        return bool(answer["error"] != "invalid_request_object")  # it lacks a challenge, so it is never kept

    def hints(token: str) -> bool:
        asked = {"response_type": "code", "scope": "openid", "prompt": "none", "id_token_hint": token}
        asked |= {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"}
        asked |= {"client_id": server.known.spa, "redirect_uri": "https://app.example/cb"}
        answer = server.http.get("/authorize", params=asked).headers["location"]
        (error,) = parse_qs(urlsplit(answer).query)["error"]
        assert error in ("invalid_request", "login_required")
        return error == "login_required"

    def informs(token: str) -> bool:
        """A token that is taken for one is told which scope it lacks."""
        return server.http.get("/userinfo", headers=bearer(token)).status_code == 403

    def proves(token: str) -> bool:
        """With its key in the header, as proofs have it; that this is the key which a token names is for the caller."""
        header, payload = (unb64url(part) for part in token.split(".")[:2])
        said = json.loads(header)
        key = next(key for key in map(model.key, USES) if key.kid == said["kid"])
        shown = jws.signer(key, said["typ"], jwk=key.public_jwk())(payload)
        with suppress(InvalidProof):
            now = model.claims["iat"]
            found = dpop.verify(shown, method="POST", url=f"{server.issuer}/token", now=now)
            return found.jkt == model.token_key.kid
        return False

    def shows_who(judge: Judge, token: str) -> bool:
        """As of a client whose key this is."""
        on = Reading(model.claims["client_id"], server.issuer)
        with suppress(InvalidClient):
            return bool(judge(token, key_set(jwks), on, model.claims["iat"]))
        return False

    def brings(token: str) -> bool:
        """As of another issuer that the operator trusts, whose keys these are."""
        trust = Trust(issuer=server.issuer, audience=AUDIENCE, clients=(), scopes=())
        with suppress(UnacceptableToken):
            return bool(foreign_token.opened(token, key_set(jwks), trust, model.claims["iat"]))
        return False

    def serves(token: str) -> bool:
        """As of a client that signs its own tokens with this very key."""
        client_id = model.claims["client_id"]
        said = {"client_id": client_id, "jwks": jwks, "rev": 0, "fresh_for": 300}
        standing = Standing(read_document(json.dumps(said).encode(), client_id), time.time() + 300)
        own = ClientOpener(Policy(server.issuer, AUDIENCE), lambda _: standing)
        with suppress(InvalidToken):
            return bool(own.open(token, time.time()))
        return False

    def shows(token: str) -> bool:
        return server.http.get("/session", headers=bearer(token)).status_code == 200

    def ends(token: str) -> bool:
        return server.http.delete("/session", headers=bearer(token)).status_code == 204

    asyncio.run(let_it_ask(server, model.token_key))
    with Verifier(issuer=server.issuer, audience=AUDIENCE, credentials=server.known.api) as following:
        opener = frozenset({"watchword.policy.Opener.open"})
        issuers = frozenset({"watchword_server.flows.presented.presented"})
        readers = frozenset({"watchword.log.unseal"})
        yield [
            Acceptor("Verifier on fixed keys", opener, Kind.ACCESS_TOKEN, "token", lambda t: verifies(fixed, t)),
            Acceptor("Verifier that follows", opener, Kind.ACCESS_TOKEN, "token", lambda t: verifies(following, t)),
            Acceptor(
                "Verifier that decrypts",
                opener | {"watchword.policy._decrypted"},
                Kind.ACCESS_TOKEN,
                "token",
                lambda t: verifies(opening, encrypt(t.encode(), seals, "A128GCM", Kind.ACCESS_TOKEN)),
            ),
            *(Acceptor(f"feed, {kind}", readers, kind, "feed", partial(unseals, kind)) for kind in FEED),
            Acceptor("POST /introspect", issuers, Kind.ACCESS_TOKEN, "token", introspects),
            Acceptor("POST /revoke", issuers, Kind.ACCESS_TOKEN, "token", revokes),
            Acceptor(
                "POST /par",
                frozenset({"watchword_server.protocol.request_object.opened"}),
                Kind.REQUEST_OBJECT,
                "token",
                asks,
                Kind.REQUEST_OBJECT,
                frozenset({Kind.ID_TOKEN}),  # whose `typ` is everybody's
            ),
            Acceptor(
                "GET /authorize",
                frozenset({"watchword_server.flows.hints.hinted"}),
                Kind.ID_TOKEN,
                "token",
                hints,
                Kind.ID_TOKEN,
            ),
            Acceptor(
                "a proof of possession",
                frozenset({"watchword.dpop._key_of"}),
                Kind.DPOP_PROOF,
                "token",
                proves,
                Kind.DPOP_PROOF,
            ),
            Acceptor(
                "an assertion of a client",
                frozenset({"watchword_server.protocol.client_assertion.opened"}),
                Kind.CLIENT_ASSERTION,
                "token",
                partial(shows_who, client_assertion.opened),
                Kind.CLIENT_ASSERTION,
                frozenset({Kind.ID_TOKEN}),
            ),
            Acceptor(
                "a grant by an assertion",
                frozenset({"watchword_server.protocol.client_assertion.granting"}),
                Kind.ID_TOKEN,
                "token",
                partial(shows_who, client_assertion.granting),
                Kind.CLIENT_ASSERTION,
                alike=frozenset({Kind.CLIENT_ASSERTION}),
            ),
            Acceptor(
                "a token of another issuer",
                frozenset({"watchword_server.protocol.foreign_token.opened"}),
                Kind.ACCESS_TOKEN,
                "token",
                brings,
                also=frozenset({Kind.ID_TOKEN}),
            ),
            Acceptor(
                "a token of a client's own",
                frozenset({"watchword.client_tokens._key_for"}),
                Kind.CLIENT_TOKEN,
                "token",
                serves,
                Kind.CLIENT_TOKEN,
            ),
            Acceptor("GET /userinfo", issuers, Kind.ACCESS_TOKEN, "token", informs),
            Acceptor("GET /session", issuers, Kind.ACCESS_TOKEN, "token", shows),
            Acceptor(
                "DELETE /session", issuers, Kind.ACCESS_TOKEN, "token", ends
            ),  # the last, for it ends what others ask
        ]


def genuine_last(kind: Kind) -> bool:
    """Sorting by this, what may change something comes after all that must not."""
    return kind is Kind.ACCESS_TOKEN


def test_every_kind_is_a_row(acceptors: list[Acceptor]) -> None:
    """Of the matrix below: each member of Kind, made today or later, and everyone in the source who reads one."""
    assert set(GENUINE) == set(Kind)
    assert set(Kind) >= MADE
    places = {place for acceptor in acceptors for place in acceptor.places}
    assert places == set(TAKEN)
    for place, kinds in TAKEN.items():
        assert {kind for acceptor in acceptors if place in acceptor.places for kind in acceptor.kinds} == kinds


def test_exactly_the_diagonal_is_accepted(model: Model, acceptors: list[Acceptor]) -> None:
    """Same issuer, same audience, every claim of an access token, a true signature: only its own kind is accepted."""
    accepted = {
        (acceptor.name, kind, use)
        for acceptor in acceptors
        for use in sorted(USES)  # the feed's key first: what is accepted last may end a session
        for kind in sorted(Kind, key=genuine_last)
        if acceptor.takes(signed(disguised(kind, model, acceptor.wears), kind, model.key(use)))
    }
    assert accepted == {(acceptor.name, kind, acceptor.use) for acceptor in acceptors for kind in acceptor.kinds}


@pytest.mark.parametrize("spelling", [str.upper, str.title, lambda typ: f"application/{typ}"])
def test_no_spelling_of_a_type_makes_it_another(
    spelling: Callable[[str], str], model: Model, acceptors: list[Acceptor]
) -> None:
    """RFC 7515 §4.1.9: a media type does not mind the case, and may have its prefix; it stays what it is."""
    accepted = {
        (acceptor.name, kind)
        for acceptor in acceptors
        for kind in set(Kind) - acceptor.kinds
        if acceptor.takes(signed(disguised(kind, model, acceptor.wears), spelling(kind), model.key(acceptor.use)))
    }
    assert accepted == set()


def test_the_claims_of_another_kind_are_refused_under_the_right_type(model: Model, acceptors: list[Acceptor]) -> None:
    """Whoever could get any claims signed under a type would still need those that this kind requires."""
    accepted = {
        (acceptor.name, kind)
        for acceptor in acceptors
        for kind in set(Kind) - {acceptor.kind} - acceptor.alike
        if acceptor.takes(signed(GENUINE[kind](model), acceptor.kind, model.key(acceptor.use)))
    }
    assert accepted == set()


def test_an_encrypted_token_is_of_the_kind_that_its_envelope_says(model: Model, server: Served) -> None:
    """Outside and inside must both be an access token: an envelope changes no kind, and hides none."""
    opens = DecryptionKey.generate("ECDH-ES")
    seals = encryption_key(opens.public_jwk())
    jwks = {"keys": [model.token_key.public_jwk()]}
    verifier = Verifier(
        issuer=server.issuer, audience=AUDIENCE, jwks=jwks, decryption_jwks={"keys": [opens.private_jwk()]}
    )
    accepted = set()
    for outside in Kind:
        for inside in Kind:
            inner = signed(disguised(inside, model), inside, model.token_key)
            with suppress(InvalidToken):
                verifier.verify_sync(encrypt(inner.encode(), seals, "A128GCM", outside))
                accepted.add((outside, inside))
    assert accepted == {(Kind.ACCESS_TOKEN, Kind.ACCESS_TOKEN)}


def test_an_id_token_is_told_apart_by_its_audience_and_claims(model: Model) -> None:
    """Its `typ` is everybody's (`JWT`), so these must do it: it is for the client, and an access token is not."""
    own, access = GENUINE[Kind.ID_TOKEN](model), GENUINE[Kind.ACCESS_TOKEN](model)
    assert own["aud"] == access["client_id"] != access["aud"]
    assert {"client_id", "rev"} <= access.keys() - own.keys()


def test_the_two_keys_of_an_issuer_are_in_sets_of_their_own(model: Model, server: Served) -> None:
    """What signs the feed verifies no token, and the other way round (docs/decisions/0004)."""
    tokens = key_set(server.http.get("/jwks.json").json())
    feed = key_set(server.http.get("/revocations/jwks.json", auth=server.known.api).json())
    assert model.token_key.kid in tokens
    assert model.feed_key.kid in feed
    assert not tokens.keys() & feed.keys()
