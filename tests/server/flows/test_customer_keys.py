"""API keys of customers, and the documents of clients that sign their own tokens, on a database."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from tests.server.flows.house import ALICE, AUDIENCE, BY, CALLER, NOW, OTHER_AUDIENCE, House, Program, claims
from watchword.client_tokens import read_document
from watchword.dpop import ProofKey
from watchword.jose.jwk import SigningKey
from watchword_server.flows import clients, customer_keys, registered_keys, revoking, users
from watchword_server.flows.administration import Refused, Unknown
from watchword_server.flows.customer_keys import DAY, NewKey
from watchword_server.flows.for_verifiers import sheet
from watchword_server.flows.issuer import Caller
from watchword_server.flows.minting import Tokens
from watchword_server.flows.token import TokenRequest, answer
from watchword_server.people.throttle import FREE_FOR_ACCOUNT
from watchword_server.protocol.errors import (
    InvalidClient,
    InvalidDPoPProof,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    TooManyAttempts,
)
from watchword_server.revocation import deaths


async def new_key(house: House, client: Program | None = None, **more: object) -> str:
    client_id = (client or house.known.machine).client_id
    _, text = await customer_keys.add(house.issuer, BY, NewKey(client_id, AUDIENCE, "Shop 7", **more), NOW)  # type: ignore[arg-type]  # a bag
    return text


async def trade(
    house: House, key: str, now: int = NOW, by: Program | None = None, caller: Caller = CALLER, **more: str
) -> Tokens:
    form: Mapping[str, str] = {"grant_type": "urn:watchword:api-key", "api_key": key, **more}
    return await answer(house.issuer, TokenRequest(by.authorization if by else None, form, b"", caller, now))


async def test_a_key_becomes_a_short_token_of_its_grant(house: House) -> None:
    """With nobody's authentication, or with that of its API; and it never outlives the key."""
    key = await new_key(house, scope=("orders:read",), days=1)
    said = claims((await trade(house, key)).access_token)
    machine = house.known.machine.client_id
    assert (said["sub"], said["client_id"], said["scope"], said["aud"]) == (machine, machine, "orders:read", AUDIENCE)
    assert said["exp"] - said["iat"] == house.issuer.terms.access_lifetime
    by_api = claims((await trade(house, key, by=house.known.api)).access_token)
    assert by_api["gid"] == said["gid"]
    late = claims((await trade(house, key, now=NOW + DAY - 10)).access_token)
    assert late["exp"] == NOW + DAY
    with pytest.raises(InvalidGrant):
        await trade(house, key, now=NOW + DAY)


async def test_nothing_but_a_hash_is_kept(house: House) -> None:
    """Nowhere in the database."""
    key = await new_key(house)
    await trade(house, key)
    assert key[12:] not in repr(house.everything())


async def test_a_use_is_noted_at_most_once_a_minute(house: House) -> None:
    """The row of the audit trail is written for every token."""
    key = await new_key(house)
    used = []
    for later in (0, 30, 59, 60, 61):
        await trade(house, key, now=NOW + later)
        used.append(house.rows("SELECT last_used_at FROM api_keys")[0][0] - NOW)
    assert used == [0, 0, 0, 60, 60]
    rows = house.rows("SELECT actor, detail FROM audit WHERE action = 'token.issue'")
    assert len(rows) == 5
    assert json.loads(rows[0][1])["api_key"] == key[3:11]


async def test_a_key_of_a_person_says_who_it_is_and_ends_with_them(house: House) -> None:
    """Their roles as they are now; a new password ends it, as it ends all else."""
    key = await new_key(house, house.known.web, user=ALICE)
    said = claims((await trade(house, key)).access_token)
    assert (said["sub"], said["roles"]) == (await house.sub(), ["staff"])
    await users.set_roles(house.issuer, BY, ALICE, ("boss",), NOW)
    assert claims((await trade(house, key)).access_token)["roles"] == ["boss"]
    await users.set_password(house.issuer, BY, ALICE, "another long Password 3", NOW)
    with pytest.raises(InvalidGrant):
        await trade(house, key)


