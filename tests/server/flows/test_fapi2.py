"""Clients that keep to the FAPI 2.0 Security Profile, from their registration to their tokens."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from dataclasses import replace as but

import pytest
from msgspec.structs import replace

from tests.server.assertions import assertion, shown
from tests.server.assertions import claims as asserted
from tests.server.flows.house import AUDIENCE, BY, CALLER, NOW, SCOPES, URL, House, claims
from tests.server.request_objects import ASKS, CALLBACK, signed
from tests.server.request_objects import claims as requested
from watchword.dpop import ProofKey
from watchword.jose.jwk import SigningKey
from watchword_server.flows import choices, clients
from watchword_server.flows.administration import Refused
from watchword_server.flows.choices import ApiChoice
from watchword_server.flows.keyring import NoSigningKey, Ring
from watchword_server.flows.minting import Tokens, for_grant
from watchword_server.flows.pushed import Pushed, push
from watchword_server.flows.token import TokenRequest, answer
from watchword_server.ports import Head
from watchword_server.protocol.errors import InvalidDPoPProof, InvalidRequestObject, InvalidTarget
from watchword_server.protocol.values import Client, ClientMetadata, Grant

EC, RSA = SigningKey.generate("ES256"), SigningKey.generate("PS256")
WEAK = SigningKey.generate("RS256")
JWKS = {"keys": [EC.public_jwk(), RSA.public_jwk(), {**WEAK.public_jwk(), "alg": "RS256"}]}
METADATA = ClientMetadata(fapi2=True, jwks=JWKS)
ITSELF, PEOPLE = frozenset({"client_credentials"}), frozenset({"authorization_code", "refresh_token"})


async def program(house: House, grants: frozenset[str] = ITSELF, metadata: ClientMetadata = METADATA) -> Client:
    """A new client of the profile."""
    uris = (CALLBACK,) if "authorization_code" in grants else ()
    new = clients.NewClient("App", "confidential", grants, {AUDIENCE: SCOPES}, redirect_uris=uris, metadata=metadata)
    client, secret = await clients.add(house.issuer, BY, new, NOW)
    assert secret is None
    assert client.secret_hash is None
    return client


def proof(endpoint: str, by: ProofKey) -> tuple[str, ...]:
    """A proof for an endpoint."""
    return (by.prove("POST", f"{URL}{endpoint}", now=NOW, jti=secrets.token_hex(8)),)


def proves(client: Client, **more: str) -> dict[str, str]:
    """What shows who it is."""
    return shown(assertion(EC, asserted(client.client_id, URL, NOW)), **more)


async def token(house: House, client: Client, proofs: tuple[str, ...]) -> Tokens:
    """A token by `client_credentials`."""
    form = proves(client, grant_type="client_credentials")
    return await answer(house.issuer, TokenRequest(None, form, b"", CALLER, NOW, proofs))


async def pushed(house: House, client: Client, proofs: tuple[str, ...] = (), **form: str) -> Pushed:
    """`POST /par`."""
    return await push(house.issuer, None, proves(client, **(form or ASKS)), NOW, proofs)


async def test_what_the_setting_turns_on_is_what_is_kept(house: House) -> None:
    """As the store has it."""
    made = await program(house, PEOPLE)
    found = await house.issuer.stores.clients.find(made.client_id)
    assert found is not None
    assert found.metadata.require_pushed_authorization_requests
    assert found.metadata.dpop_bound_access_tokens
    assert (found.rotates, found.metadata.token_endpoint_auth_method) == (False, "private_key_jwt")


async def test_a_client_may_come_to_it_later(house: House) -> None:
    """Where it has keys, and nothing stands against it."""
    new = clients.NewClient("App", "confidential", PEOPLE, {}, redirect_uris=(CALLBACK,), metadata=ClientMetadata())
    client, _ = await clients.add(house.issuer, BY, new, NOW)
    with pytest.raises(Refused, match="no key"):
        await clients.change(house.issuer, BY, replace(client, metadata=ClientMetadata(fapi2=True)), NOW)
    client = await clients.change(house.issuer, BY, replace(client, metadata=METADATA), NOW)
    assert client.metadata.dpop_bound_access_tokens


async def test_a_token_for_itself_is_bound_too(house: House) -> None:
    """§5.3.2.1: only such tokens."""
    client, key = await program(house), ProofKey.generate()
    tokens = await token(house, client, proof("/token", key))
    assert tokens.token_type == "DPoP"
    assert claims(tokens.access_token)["cnf"] == {"jkt": key.jkt}
    with pytest.raises(InvalidDPoPProof, match="has to send"):
        await token(house, client, ())


@pytest.mark.parametrize(("alg", "good"), [("ES256", True), ("PS256", True), ("RS256", False), ("ES384", False)])
async def test_proofs_are_by_its_algorithms(house: House, alg: str, good: bool) -> None:
    """§5.4.1, at both endpoints that take one."""
    client, key = await program(house, ITSELF | PEOPLE), ProofKey.generate(alg)
    if good:
        assert (await token(house, client, proof("/token", key))).token_type == "DPoP"
        assert (await pushed(house, client, proof("/par", key))).expires_in == 60
        return
    with pytest.raises(InvalidDPoPProof, match="not signed with"):
        await token(house, client, proof("/token", key))
    with pytest.raises(InvalidDPoPProof, match="not signed with"):
        await pushed(house, client, proof("/par", key))


@pytest.mark.parametrize(("key", "good"), [(EC, True), (RSA, True), (WEAK, False)])
async def test_request_objects_are_by_its_algorithms(house: House, key: SigningKey, good: bool) -> None:
    """§5.4.1, where it pushes one; the key itself is registered."""
    client = await program(house, PEOPLE)
    text = signed(key, requested(client.client_id, URL, NOW))
    if good:
        assert (await pushed(house, client, request=text)).request_uri
        return
    with pytest.raises(InvalidRequestObject, match="RS256"):
        await pushed(house, client, request=text)


async def test_an_api_that_wants_another_algorithm_is_not_for_it(house: House) -> None:
    """§5.4.1: the API's choice stands, so there is no token."""
    client = await program(house)
    await choices.set_api(house.issuer, BY, AUDIENCE, ApiChoice("RS256"), NOW)
    with pytest.raises(InvalidTarget, match="may not take"):
        await token(house, client, proof("/token", ProofKey.generate()))


