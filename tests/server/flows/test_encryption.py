"""Tokens for an API that wants them encrypted: never another kind, and they can be revoked and asked for like any."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.server.flows.house import AUDIENCE, BY, CALLER, NOW, OTHER_AUDIENCE, SCOPES, House, Program, claims
from tests.server.flows.key_sets import FIRST, SECOND, URL, Published, document
from watchword.errors import InvalidKey, Malformed
from watchword.jose.jwe import DecryptionKey, decrypt
from watchword.policy import Opener, Policy
from watchword_server.flows import choices, clients, revoking
from watchword_server.flows.administration import Refused
from watchword_server.flows.api_keys import ApiKeys
from watchword_server.flows.choices import ApiChoice
from watchword_server.flows.introspect import introspect
from watchword_server.flows.minting import Tokens
from watchword_server.flows.purge import purge
from watchword_server.flows.session import current, sign_out
from watchword_server.flows.taking_back import take_back
from watchword_server.flows.token import digest
from watchword_server.ports import Unavailable
from watchword_server.protocol.errors import InvalidSession, TemporarilyUnavailable
from watchword_server.protocol.values import Encryption
from watchword_server.revocation.deaths import SLACK

CREDENTIALS = {"grant_type": "client_credentials"}
TO_FIRST = Encryption("A256GCM", jwk=FIRST.public_jwk())
PUBLISHED = Encryption("A128CBC-HS256", jwks_uri=URL)


async def encrypting(house: House, encryption: Encryption | None = TO_FIRST, keys: Published | None = None) -> House:
    """The house whose first API has chosen."""
    issuer = replace(house.issuer, api_keys=ApiKeys(keys or Published()))
    await choices.set_api(issuer, BY, AUDIENCE, ApiChoice(encryption=encryption), NOW)
    return replace(house, issuer=issuer)


def opened(token: str, key: DecryptionKey = FIRST) -> tuple[dict[str, Any], str]:
    """The header of an encrypted token, and the signed one inside."""
    header, inside = decrypt(token, {key.kid: key}, ("at+jwt",), 16384)
    return header, inside.decode()


async def verified(house: House, signed: str) -> dict[str, Any]:
    """The claims of a signed token that passes everything an API's verifier demands."""
    ring = await house.issuer.keyring.at(await house.issuer.stores.log.head(), NOW)
    opener = Opener(Policy(house.issuer.terms.issuer, AUDIENCE))
    opener.trust(ring.trusted)
    return dict(opener.open(signed, NOW).principal.claims)


def written(house: House, sql: str, *values: object) -> None:
    """What somebody does to the database by hand; caches hear of it."""
    with closing(sqlite3.connect(house.data / "watchword.db")) as database, database:
        database.execute(sql, values)
        database.execute("UPDATE head SET state = state + 1")


async def by_credentials(house: House) -> Tokens:
    return await house.ask(house.known.machine, CREDENTIALS)


async def by_sign_in(house: House) -> Tokens:
    return (await house.sign_in()).tokens


async def by_refresh(house: House, refresh_token: str | None = None) -> Tokens:
    raw = refresh_token or (await house.sign_in()).tokens.refresh_token
    return await house.refresh(raw)


Way = Callable[[House], Awaitable[Tokens]]
WAYS: dict[str, Way] = {"client_credentials": by_credentials, "a sign-in": by_sign_in, "a refresh": by_refresh}
EVERY_WAY = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@EVERY_WAY
@pytest.mark.parametrize("encryption", [TO_FIRST, PUBLISHED], ids=["registered", "published"])
async def test_every_token_for_the_api_is_signed_and_then_encrypted(house: House, way: Way, encryption: Encryption):
    """However it was asked for: `typ`, `cty`, the key's id and algorithm outside, a whole access token inside."""
    house = await encrypting(house, encryption)
    tokens = await way(house)
    header, inside = opened(tokens.access_token)
    expected = {"alg": "ECDH-ES", "enc": encryption.enc, "kid": FIRST.kid, "typ": "at+jwt", "cty": "JWT"}
    assert {name: header[name] for name in expected} == expected
    said = await verified(house, inside)
    assert (said["aud"], said["jti"]) == (AUDIENCE, tokens.jti)


async def test_tokens_for_other_apis_are_signed_only(house: House):
    """The choice is one API's."""
    house = await encrypting(house)
    stock = clients.NewClient("S", "confidential", frozenset({"client_credentials"}), {OTHER_AUDIENCE: ("stock",)})
    client, secret = await clients.add(house.issuer, BY, stock, NOW)
    tokens = await house.ask(Program(client.client_id, secret), CREDENTIALS)
    assert claims(tokens.access_token)["aud"] == OTHER_AUDIENCE


async def test_a_choice_holds_from_the_next_token_on(house: House):
    """What was remembered of the same request before is not answered again, in either direction."""
    assert (await by_credentials(house)).access_token.count(".") == 2
    house = await encrypting(house)
    assert (await by_credentials(house)).access_token.count(".") == 4
    house = await encrypting(house, None)
    assert (await by_credentials(house)).access_token.count(".") == 2