async def test_a_pairwise_client_that_acts_for_itself_has_its_own_name(house: House) -> None:
    """Only people are hidden from clients."""
    client = await clients.find(house.issuer, house.known.machine.client_id)
    metadata = replace(client.metadata, subject_type="pairwise", sector_identifier_uri=None)
    wanted = replace(client, metadata=metadata, redirect_uris=("https://app.example/cb",))
    await clients.change(house.issuer, BY, wanted, NOW)
    key = await new_key(house)
    assert claims((await trade(house, key)).access_token)["sub"] == client.client_id
    personal = await new_key(house, user=ALICE)
    assert claims((await trade(house, personal)).access_token)["sub"] not in (client.client_id, await house.sub())


@pytest.mark.parametrize("end", ["key", "grant", "client", "disabled", "person"])
async def test_whatever_ends_a_key_ends_its_tokens(house: House, end: str) -> None:
    """By the feed, and for good."""
    machine = house.known.machine.client_id
    key = await new_key(house, user=ALICE if end == "person" else None)
    token = (await trade(house, key)).access_token
    bystander = (await trade(house, await new_key(house, house.known.web))).access_token
    if end == "key":
        await customer_keys.revoke_key(house.issuer, BY, key, NOW)
    elif end == "grant":
        await revoking.grant(house.issuer, BY, claims(token)["gid"], NOW)
    elif end == "client":
        await revoking.client(house.issuer, BY, machine, NOW)
    elif end == "disabled":
        await clients.disable(house.issuer, BY, machine, NOW)
    else:
        await users.disable(house.issuer, BY, ALICE, NOW)
    assert await house.killed(token) is not None
    assert await house.killed(bystander) is None
    with pytest.raises(InvalidGrant):
        await trade(house, key)
    with pytest.raises(InvalidGrant):
        await trade(house, key, by=house.known.api)


async def test_who_asks_says_so_rightly_or_not_at_all(house: House) -> None:
    """The key is the credential; others are those of the API to which it was sent."""
    key = await new_key(house)
    impostor = Program(house.known.api.client_id, "wrong")
    for by in (impostor, house.known.machine):
        with pytest.raises(InvalidClient):
            await trade(house, key, by=by)
    for more in ({"client_id": house.known.page.client_id}, {"client_secret": "x"}, {"client_assertion": "x"}):
        with pytest.raises((InvalidClient, InvalidRequest)):
            await trade(house, key, **more)
    with pytest.raises(InvalidRequest):
        await answer(house.issuer, TokenRequest(None, {"grant_type": "urn:watchword:api-key"}, b"", CALLER, NOW))


async def test_a_key_is_for_one_api(house: House) -> None:
    """Another API that it was sent to gets the answer that a guess gets."""
    key = await new_key(house)
    _, secret = await clients.new_api_secret(house.issuer, BY, OTHER_AUDIENCE, NOW)
    other = Program((await clients.find_api(house.issuer, OTHER_AUDIENCE)).client_id, secret)
    with pytest.raises(InvalidGrant):
        await trade(house, key, by=other)
    with pytest.raises(InvalidScope):
        await trade(house, key, scope="stock")


async def test_guesses_are_counted_and_good_keys_never_wait(house: House) -> None:
    """After a few, a place leaves no more trace in the trail; the API that passes guesses on is not held up."""
    good = await new_key(house)
    failed = "SELECT count(*) FROM audit WHERE action = 'token.issue' AND outcome <> 'ok'"
    for _ in range(FREE_FOR_ACCOUNT):
        with pytest.raises(InvalidGrant):
            await trade(house, "ww_" + "a" * 8 + "_" + "b" * 43)
    for _ in range(10):
        with pytest.raises(TooManyAttempts):
            await trade(house, "ww_" + "a" * 8 + "_" + "b" * 43)
    assert house.rows(failed) == [(FREE_FOR_ACCOUNT,)]
    assert await trade(house, good)
    for _ in range(20):
        with pytest.raises(InvalidGrant):
            await trade(house, "x" * 10_000, by=house.known.api)
    assert house.rows(failed) == [(FREE_FOR_ACCOUNT,)]
    await customer_keys.revoke_key(house.issuer, BY, good, NOW)
    with pytest.raises(InvalidGrant):
        await trade(house, good, by=house.known.api)
    assert house.rows(failed) == [(FREE_FOR_ACCOUNT + 1,)]


