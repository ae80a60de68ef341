"""The public keys of clients: registered or published, followed at the client's pace and within bounds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from tests.server.flows.key_sets import FIRST, SECOND, soon
from watchword.jose.jwk import SigningKey
from watchword_server.flows.api_keys import NoEncryptionKey
from watchword_server.flows.client_keys import KEEP, MOST_CLIENTS, MOST_KEYS, ClientKeys
from watchword_server.flows.published import COOL_DOWN, EVERY, PATIENCE
from watchword_server.ports import Fetched, FetchFailed
from watchword_server.protocol.values import Client, ClientMetadata

NOW = 1_800_000_000
URL = "https://app.example/jwks.json"
EC, RSA, LATER = SigningKey.generate("ES256"), SigningKey.generate("RS256"), SigningKey.generate("ES256")


def document(*keys: Mapping[str, object]) -> dict[str, object]:
    """A key set."""
    return {"keys": list(keys)}


def without(jwk: Mapping[str, object], *names: str) -> dict[str, object]:
    """A key that does not say something of itself."""
    return {name: value for name, value in jwk.items() if name not in names}


def client(client_id: str = "app", **metadata: object) -> Client:
    """A client with keys."""
    return Client(client_id, "App", "public", None, frozenset(), {}, NOW, metadata=ClientMetadata(**metadata))


@dataclass
class Web:
    """A fetcher for which every URL holds one set."""

    keys: Mapping[str, object]
    broken: str = ""
    gate: asyncio.Event | None = None
    asked: list[tuple[str, bool]] = field(default_factory=list)

    async def get(self, url: str, *, by_operator: bool, limit: int = 65536) -> Fetched:
        """What `Fetcher` promises."""
        self.asked.append((url, by_operator))
        if self.gate is not None:
            await self.gate.wait()
        if self.broken:
            raise FetchFailed(self.broken)
        return Fetched(json.dumps(self.keys).encode())


async def kids(keys: ClientKeys, one: Client, alg: str = "ES256", kid: str = EC.kid, now: int = NOW) -> set[str]:
    """What a client's signatures are verified with."""
    return set(await keys.verification(one, alg, kid, now))


async def test_registered_keys_need_no_fetch():
    """Only those for signatures by this algorithm, and nothing symmetric or private."""
    web = Web(document())
    secret = {"kty": "oct", "k": "A" * 43, "kid": "secret", "alg": "HS256"}
    private = {**LATER.public_jwk(), "d": "AAAA"}
    registered = client(jwks=document(EC.public_jwk(), RSA.public_jwk(), FIRST.public_jwk(), secret, private))
    keys = ClientKeys(web)
    assert await kids(keys, registered) == {EC.kid, ""}
    assert await kids(keys, registered, "RS256", RSA.kid) == {RSA.kid, ""}
    assert await kids(keys, registered, "ES384") == set()
    for alg in ("HS256", "none", "", "ES256K"):
        assert await kids(keys, registered, alg, "secret") == set()
    assert web.asked == []


async def test_a_key_that_does_not_say_its_algorithm_takes_any_of_its_kind():
    """RFC 7517 §4.4: an RSA key may leave it open; one that says it takes no other."""
    open_one = client("open", jwks=document(without(RSA.public_jwk(), "alg")))
    fixed = client("fixed", jwks=document(RSA.public_jwk()))
    keys = ClientKeys(Web(document()))
    assert await kids(keys, open_one, "PS256", RSA.kid) == {RSA.kid, ""}
    assert await kids(keys, fixed, "PS256", RSA.kid) == set()
    assert await kids(keys, open_one, "ES256", RSA.kid) == set()


async def test_a_key_is_found_without_a_kid_only_where_it_is_alone():
    """OpenID Connect Core §10.1; and one without a name is named by its thumbprint."""
    keys = ClientKeys(Web(document()))
    two = client("two", jwks=document(EC.public_jwk(), LATER.public_jwk()))
    assert await kids(keys, two) == {EC.kid, LATER.kid}
    nameless = client("one", jwks=document(without(EC.public_jwk(), "kid")))
    assert await kids(keys, nameless) == {EC.kid, ""}


async def test_other_registered_keys_take_the_place_of_those_before():
    """A client that was changed."""
    keys = ClientKeys(Web(document()))
    assert EC.kid in await kids(keys, client(jwks=document(EC.public_jwk())))
    assert await kids(keys, client(jwks=document(LATER.public_jwk()))) == {LATER.kid, ""}


@pytest.mark.parametrize("registered_itself", [True, False])
async def test_published_keys_are_fetched_once_and_by_whose_word(registered_itself: bool):
    """Networks that an operator allows are for what an operator registered."""
    web = Web(document(EC.public_jwk()))
    keys, one = ClientKeys(web), client(jwks_uri=URL, registered_itself=registered_itself)
    for later in range(3):
        assert EC.kid in await kids(keys, one, now=NOW + later)
    assert web.asked == [(URL, not registered_itself)]