async def test_a_request_for_an_encrypted_token_is_not_remembered(house: House):
    """What is recalled on the express lane is answered as it is signed, so it must not be there."""
    machine = house.known.machine
    sent = digest((machine.authorization or "").encode(), urlencode(CREDENTIALS).encode())
    await by_credentials(house)
    head = await house.issuer.stores.log.head()
    assert house.issuer.repeats.recall(sent, head.state) is not None
    house = await encrypting(house)
    await by_credentials(house)
    head = await house.issuer.stores.log.head()
    assert house.issuer.repeats.recall(sent, head.state) is None


@EVERY_WAY
@pytest.mark.parametrize(
    "keys",
    [
        Published(broken="connection refused"),
        Published(document()),
        Published(b"<html>"),
        Published(document(FIRST.private_jwk())),
    ],
    ids=["unreachable", "empty", "nonsense", "private"],
)
async def test_without_a_key_there_is_no_token_at_all(house: House, way: Way, keys: Published):
    """503 with a time to come back, nothing written, nothing spent; and above all nothing unencrypted."""
    before_choice = (await house.sign_in()).tokens.refresh_token
    house = await encrypting(house, PUBLISHED, keys)
    before = house.everything()
    with pytest.raises(TemporarilyUnavailable, match="no key to encrypt to") as refusal:
        await (by_refresh(house, before_choice) if way is by_refresh else way(house))
    assert (refusal.value.status, refusal.value.code) == (503, "temporarily_unavailable")
    assert refusal.value.retry_after > 0
    assert house.everything() == before
    assert house.issuer.repeats.recall(b"", (await house.issuer.stores.log.head()).state) is None
    healthy = replace(house, issuer=replace(house.issuer, api_keys=ApiKeys(Published())))
    tokens = await (by_refresh(healthy, before_choice) if way is by_refresh else way(healthy))
    assert opened(tokens.access_token)


async def test_a_key_that_cannot_encrypt_is_no_reason_for_a_signed_token(house: House):
    """A row that somebody broke: the failure comes out, and no token does."""
    house = await encrypting(house)
    broken = '{"enc":"A256GCM","jwk":{"kty":"EC","alg":"ECDH-ES"}}'
    written(house, "UPDATE apis SET encryption = ? WHERE audience = ?", broken, AUDIENCE)
    before = house.everything()
    with pytest.raises(InvalidKey):
        await by_credentials(house)
    assert house.everything() == before


@EVERY_WAY
async def test_the_api_can_ask_for_it(house: House, way: Way):
    """The very text that it was sent, which only it can open: the same answer as for any token."""
    house = await encrypting(house)
    tokens = await way(house)
    found = await introspect(house.issuer, house.known.api.authorization, {"token": tokens.access_token}, NOW)
    _, inside = opened(tokens.access_token)
    assert found == {**claims(inside), "active": True, "token_type": "Bearer"}


async def test_another_api_learns_nothing_of_it(house: House):
    """Introspection is for the audience."""
    house = await encrypting(house)
    text = (await by_credentials(house)).access_token
    _, secret = await clients.new_api_secret(house.issuer, BY, OTHER_AUDIENCE, NOW)
    other = Program((await clients.find_api(house.issuer, OTHER_AUDIENCE)).client_id, secret)
    assert await introspect(house.issuer, other.authorization, {"token": text}, NOW) == {"active": False}


@pytest.mark.parametrize("change", ["tail", "tag", "stranger", "signed inside"])
async def test_a_text_that_was_not_given_out_is_not_known(house: House, change: str):
    """Not even a good token in an envelope of somebody else's."""
    house = await encrypting(house)
    text = (await by_credentials(house)).access_token
    _, inside = opened(text)
    other = (await by_credentials(house)).access_token
    texts = {
        "tail": text + "A",
        "tag": text.rpartition(".")[0] + "." + other.rpartition(".")[2],
        "stranger": "a.b.c.d.e",
        "signed inside": text.rpartition(".")[0] + "." + inside.rpartition(".")[2],
    }
    asked = introspect(house.issuer, house.known.api.authorization, {"token": texts[change]}, NOW)
    assert await asked == {"active": False}


async def test_a_client_takes_back_what_it_holds(house: House):
    """RFC 7009: the token is dead for everybody by its `jti`, and the answer of introspection says so."""
    house = await encrypting(house)
    tokens = await by_sign_in(house)
    _, inside = opened(tokens.access_token)
    form = {"token": tokens.access_token, "client_id": house.known.page.client_id}
    await take_back(house.issuer, None, form, CALLER, NOW)
    assert await house.killed(inside) == "token"
    asked = introspect(house.issuer, house.known.api.authorization, {"token": tokens.access_token}, NOW)
    assert await asked == {"active": False}


async def test_another_client_takes_back_nothing(house: House):
    """The answer is the same, and the token lives."""
    house = await encrypting(house)
    tokens = await by_sign_in(house)
    await take_back(house.issuer, house.known.machine.authorization, {"token": tokens.access_token}, CALLER, NOW)
    assert await house.killed(opened(tokens.access_token)[1]) is None