async def test_a_client_that_has_to_prove_its_key_has_to_here(house: House) -> None:
    """So what such a client's customer sends to an API as it is, is not traded: there is no proof."""
    client = await clients.find(house.issuer, house.known.machine.client_id)
    bound = replace(client, metadata=replace(client.metadata, dpop_bound_access_tokens=True))
    await clients.change(house.issuer, BY, bound, NOW)
    key = await new_key(house)
    for by in (None, house.known.api):
        with pytest.raises(InvalidDPoPProof):
            await trade(house, key, by=by)


async def test_a_proof_binds_what_a_key_is_traded_for(house: House) -> None:
    """Each proof once; one that comes with a bad key is not spent."""
    prover = ProofKey.generate()
    good, bad = await new_key(house), "ww_" + "a" * 8 + "_" + "b" * 43
    proof = prover.prove("POST", f"{house.issuer.terms.issuer}/token", now=NOW, jti="once")

    async def ask(key: str) -> Tokens:
        form = {"grant_type": "urn:watchword:api-key", "api_key": key}
        return await answer(house.issuer, TokenRequest(None, form, b"", CALLER, NOW, (proof,)))

    with pytest.raises(InvalidGrant):
        await ask(bad)
    tokens = await ask(good)
    assert (tokens.token_type, claims(tokens.access_token)["cnf"]) == ("DPoP", {"jkt": prover.jkt})
    with pytest.raises(InvalidDPoPProof):
        await ask(good)


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (NewKey("client_unknown", AUDIENCE, "x"), "no client"),
        (NewKey("{machine}", "https://unknown.example", "x"), "no API"),
        (NewKey("{machine}", OTHER_AUDIENCE, "x"), "may not use"),
        (NewKey("{machine}", AUDIENCE, "x", ("stock",)), "no scope"),
        (NewKey("{machine}", AUDIENCE, ""), "name"),
        (NewKey("{machine}", AUDIENCE, "x", days=0), "days"),
        (NewKey("{machine}", AUDIENCE, "x", days=4000), "days"),
        (NewKey("{machine}", AUDIENCE, "x", user="nobody@example.com"), "no user"),
    ],
)
async def test_a_key_that_makes_no_sense_is_not_made(house: House, new: NewKey, why: str) -> None:
    """With the reason, and nothing is kept."""
    whose = new.client_id.format(machine=house.known.machine.client_id)
    with pytest.raises(Refused, match=why):
        await customer_keys.add(
            house.issuer, BY, NewKey(whose, new.audience, new.name, new.scope, new.days, new.user), NOW
        )
    assert house.count("api_keys") == house.count("grants") == 0
    with pytest.raises(Unknown):
        await customer_keys.revoke_key(house.issuer, BY, "aaaaaaaa", NOW)


# Documents of clients that sign.

ONE, TWO = SigningKey.generate("ES256"), SigningKey.generate("RS256")


async def let_it_sign(house: House, **metadata: object) -> str:
    """The machine may sign tokens; its `client_id`."""
    client = await clients.find(house.issuer, house.known.machine.client_id)
    jwks = {"keys": [ONE.public_jwk(), {**TWO.public_jwk(), "use": "sig"}]}
    usual = {"signs_tokens": True, "jwks": jwks}
    wanted = replace(client, metadata=replace(client.metadata, **{**usual, **metadata}))
    await clients.change(house.issuer, BY, wanted, NOW)
    return client.client_id


async def told(house: House, client_id: str, audience: str = AUDIENCE) -> object:
    return await sheet(house.issuer, await clients.find_api(house.issuer, audience), client_id, NOW)


async def test_an_api_is_told_keys_and_its_own_scopes(house: House) -> None:
    """Public keys only, each with its name and its one algorithm; read as a verifier reads them."""
    client_id = await let_it_sign(house)
    head = await house.issuer.stores.log.head()
    found = await sheet(house.issuer, await clients.find_api(house.issuer, AUDIENCE), client_id, NOW)
    assert found is not None
    assert (found.scope, found.rev, found.revoked_at) == ("orders:read orders:write", head.rev, 0)
    document = read_document(
        json.dumps({name: getattr(found, name) for name in found.__struct_fields__}).encode(), client_id
    )
    assert {kid: key.alg for kid, key in document.keys.items()} == {ONE.kid: "ES256", TWO.kid: "RS256"}
    assert not {"d", "p", "q", "k"} & {name for jwk in found.jwks["keys"] for name in jwk}