async def test_a_new_key_is_looked_for_at_once_and_then_not_again_for_a_while():
    """Whoever makes up key ids makes us look once in COOL_DOWN, and not once a request."""
    web = Web(document(EC.public_jwk()))
    keys, one = ClientKeys(web), client(jwks_uri=URL)
    await kids(keys, one)
    web.keys = document(EC.public_jwk(), LATER.public_jwk())
    later = NOW + COOL_DOWN
    assert await kids(keys, one, kid=LATER.kid, now=later) == {EC.kid, LATER.kid}
    for made_up in range(50):
        await kids(keys, one, kid=f"made-up-{made_up}", now=later + made_up % COOL_DOWN)
    assert len(web.asked) == 2
    await kids(keys, one, kid="made-up", now=later + COOL_DOWN)
    assert len(web.asked) == 3


async def test_a_crowd_with_unknown_keys_waits_for_one_fetch():
    """Single flight, for the first look and for the next."""
    web = Web(document(EC.public_jwk()), gate=asyncio.Event())
    keys, one = ClientKeys(web), client(jwks_uri=URL)
    crowd = [asyncio.create_task(kids(keys, one, kid=f"kid-{n}")) for n in range(50)]
    await soon(lambda: bool(web.asked))
    web.gate.set()
    assert all(EC.kid in found for found in await asyncio.gather(*crowd))
    assert len(web.asked) == 1


async def test_nobody_waits_long_for_a_clients_hung_server():
    """And then there is no key, which is a refusal."""
    web = Web(document(EC.public_jwk()), gate=asyncio.Event())
    keys = ClientKeys(web)
    async with asyncio.timeout(2 * PATIENCE + 1):
        assert await kids(keys, client(jwks_uri=URL)) == set()
    keys.close()


async def test_a_withdrawn_key_is_not_believed_for_long():
    """It is gone with the next look; where nobody answers, an hour after it was last seen."""
    web = Web(document(EC.public_jwk()))
    keys, one = ClientKeys(web), client(jwks_uri=URL)
    await kids(keys, one)
    web.keys = document(LATER.public_jwk())
    await kids(keys, one, now=NOW + EVERY)
    async with asyncio.timeout(5):
        while EC.kid in await kids(keys, one, now=NOW + EVERY):
            await asyncio.sleep(0.001)
    web.broken = "no answer"
    assert LATER.kid in await kids(keys, one, kid=LATER.kid, now=NOW + EVERY + KEEP)
    assert await kids(keys, one, kid=LATER.kid, now=NOW + EVERY + KEEP + 1 + COOL_DOWN * 4) == set()


@pytest.mark.parametrize("found", [{}, {"keys": {}}, {"keys": [7, "x", None, {}]}, {"keys": [EC.public_jwk()] * 0}])
async def test_what_is_no_key_set_has_no_keys(found: Mapping[str, object]):
    """Published or registered."""
    assert await kids(ClientKeys(Web(found)), client(jwks_uri=URL)) == set()
    assert await kids(ClientKeys(Web(found)), client(jwks=found)) == set()
    assert await kids(ClientKeys(Web(found)), client()) == set()


async def test_of_a_huge_set_only_the_first_keys_are_looked_at():
    """Opening a key takes its time."""
    many = [{**EC.public_jwk(), "kid": f"key-{n}"} for n in range(2 * MOST_KEYS)]
    assert len(await kids(ClientKeys(Web(document())), client(jwks=document(*many)))) == MOST_KEYS


async def test_no_more_clients_are_followed_than_there_is_room_for():
    """Who was not asked for the longest is fetched anew when it is needed."""
    web = Web(document(EC.public_jwk()))
    keys = ClientKeys(web)
    first, *others = [client(f"app-{n}", jwks_uri=URL) for n in range(MOST_CLIENTS + 1)]
    await kids(keys, first)
    for one in others:
        await kids(keys, one)
    assert len(web.asked) == MOST_CLIENTS + 1
    await kids(keys, others[-1])
    assert len(web.asked) == MOST_CLIENTS + 1
    await kids(keys, first)
    assert len(web.asked) == MOST_CLIENTS + 2


async def test_what_is_for_a_client_alone_is_encrypted_to_its_key():
    """One that is for encryption before one that does not say; nothing is found for another algorithm."""
    unsaid = without(SECOND.public_jwk(), "use", "alg")
    keys = ClientKeys(Web(document(unsaid, FIRST.public_jwk(), EC.public_jwk())))
    one = client(jwks_uri=URL)
    assert (await keys.encryption(one, "ECDH-ES", NOW)).kid == FIRST.kid
    assert (await keys.encryption(one, "ECDH-ES+A256KW", NOW)).kid == SECOND.kid
    for missing in (client("b"), client("c", jwks=document(EC.public_jwk())), one):
        with pytest.raises(NoEncryptionKey):
            await keys.encryption(missing, "RSA-OAEP-256", NOW)