async def test_an_operator_takes_it_back_by_its_text(house: House):
    """As any token; one that was not made here is refused with a sentence."""
    house = await encrypting(house)
    tokens = await by_credentials(house)
    (entry,) = await revoking.token(house.issuer, BY, tokens.access_token, NOW)
    assert (entry.kind, entry.id) == ("token", tokens.jti)
    with pytest.raises(Refused, match="not known here"):
        await revoking.token(house.issuer, BY, "a.b.c.d.e", NOW)


async def test_a_person_signs_out_with_it(house: House):
    """The first-party client holds nothing else that names the session."""
    house = await encrypting(house)
    found = await house.sign_in()
    assert (await current(house.issuer, found.tokens.access_token, NOW)).session.sid == found.session.sid
    await sign_out(house.issuer, found.tokens.access_token, CALLER, NOW)
    assert await house.killed(opened(found.tokens.access_token)[1]) == "session"
    with pytest.raises(InvalidSession):
        await current(house.issuer, found.tokens.access_token, NOW)


async def test_another_process_knows_it_too(house: House):
    """It is in the database before it is handed out."""
    house = await encrypting(house)
    text = (await by_credentials(house)).access_token
    async with house.another_process() as other:
        found = await introspect(other.issuer, house.known.api.authorization, {"token": text}, NOW)
    assert found["active"] is True


async def test_nothing_in_the_database_opens_it(house: House):
    """Neither the text, nor the signed token, nor a claim of it: a thief of the file cannot use what lives."""
    house = await encrypting(house)
    text = (await by_credentials(house)).access_token
    _, inside = opened(text)
    ((sealed,),) = house.rows("SELECT sealed FROM encrypted_tokens")
    files = b"".join(path.read_bytes() for path in house.data.glob("watchword.db*"))
    assert sealed in files
    signature, payload = inside.rpartition(".")[2], inside.split(".")[1]
    for secret in (text, inside, signature, payload, text.rpartition(".")[2], text.split(".")[3]):
        assert secret.encode() not in files


@EVERY_WAY
async def test_what_cannot_be_audited_is_not_made(house: House, way: Way):
    """Token, record and audit row are one transaction."""
    house = await encrypting(house)
    written(house, "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no more rows'); END")
    before = house.everything()
    with pytest.raises(Unavailable):
        await way(house)
    assert house.everything() == before


async def test_a_row_that_was_exchanged_opens_nothing(house: House):
    """Who can write to the database cannot make one token pass for another."""
    house = await encrypting(house)
    one, other = [(await by_credentials(house)).access_token for _ in range(2)]
    (sealed,) = house.rows("SELECT sealed FROM encrypted_tokens")[0]
    written(house, "UPDATE encrypted_tokens SET sealed = ?", sealed)
    answers = [
        await introspect(house.issuer, house.known.api.authorization, {"token": text}, NOW) for text in (one, other)
    ]
    assert sorted(bool(answer["active"]) for answer in answers) == [False, True]


async def test_it_is_forgotten_when_no_verifier_can_take_it(house: House):
    """Not before: until then it can be revoked and asked for."""
    house = await encrypting(house)
    tokens = await by_credentials(house)
    end = NOW + tokens.expires_in + SLACK
    await purge(house.issuer, end)
    assert house.count("encrypted_tokens") == 1
    await purge(house.issuer, end + 1)
    assert house.count("encrypted_tokens") == 0


async def test_a_rotated_key_is_used_for_new_tokens_and_old_ones_still_open(house: House):
    """An API that holds both keys opens all of them."""
    house = await encrypting(house)
    old = (await by_credentials(house)).access_token
    await choices.set_api(
        house.issuer, BY, AUDIENCE, ApiChoice(encryption=Encryption("A256GCM", jwk=SECOND.public_jwk())), NOW
    )
    new = (await by_credentials(house)).access_token
    assert opened(old, FIRST)
    assert opened(new, SECOND)[0]["kid"] == SECOND.kid


async def test_a_token_in_a_token_is_not_unwrapped(house: House):
    """What is kept is what was signed: five segments inside of five are nothing."""
    house = await encrypting(house)
    text = (await by_credentials(house)).access_token
    with pytest.raises(Malformed):
        await verified(house, text)


async def test_many_at_once_are_each_their_own(house: House):
    """Every text once, each with its own record."""
    house = await encrypting(house)
    tokens = await asyncio.gather(*(by_credentials(house) for _ in range(20)))
    assert len({one.access_token for one in tokens}) == 20
    assert house.count("encrypted_tokens") == 20
    answers = await asyncio.gather(
        *(introspect(house.issuer, house.known.api.authorization, {"token": t.access_token}, NOW) for t in tokens)
    )
    assert [answer["jti"] for answer in answers] == [one.jti for one in tokens]
    assert set(SCOPES) == set(str(answers[0]["scope"]).split())