async def test_what_signs_instead_has_to_be_good_enough(house: House) -> None:
    """While its algorithm's first key is only announced, the deployment's own signs, if the profile has that."""
    client = await program(house, ITSELF | PEOPLE)
    head = await house.issuer.stores.log.head()
    ring = await house.issuer.keyring.at(head, NOW)
    keys = Keys(but(ring, algorithm="RS256", sign_access={"RS256": ring.signs(None)}))
    weak = but(house.issuer, keyring=keys)  # type: ignore[arg-type]  # nothing else of a key ring is asked
    with pytest.raises(NoSigningKey, match="ES256"):
        await token(but(house, issuer=weak), client, proof("/token", ProofKey.generate()))
    grant = Grant("g", client.client_id, "jane", AUDIENCE, SCOPES, NOW, NOW + 60)
    with pytest.raises(NoSigningKey, match="ES256"):
        await for_grant(weak, head, client, grant, SCOPES, (), NOW, None, "jkt")
    usual = Client(client.client_id, "App", "confidential", b"", ITSELF, {}, 0)
    assert (await for_grant(weak, head, usual, grant, SCOPES, (), NOW, None)).tokens.access_token


@dataclass(frozen=True)
class Keys:
    """A key ring that has this in it."""

    ring: Ring

    async def at(self, head: Head, now: int) -> Ring:
        """What `KeyRing` promises."""
        return self.ring
