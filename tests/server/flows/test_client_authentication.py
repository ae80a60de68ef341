"""Clients that show who they are by a secret, or by what they sign; and how their secrets and keys are replaced."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from dataclasses import replace as but
from typing import Any

import pytest
from msgspec.structs import replace

from tests.server.assertions import BEARER, assertion, by_secret, claims, shown
from tests.server.flows.house import AUDIENCE, BY, CALLER, NOW, SCOPES, URL, House, Program
from tests.server.flows.house import claims as said_in
from watchword.jose.jwk import SecretKey, SigningKey
from watchword_server.changes import ResealSecret
from watchword_server.flows import client_keys, client_secrets, clients, master_key, registered_keys
from watchword_server.flows.administration import Refused, Unknown
from watchword_server.flows.client_authentication import Endpoint, authenticate
from watchword_server.flows.client_keys import ClientKeys
from watchword_server.flows.introspect import introspect
from watchword_server.flows.minting import Tokens
from watchword_server.flows.token import TokenRequest, answer, digest
from watchword_server.ports import Fetched, KeyStoreError
from watchword_server.protocol.errors import InvalidClient, InvalidGrant, InvalidScope, OAuthError, UnauthorizedClient
from watchword_server.protocol.values import Client, ClientMetadata

TOKEN_URL = f"{URL}/token"
KEY, NEXT, STRANGER = (SigningKey.generate("ES256") for _ in range(3))
JWKS = {"keys": [KEY.public_jwk()]}
KEYED = ClientMetadata(token_endpoint_auth_method="private_key_jwt", jwks=JWKS)
ITSELF = frozenset({"client_credentials", BEARER})


@dataclass
class Site:
    """A fetcher for which every URL holds the same set."""

    keys: list[dict[str, Any]]
    asked: list[tuple[str, bool]] = field(default_factory=list)

    async def get(self, url: str, *, by_operator: bool, limit: int = 65536) -> Fetched:
        """What `Fetcher` promises."""
        self.asked.append((url, by_operator))
        return Fetched(json.dumps({"keys": self.keys}).encode())


async def program(house: House, metadata: ClientMetadata, grants: frozenset[str] = ITSELF) -> tuple[Client, str]:
    """A registered client, and its secret if it has one."""
    if metadata.jwks is None and metadata.jwks_uri is None:
        grants -= {BEARER}
    new = clients.NewClient("App", "confidential", grants, {AUDIENCE: SCOPES}, metadata=metadata)
    client, secret = await clients.add(house.issuer, BY, new, NOW)
    return client, secret or ""


async def known(house: House, form: dict[str, str], now: int = NOW, at: Endpoint = "token") -> Client:
    """Who asks."""
    return await authenticate(house.issuer, await house.issuer.stores.log.head(), None, form, now, at)


def signed(client: Client, key: SigningKey | SecretKey = KEY, aud: object = URL, **changes: object) -> str:
    """An assertion of a client, in order but for the changes."""
    return assertion(key, claims(client.client_id, aud, NOW, **changes))


async def post(house: House, form: dict[str, str], header: str | None = None, now: int = NOW) -> Tokens:
    """`POST /token`."""
    return await answer(house.issuer, TokenRequest(header, form, b"", CALLER, now))


# By what they sign.


@pytest.mark.parametrize("at", ["token", "par", "revoke", "introspect", "device_authorization"])
async def test_a_key_shows_who_the_client_is_at_every_endpoint(house: House, at: Endpoint) -> None:
    """With its client_id beside it or without (RFC 7521 §4.2); and once."""
    client, secret = await program(house, KEYED)
    assert secret == ""
    assert client.secret_hash is None
    form = shown(signed(client))
    assert await known(house, form, at=at) == client
    assert await known(house, shown(signed(client), client_id=client.client_id), at=at) == client
    with pytest.raises(InvalidClient, match="shown before"):
        await known(house, form, at=at)


async def test_a_secret_that_signs_is_kept_under_the_master_key(house: House) -> None:
    """HMAC by each algorithm, with whatever `kid`; the secret itself opens nothing, and stands nowhere in plain."""
    client, secret = await program(house, ClientMetadata(token_endpoint_auth_method="client_secret_jwt"))
    for alg in ("HS256", "HS384", "HS512"):
        assert await known(house, shown(signed(client, by_secret(secret, alg)))) == client
    named = assertion(by_secret(secret), claims(client.client_id, URL, NOW), kid="mine")
    assert await known(house, shown(named)) == client
    (row,) = house.rows("SELECT metadata FROM clients WHERE client_id = ?", client.client_id)
    assert client.metadata.sealed_secret is not None
    assert secret not in row[0]
    assert secret.encode() not in client.metadata.sealed_secret
    with pytest.raises(InvalidClient):
        await known(house, {"client_id": client.client_id, "client_secret": secret})
    with pytest.raises(InvalidClient):
        await known(house, shown(signed(client, by_secret(secret + "x"))))


# fmt: off
REFUSED: list[tuple[str, dict[str, Any], SigningKey]] = [
    ("another key",        {}, STRANGER),
    ("a list",             {"aud": [URL]}, KEY),
    ("the token URL",      {"aud": TOKEN_URL}, KEY),
    ("the PAR URL",        {"aud": f"{URL}/par"}, KEY),
    ("no sub",             {"sub": ...}, KEY),
    ("no exp",             {"exp": ...}, KEY),
    ("no jti",             {"jti": ...}, KEY),
    ("has expired",        {"exp": NOW - 300}, KEY),
    ("a minute ahead",     {"nbf": NOW + 61}, KEY),
]
# fmt: on


@pytest.mark.parametrize(("changes", "key"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_what_is_refused_spends_nothing(house: House, changes: dict[str, Any], key: SigningKey) -> None:
    """So nobody burns the name of an assertion that is yet to come; it is spent only when all else is good."""
    client, _ = await program(house, KEYED)
    with pytest.raises(InvalidClient):
        await known(house, shown(signed(client, key, **{"jti": "j1", **changes})))
    assert house.count("spent") == 0
    assert await known(house, shown(signed(client, jti="j1"))) == client


async def test_two_clients_spend_names_of_their_own(house: House) -> None:
    """A `jti` is unique for whom it is of (RFC 7523 §3)."""
    one, _ = await program(house, KEYED)
    other, _ = await program(house, KEYED)
    for client in (one, other):
        assert await known(house, shown(signed(client, jti="j1"))) == client
    for client in (one, other):
        with pytest.raises(InvalidClient):
            await known(house, shown(signed(client, jti="j1")))


async def test_of_fifty_at_once_in_two_processes_one_is_believed(house: House) -> None:
    """The database decides."""
    client, _ = await program(house, KEYED)
    form = shown(signed(client))
    async with house.another_process() as other:
        tries = [known(one, form) for one in (house, other) for _ in range(25)]
        found = await asyncio.gather(*tries, return_exceptions=True)
    assert [one for one in found if not isinstance(one, InvalidClient)] == [client]


async def test_another_client_cannot_sign_for_it(house: House) -> None:
    """Keys are looked for with the client that the assertion names, and with no other."""
    client, _ = await program(house, KEYED)
    other, _ = await program(house, replace(KEYED, jwks={"keys": [STRANGER.public_jwk()]}))
    with pytest.raises(InvalidClient):
        await known(house, shown(signed(client, STRANGER)))
    with pytest.raises(InvalidClient, match="differs"):
        await known(house, shown(signed(client), client_id=other.client_id))
    await clients.disable(house.issuer, BY, client.client_id, NOW)
    with pytest.raises(InvalidClient, match="disabled"):
        await known(house, shown(signed(client)))


async def test_the_algorithm_that_is_registered_is_the_only_one(house: House) -> None:
    """Though the client has a key for another."""
    rsa = SigningKey.generate("RS256")
    jwks = {"keys": [KEY.public_jwk(), rsa.public_jwk()]}
    loose, _ = await program(house, replace(KEYED, jwks=jwks))
    strict, _ = await program(house, replace(KEYED, jwks=jwks, token_endpoint_auth_signing_alg="ES256"))
    for key in (KEY, rsa):
        assert await known(house, shown(signed(loose, key))) == loose
    assert await known(house, shown(signed(strict))) == strict
    with pytest.raises(InvalidClient):
        await known(house, shown(signed(strict, rsa)))


async def test_a_client_of_fapi2_signs_well_and_names_the_issuer(house: House) -> None:
    """RS256 is refused though it is registered, and so is the token endpoint (FAPI 2.0 Security Profile §5.3.2.1)."""
    rsa = SigningKey.generate("RS256")
    jwks = {"keys": [KEY.public_jwk(), rsa.public_jwk()]}
    client, _ = await program(house, replace(KEYED, jwks=jwks, fapi2=True), frozenset({"client_credentials"}))
    assert await known(house, shown(signed(client))) == client
    for form in (shown(signed(client, rsa)), shown(signed(client, aud=TOKEN_URL))):
        with pytest.raises(InvalidClient):
            await known(house, form)


async def test_an_older_client_names_the_token_endpoint_and_nothing_else(house: House) -> None:
    """Only one that an operator has set so."""
    client, _ = await program(house, replace(KEYED, assertion_audience="token_endpoint"))
    assert await known(house, shown(signed(client, aud=TOKEN_URL)), at="par") == client
    for aud in (URL, f"{URL}/par", [TOKEN_URL]):
        with pytest.raises(InvalidClient):
            await known(house, shown(signed(client, aud=aud)))


async def test_keys_may_lie_with_the_client(house: House) -> None:
    """A new one is looked for once when it is first used, and one that is gone is of no use."""
    client, _ = await program(house, replace(KEYED, jwks=None, jwks_uri="https://app.example/jwks"))
    site = Site([KEY.public_jwk()])
    away = replace_in(house, ClientKeys(site))
    assert await known(away, shown(signed(client))) == client
    with pytest.raises(InvalidClient):
        await known(away, shown(signed(client, NEXT)))
    site.keys = [NEXT.public_jwk()]
    later = NOW + 15
    assert await known(away, shown(signed(client, NEXT)), later) == client
    with pytest.raises(InvalidClient):
        await known(away, shown(signed(client)), later)
    assert set(site.asked) == {("https://app.example/jwks", True)}


def replace_in(house: House, keys: ClientKeys) -> House:
    """The same process, but for where it finds the keys of clients."""
    return but(house, issuer=but(house.issuer, client_keys=keys))


async def test_a_public_client_proves_nothing(house: House) -> None:
    """Where it is asked to (RFC 7662 §2.1), its name is not enough."""
    named = {"client_id": house.known.page.client_id}
    assert (await known(house, named, at="revoke")).client_id == named["client_id"]
    with pytest.raises(InvalidClient):
        await known(house, named, at="introspect")


# A grant of its own.


async def test_a_client_gets_a_token_for_what_it_signs(house: House) -> None:
    """RFC 7523 §2.1: the assertion is all that it sends; it counts once, and is no good for anything else then."""
    client, _ = await program(house, KEYED)
    text = assertion(KEY, claims(client.client_id, URL, NOW), typ="JWT")
    tokens = await post(house, {"grant_type": BEARER, "assertion": text, "scope": SCOPES[0]})
    said = said_in(tokens.access_token)
    assert (said["sub"], said["client_id"]) == (client.client_id, client.client_id)
    assert (said["aud"], said["scope"]) == (AUDIENCE, SCOPES[0])
    assert tokens.refresh_token is None
    for form in ({"grant_type": BEARER, "assertion": text}, {"grant_type": "client_credentials", **shown(text)}):
        with pytest.raises(OAuthError) as refused:
            await post(house, form)
        assert refused.value.code in ("invalid_grant", "invalid_client")


async def test_a_client_may_authenticate_besides(house: House) -> None:
    """By its secret, or by another assertion; the one that is the grant is its own, in any case."""
    client, secret = await program(house, ClientMetadata(jwks=JWKS))
    form = {"grant_type": BEARER, "client_id": client.client_id, "client_secret": secret}
    own = assertion(KEY, claims(client.client_id, URL, NOW), typ=...)
    assert said_in((await post(house, {**form, "assertion": own})).access_token)["sub"] == client.client_id
    other, _ = await program(house, KEYED)
    theirs = assertion(KEY, claims(other.client_id, URL, NOW), typ=...)
    for text in (own, theirs):
        with pytest.raises(InvalidGrant):
            await post(house, {**form, "assertion": text})
    with pytest.raises(InvalidClient):
        await post(house, {**form, "client_secret": "wws_wrong", "assertion": theirs})


async def test_who_may_not_use_this_grant_is_told_so(house: House) -> None:
    """After it has shown who it is, and never before."""
    client, _ = await program(house, KEYED, frozenset({"client_credentials"}))
    with pytest.raises(UnauthorizedClient):
        await post(
            house, {"grant_type": BEARER, "assertion": assertion(KEY, claims(client.client_id, URL, NOW), typ=...)}
        )
    forged = assertion(STRANGER, claims(client.client_id, URL, NOW), typ=...)
    with pytest.raises(InvalidGrant):
        await post(house, {"grant_type": BEARER, "assertion": forged})


async def test_nobody_gets_a_grant_who_is_not_there(house: House) -> None:
    """Unknown, disabled, or of a text that is no assertion: one answer."""
    client, _ = await program(house, KEYED)
    good = assertion(KEY, claims(client.client_id, URL, NOW), typ=...)
    await clients.disable(house.issuer, BY, client.client_id, NOW)
    unknown = assertion(KEY, claims("client_unknown", URL, NOW), typ=...)
    for text in (good, unknown, "a.b.c", "nonsense"):
        with pytest.raises(InvalidGrant):
            await post(house, {"grant_type": BEARER, "assertion": text})


async def test_a_grant_is_bound_as_any_other(house: House) -> None:
    """More scope than it may have, and a client that names another beside its assertion."""
    client, _ = await program(house, KEYED)

    def form(**more: str) -> dict[str, str]:
        return {"grant_type": BEARER, "assertion": assertion(KEY, claims(client.client_id, URL, NOW), typ=...), **more}

    with pytest.raises(InvalidScope):
        await post(house, form(scope="stock"))
    with pytest.raises(InvalidGrant):
        await post(house, form(client_id=house.known.page.client_id))
    assert (await post(house, form(client_id=client.client_id))).scope == " ".join(SCOPES)


async def test_nothing_of_an_assertion_is_recalled(house: House) -> None:
    """What is answered on the express lane is what may come again (docs/decisions/0008-express-lane.md)."""
    client, secret = await program(house, ClientMetadata(jwks=JWKS))
    head = await house.issuer.stores.log.head()
    header = Program(client.client_id, secret).authorization or ""
    body = b"grant_type=jwt-bearer"
    text = assertion(KEY, claims(client.client_id, URL, NOW), typ=...)
    form = {"grant_type": BEARER, "assertion": text}
    await answer(house.issuer, TokenRequest(header, form, body, CALLER, NOW))
    assert house.issuer.repeats.recall(digest(header.encode(), body), head.state) is None


# Secrets and keys that are replaced.


async def test_a_secret_is_replaced_while_the_old_one_still_works(house: House) -> None:
    """Until its time, and on the express lane not a moment longer; the one before it has ended anyway."""
    machine, asks = house.known.machine, {"grant_type": "client_credentials"}
    await house.ask(machine, asks)
    _, second = await clients.new_secret(house.issuer, BY, machine.client_id, NOW, overlap=60)
    client, third = await clients.new_secret(house.issuer, BY, machine.client_id, NOW, overlap=60)
    assert client.metadata.retiring_secret is not None
    first, *later = (renewed(machine, one) for one in (machine.secret, second, third))
    with pytest.raises(InvalidClient):
        await house.ask(first, asks)
    for one in later:
        assert await house.ask(one, asks, NOW + 59)
    state = (await house.issuer.stores.log.head()).state
    recalled = [house.issuer.repeats.recall(sent(one), state) is not None for one in later]
    assert recalled == [False, True]
    with pytest.raises(InvalidClient):
        await house.ask(later[0], asks, NOW + 60)
    assert await house.ask(later[1], asks, NOW + 60)


def renewed(machine: Program, secret: str | None) -> Program:
    """The same client with another secret."""
    return but(machine, secret=secret)


def sent(machine: Program) -> bytes:
    """What the machine's request is remembered by."""
    return digest((machine.authorization or "").encode(), b"grant_type=client_credentials")