async def test_whoever_may_not_sign_has_no_document(house: House) -> None:
    """Unknown, not let, at another API, disabled, or known by a document of its own: all alike."""
    client_id = await let_it_sign(house)
    assert await told(house, client_id) is not None
    assert await told(house, client_id, OTHER_AUDIENCE) is None
    assert await told(house, "client_unknown") is None
    assert await told(house, house.known.web.client_id) is None
    await clients.disable(house.issuer, BY, client_id, NOW)
    assert await told(house, client_id) is None
    await clients.enable(house.issuer, BY, client_id, NOW)
    assert await told(house, client_id) is not None
    await let_it_sign(house, document_fresh_until=NOW + 1000)
    assert await told(house, client_id) is None


async def test_a_document_says_when_its_client_was_revoked(house: House) -> None:
    """What it issued until then is dead, though the document is newer than the revocation."""
    client_id = await let_it_sign(house)
    await revoking.client(house.issuer, BY, client_id, NOW)
    found = await sheet(house.issuer, await clients.find_api(house.issuer, AUDIENCE), client_id, NOW)
    assert found is not None
    assert (found.revoked_at, found.rev) == (NOW, (await house.issuer.stores.log.head()).rev)
    await revoking.everything(house.issuer, BY, NOW + 7)
    again = await sheet(house.issuer, await clients.find_api(house.issuer, AUDIENCE), client_id, NOW + 7)
    assert again is not None
    assert again.revoked_at == NOW + 7


async def test_who_may_no_longer_sign_is_revoked_at_once(house: House) -> None:
    """And so is a key that is taken away, by its name in the log."""
    client_id = await let_it_sign(house)
    await registered_keys.remove(house.issuer, BY, client_id, ONE.kid, NOW)
    await let_it_sign(house, signs_tokens=False)
    kinds = house.rows("SELECT kind, id FROM revocations ORDER BY seq")
    assert kinds == [("key", f"{client_id}/{ONE.kid}"), ("client", client_id)]


async def test_another_key_of_the_same_name_or_another_place_of_keys_revokes_what_the_old_ones_signed(
    house: House,
) -> None:
    """The name of a key cannot be revoked that goes on, and names that lie elsewhere are not known: all goes."""
    client_id = await let_it_sign(house)
    other = {**SigningKey.generate("ES256").public_jwk(), "kid": ONE.kid}
    await let_it_sign(house, jwks={"keys": [other, TWO.public_jwk()]})
    assert house.rows("SELECT kind, id FROM revocations") == [("client", client_id)]
    await let_it_sign(house, jwks={"keys": [other, TWO.public_jwk(), ONE.public_jwk() | {"kid": "more"}]})
    assert len(house.rows("SELECT kind FROM revocations")) == 1
    await let_it_sign(house, jwks=None, jwks_uri="https://app.example/jwks")
    before = len(house.rows("SELECT kind FROM revocations WHERE kind = 'client'"))
    await let_it_sign(house, jwks=None, jwks_uri="https://app.example/others")
    await let_it_sign(house, jwks_uri=None)
    assert len(house.rows("SELECT kind FROM revocations WHERE kind = 'client'")) == before + 2


@pytest.mark.parametrize(
    "jwks",
    [
        None,
        {"keys": []},
        {"keys": [{**ONE.public_jwk(), "d": "AAAA"}]},
        {"keys": [{"kty": "oct", "k": "A" * 43, "alg": "HS256"}]},
        {"keys": [{name: value for name, value in TWO.public_jwk().items() if name != "alg"}]},
    ],
)
async def test_who_has_no_key_to_sign_with_is_not_let(house: House, jwks: object) -> None:
    """None, a private one, a secret, or an RSA key that does not say how it signs."""
    with pytest.raises(Refused):
        await let_it_sign(house, jwks=jwks)


def test_a_revocation_is_remembered_for_as_long_as_documents_are() -> None:
    """And what was signed by one of them, however short the issuer's own tokens live."""
    for lifetime in (60, 900, 3600):
        until = deaths.client("client_1", NOW, lifetime).until
        assert until >= NOW + max(lifetime, 300 + 300)
        assert until - deaths.span_of_client(lifetime) == NOW
        assert deaths.issuer(NOW, lifetime).until == until
