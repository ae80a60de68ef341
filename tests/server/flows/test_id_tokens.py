"""ID tokens: what they say, who signs them, and who alone can read them."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError
from msgspec.structs import replace as changed

from tests.server.flows.house import AUDIENCE, BY, NOW, URL, House
from tests.server.flows.keys_seen import AHEAD, signer
from tests.server.flows.relying import (
    NONCE,
    SIGNED_IN,
    access_token,
    allowed,
    decrypted,
    identified,
    known,
    published,
    registered,
    verified,
)
from watchword.jose.jwe import DecryptionKey
from watchword.jose.kinds import Kind
from watchword_server.changes import DropKey, RetireKey
from watchword_server.flows import keys
from watchword_server.flows.api_keys import NoEncryptionKey
from watchword_server.flows.id_tokens import LIFETIME
from watchword_server.flows.key_life import ACCESS, kin
from watchword_server.flows.keyring import NoSigningKey
from watchword_server.ports import KeyStoreError
from watchword_server.protocol.claims import ClaimsRequest, Wanted
from watchword_server.protocol.errors import InvalidGrant


async def test_an_id_token_says_who_signed_in_where_and_when(house: House) -> None:
    """OpenID Connect Core §2: all of it, and nothing about the person that was not asked for by name."""
    await known(house.issuer)
    client = await registered(house.issuer)
    grant = await allowed(house.issuer, client, ("openid", "profile", "email"), acr="1")
    header, said = await verified(house.issuer, await identified(house.issuer, client, grant))
    assert header.keys() == {"alg", "kid", "typ"}
    assert (header["alg"], header["typ"]) == ("ES256", "JWT")
    assert said.pop("at_hash")
    assert said == {
        "iss": URL,
        "sub": grant.sub,
        "aud": client.client_id,
        "exp": NOW + LIFETIME,
        "iat": NOW,
        "auth_time": SIGNED_IN,
        "nonce": NONCE,
        "acr": "1",
        "amr": ["pwd"],
        "sid": grant.sid,
    }


async def test_an_id_token_of_a_refresh_has_no_nonce_and_tells_of_the_same_sign_in(house: House) -> None:
    """§12.2: same `iss`, `sub`, `aud` and `auth_time`; another `iat`."""
    client = await registered(house.issuer)
    grant = await allowed(house.issuer, client, offline=True)
    _, first = await verified(house.issuer, await identified(house.issuer, client, grant))
    _, later = await verified(house.issuer, await identified(house.issuer, client, grant, nonce=None, now=NOW + 500))
    same = ("iss", "sub", "aud", "auth_time", "sid", "amr")
    assert [later[name] for name in same] == [first[name] for name in same]
    assert "nonce" not in later
    assert later["iat"] == first["iat"] + 500


@pytest.mark.parametrize(("alg", "digest"), [
    ("RS256", hashlib.sha256), ("ES256", hashlib.sha256), ("ES384", hashlib.sha384), ("EdDSA", hashlib.sha512),
])  # fmt: skip
async def test_a_client_chooses_who_signs_and_the_key_is_there_at_once(house: House, alg: str, digest: Any) -> None:
    """The key that was just announced signs: nobody has a set of keys that it is missing from. `at_hash` goes with it
    (§3.1.3.6), and access tokens stay as they were.
    """
    client = await registered(house.issuer, id_token_signed_response_alg=alg)
    grant = await allowed(house.issuer, client)
    access = await access_token(house.issuer, client, grant)
    header, said = await verified(house.issuer, await identified(house.issuer, client, grant, access))
    half = digest(access.encode()).digest()
    assert header["alg"] == alg
    assert said["at_hash"] == base64.urlsafe_b64encode(half[: len(half) // 2]).rstrip(b"=").decode()
    assert {key["alg"] for key in (await published(house.issuer)).as_dict()["keys"]} == {alg, "ES256"}
    assert jwt.decode(access, await published(house.issuer), algorithms=["ES256"]).header["alg"] == "ES256"


async def test_what_was_asked_for_by_name_is_in_the_id_token(house: House) -> None:
    """§5.5: and only that; a claim that is unknown or of another value is left out."""
    await known(house.issuer)
    asked = {
        "email": Wanted(essential=True),
        "family_name": Wanted(values=("Adams",)),
        "given_name": Wanted(values=("Bob",)),
        "nickname": Wanted(essential=True),
        "shoe_size": Wanted(),
        "iss": Wanted(values=("https://evil.example",)),
    }
    client = await registered(house.issuer)
    grant = await allowed(house.issuer, client, claims=ClaimsRequest(id_token=asked, userinfo={"birthdate": Wanted()}))
    _, said = await verified(house.issuer, await identified(house.issuer, client, grant))
    assert (said["email"], said["family_name"], said["iss"]) == ("alice@example.com", "Adams", URL)
    assert said.keys().isdisjoint({"given_name", "nickname", "shoe_size", "birthdate"})


async def test_a_grant_of_plain_oauth_has_no_id_token(house: House) -> None:
    """Nothing is known of a sign-in that it could tell of."""
    client = await registered(house.issuer)
    grant = changed(await allowed(house.issuer, client), authentication=None)
    with pytest.raises(InvalidGrant):
        await identified(house.issuer, client, grant)


@pytest.mark.parametrize("alg", ["RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A256KW"])
@pytest.mark.parametrize("enc", ["A128CBC-HS256", "A256GCM"])
async def test_an_encrypted_id_token_is_signed_inside_and_only_the_client_reads_it(
    house: House, alg: str, enc: str
) -> None:
    """RFC 7519 §11.2: a nested JWT, to the key that the client has registered."""
    own = DecryptionKey.generate(alg)
    choice = {"id_token_encrypted_response_alg": alg, "id_token_encrypted_response_enc": enc}
    client = await registered(house.issuer, jwks={"keys": [own.public_jwk()]}, **choice)
    grant = await allowed(house.issuer, client)
    token = await identified(house.issuer, client, grant)
    assert token.count(".") == 4
    header, inside = decrypted(token, own.private_jwk())
    assert (header["alg"], header["enc"], header["cty"], header["kid"]) == (alg, enc, "JWT", own.kid)
    _, said = await verified(house.issuer, inside.decode())
    assert said["sub"] == grant.sub


async def test_without_a_key_to_encrypt_to_there_is_no_id_token(house: House) -> None:
    """Nobody else may read it instead."""
    own = DecryptionKey.generate("ECDH-ES")
    keys_of = {"keys": [own.public_jwk()]}
    choice = {"id_token_encrypted_response_alg": "ECDH-ES", "id_token_encrypted_response_enc": "A256GCM"}
    client = await registered(house.issuer, jwks=keys_of, **choice)
    grant = await allowed(house.issuer, client)
    useless: tuple[dict[str, object] | None, ...] = ({"keys": []}, {"keys": [{"kty": "RSA"}]}, None)
    for jwks in useless:
        poor = changed(client, metadata=changed(client.metadata, jwks=jwks))
        with pytest.raises(NoEncryptionKey):
            await identified(house.issuer, poor, grant)


async def test_after_a_rotation_the_next_key_signs_and_the_one_before_is_still_known(house: House) -> None:
    """As a hint, an ID token is good for as long as its key is published."""
    client = await registered(house.issuer)
    grant = await allowed(house.issuer, client)
    old = await identified(house.issuer, client, grant)
    await keys.rotate(house.issuer, BY, ACCESS, NOW)
    new = await identified(house.issuer, client, grant, now=NOW + AHEAD)
    before, _ = await verified(house.issuer, old, NOW + AHEAD)
    after, _ = await verified(house.issuer, new, NOW + AHEAD)
    assert before["kid"] != after["kid"] == await signer(house.issuer, NOW + AHEAD)


async def test_a_stolen_key_signs_no_more_and_verifies_nothing(house: House) -> None:
    """The next one takes over at once."""
    client = await registered(house.issuer)
    grant = await allowed(house.issuer, client)
    old = await identified(house.issuer, client, grant)
    header, _ = await verified(house.issuer, old)
    await keys.revoke_key(house.issuer, BY, header["kid"], NOW)
    fresh, _ = await verified(house.issuer, await identified(house.issuer, client, grant))
    assert fresh["kid"] != header["kid"]
    with pytest.raises(InvalidKeyIdError):
        await verified(house.issuer, old)


async def test_a_waiting_key_signs_where_no_other_of_its_algorithm_is_left(house: House) -> None:
    """Any key that is published will do."""
    client = await registered(house.issuer, id_token_signed_response_alg="EdDSA")
    family = kin(await house.issuer.stores.keys.all(), ACCESS, "EdDSA")
    called, waiting = family.appointed(), family.waiting()
    assert called is not None
    assert waiting is not None
    await house.issuer.stores.journal.save(RetireKey(called.kid, NOW, revoked=False), DropKey(called.kid))
    header, _ = await verified(
        house.issuer, await identified(house.issuer, client, await allowed(house.issuer, client))
    )
    assert header["kid"] == waiting.kid


async def test_without_a_key_of_its_algorithm_nothing_is_signed(house: House) -> None:
    """Not by another algorithm: the client would refuse it, or worse, take it."""
    client = await registered(house.issuer)
    other = changed(client, metadata=changed(client.metadata, id_token_signed_response_alg="PS256"))
    with pytest.raises(NoSigningKey, match="PS256"):
        await identified(house.issuer, other, await allowed(house.issuer, client))
    ring = await house.issuer.keyring.at(await house.issuer.stores.log.head(), NOW)
    with pytest.raises(NoSigningKey):
        ring.signs_for(Kind.ACCESS_TOKEN, "ES256")


async def test_a_key_for_id_tokens_that_does_not_open_costs_access_tokens_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again a little later."""
    client = await registered(house.issuer, id_token_signed_response_alg="EdDSA")
    grant = await allowed(house.issuer, client)
    async with house.another_process() as later:
        store = type(later.issuer.key_store)
        opens = store.open

        def locked(self: Any, stored: Any) -> Any:
            if stored.alg == "EdDSA":
                raise KeyStoreError("its master key is elsewhere")
            return opens(self, stored)

        with monkeypatch.context() as patched:
            patched.setattr(store, "open", locked)
            assert await access_token(later.issuer, client, grant)
            with pytest.raises(NoSigningKey):
                await identified(later.issuer, client, grant)
        with pytest.raises(NoSigningKey):
            await identified(later.issuer, client, grant, now=NOW + 1)
        assert await identified(later.issuer, client, grant, now=NOW + 5)


async def test_an_id_token_for_an_api_and_one_for_userinfo_are_the_same(house: House) -> None:
    """Only the access token beside it is for another."""
    client = await registered(house.issuer)
    grant = await allowed(house.issuer, client, ("openid", "orders:read"), audience=AUDIENCE)
    _, said = await verified(house.issuer, await identified(house.issuer, client, grant))
    assert said["aud"] == client.client_id