async def test_without_an_overlap_the_old_secret_stops_at_once(house: House) -> None:
    """Which is what a stolen one needs."""
    machine = house.known.machine
    await clients.new_secret(house.issuer, BY, machine.client_id, NOW, overlap=60)
    client, _ = await clients.new_secret(house.issuer, BY, machine.client_id, NOW)
    assert client.metadata.retiring_secret is None
    for overlap in (-1, client_secrets.LONGEST_OVERLAP + 1):
        with pytest.raises(Refused):
            await clients.new_secret(house.issuer, BY, machine.client_id, NOW, overlap=overlap)


async def test_a_secret_that_signs_is_replaced_in_the_same_way(house: House) -> None:
    """Both sign, until the old one's time."""
    client, old = await program(house, ClientMetadata(token_endpoint_auth_method="client_secret_jwt"))
    client, new = await clients.new_secret(house.issuer, BY, client.client_id, NOW, overlap=30)
    for secret in (old, new):
        assert await known(house, shown(signed(client, by_secret(secret))))
    late = {"exp": NOW + 90}
    assert await known(house, shown(signed(client, by_secret(new), **late)), NOW + 30)
    with pytest.raises(InvalidClient):
        await known(house, shown(signed(client, by_secret(old), **late)), NOW + 30)


async def test_a_client_goes_over_to_signing(house: House) -> None:
    """First a secret that it can sign with, then the way; a secret that it cannot sign with is refused."""
    client, _ = await program(house, ClientMetadata())
    way = replace(client.metadata, token_endpoint_auth_method="client_secret_jwt")
    with pytest.raises(Refused, match="needs a secret"):
        await clients.change(house.issuer, BY, replace(client, metadata=way), NOW)
    client, secret = await clients.new_secret(house.issuer, BY, client.client_id, NOW, signing=True)
    way = replace(client.metadata, token_endpoint_auth_method="client_secret_jwt")
    client = await clients.change(house.issuer, BY, replace(client, metadata=way), NOW)
    assert await known(house, shown(signed(client, by_secret(secret)))) == client


async def test_secrets_follow_the_master_key(house: House) -> None:
    """Both of a client, whatever else was changed of it; the old master key opens none of them any more."""
    client, old = await program(house, ClientMetadata(token_endpoint_auth_method="client_secret_jwt"))
    client, new = await clients.new_secret(house.issuer, BY, client.client_id, NOW, overlap=60)
    await master_key.rotate(house.issuer, BY, NOW)
    again = await clients.find(house.issuer, client.client_id)
    assert again.metadata.sealed_secret not in (None, client.metadata.sealed_secret)
    assert replace(again.metadata, sealed_secret=None, retiring_secret=None) == replace(
        client.metadata, sealed_secret=None, retiring_secret=None
    )
    for secret in (old, new):
        assert await known(house, shown(signed(client, by_secret(secret)))) == again
    (house.data / "master.key").unlink()
    (house.data / "master.key").write_text("A" * 43 + "\n")
    (house.data / "master.key").chmod(0o600)
    async with house.another_process() as other:
        await master_key.revoke_lost(other.issuer, BY, NOW)
        lost = await clients.find(other.issuer, client.client_id)
        assert (lost.metadata.sealed_secret, lost.metadata.retiring_secret) == (None, None)
        with pytest.raises(InvalidClient):
            await known(other, shown(signed(client, by_secret(new))))
        await master_key.rotate(other.issuer, BY, NOW)


async def test_no_master_key_is_changed_while_a_secret_does_not_open(house: House) -> None:
    """Nothing is begun; the message says whose it is, and another secret for that client mends it."""
    client, _ = await program(house, ClientMetadata(token_endpoint_auth_method="client_secret_jwt"))
    sealed = client.metadata.sealed_secret
    assert sealed is not None
    await house.issuer.stores.journal.save(ResealSecret(client.client_id, sealed, sealed[:-1] + b"!"))
    before = (house.data / "master.key").read_text()
    with pytest.raises(KeyStoreError, match=client.client_id):
        await master_key.rotate(house.issuer, BY, NOW)
    assert (house.data / "master.key").read_text() == before
    await clients.new_secret(house.issuer, BY, client.client_id, NOW)
    await master_key.rotate(house.issuer, BY, NOW)
    assert (house.data / "master.key").read_text() != before


async def test_a_key_is_replaced_while_the_old_one_still_works(house: House) -> None:
    """One more beside it; then the old one goes, and is dead wherever it has signed."""
    client, _ = await program(house, KEYED)
    client = await registered_keys.add(house.issuer, BY, client.client_id, NEXT.public_jwk(), NOW)
    for key in (KEY, NEXT):
        assert await known(house, shown(signed(client, key))) == client
    client = await registered_keys.remove(house.issuer, BY, client.client_id, KEY.kid, NOW)
    assert await known(house, shown(signed(client, NEXT))) == client
    with pytest.raises(InvalidClient):
        await known(house, shown(signed(client, KEY)))
    entries = house.rows("SELECT kind, id FROM revocations")
    assert entries == [("key", f"{client.client_id}/{KEY.kid}")]
    actions = [row[0] for row in house.rows("SELECT action FROM audit ORDER BY id DESC LIMIT 2")]
    assert actions == ["client.key.remove", "client.key.add"]
    assert [client_keys.name_of(one) for one in await registered_keys.of(house.issuer, client.client_id)] == [NEXT.kid]


async def test_a_key_that_cannot_be_one_is_refused(house: House) -> None:
    """Private, known already, of no kind that is used; and for a client whose keys lie elsewhere."""
    client, _ = await program(house, KEYED)
    private = {**NEXT.public_jwk(), "d": "AAAA"}
    odd = {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA", "kid": "odd"}
    for jwk in (private, KEY.public_jwk(), odd, {"kty": "oct", "k": "A" * 43, "kid": "s"}):
        with pytest.raises(Refused):
            await registered_keys.add(house.issuer, BY, client.client_id, jwk, NOW)
    with pytest.raises(Unknown):
        await registered_keys.remove(house.issuer, BY, client.client_id, NEXT.kid, NOW)
    away, _ = await program(house, replace(KEYED, jwks=None, jwks_uri="https://app.example/jwks"))
    with pytest.raises(Refused, match="change them there"):
        await registered_keys.add(house.issuer, BY, away.client_id, NEXT.public_jwk(), NOW)


async def test_keys_that_sign_tokens_die_with_any_change_that_takes_them_away(house: House) -> None:
    """Also where the whole set is replaced; for other clients nothing is written that verifiers would have to keep."""
    for signs, dead in ((False, []), (True, [KEY.kid])):
        client, _ = await program(house, replace(KEYED, signs_tokens=signs))
        other = replace(client, metadata=replace(client.metadata, jwks={"keys": [NEXT.public_jwk()]}))
        await clients.change(house.issuer, BY, other, NOW)
        entries = house.rows("SELECT id FROM revocations WHERE kind = 'key'")
        assert entries == [(f"{client.client_id}/{kid}",) for kid in dead]


# What a client is told of its tokens.


async def test_a_client_is_told_of_its_own_tokens_and_less_than_their_api(house: House) -> None:
    """RFC 7662 §2.2: what it was told with them, and of others nothing."""
    client, _ = await program(house, KEYED)
    own = (await post(house, {"grant_type": "client_credentials", **shown(signed(client))})).access_token
    theirs = (await house.sign_in()).tokens.access_token

    async def told(token: str) -> Any:
        return await introspect(house.issuer, None, {"token": token, **shown(signed(client))}, NOW)

    found = await told(own)
    assert (found["active"], found["client_id"], found["scope"]) == (True, client.client_id, " ".join(SCOPES))
    assert await told(theirs) == await told("nonsense") == {"active": False}
    web = house.known.keeper
    person = (await house.sign_in(client=web)).tokens.access_token
    header = web.authorization
    seen = await introspect(house.issuer, header, {"token": person}, NOW)
    assert seen["active"] is True
    assert not {"roles", "sid", "gid", "act"} & seen.keys()
    whole = await introspect(house.issuer, house.known.api.authorization, {"token": person}, NOW)
    assert {"roles", "sid", "gid"} <= whole.keys()
