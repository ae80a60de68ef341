"""Clients that register themselves, look after what they registered, and go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import pytest
from msgspec.structs import replace as changed_in

from tests.server.adapters.hosts import host, saying
from tests.server.flows.house import AUDIENCE, BY, CALLER, NOW, SCOPES, House
from watchword.jose.jwk import SigningKey
from watchword.log import Entry
from watchword_server.changes import Add, Change
from watchword_server.flows import clients, registration
from watchword_server.flows.administration import Refused
from watchword_server.flows.issuer import Caller, Issuer
from watchword_server.flows.registration import Registered
from watchword_server.ports import Conflict
from watchword_server.protocol.errors import (
    InvalidClientMetadata,
    InvalidRedirectUri,
    InvalidSession,
    RegistrationOff,
    TooManyRegistrations,
)
from watchword_server.protocol.values import Grant

URI = "https://rp.example/cb"
LEAST: dict[str, Any] = {"redirect_uris": [URI], "id_token_signed_response_alg": "ES256"}
"""With the algorithm that the deployment has keys for anyway: RSA keys take a while."""
PUBLIC = "https://id.example"


def opened(
    house: House, mode: Literal["off", "token", "open"] = "open", issuer: str | None = None, **terms: Any
) -> Issuer:
    """The issuer, where clients register themselves."""
    found = replace(house.issuer.terms, registration=mode, **terms)
    return replace(house.issuer, terms=found if issuer is None else replace(found, issuer=issuer))


async def registered(issuer: Issuer, bearer: str | None = None, caller: Caller = CALLER, **said: Any) -> Registered:
    """`POST /register`."""
    return await registration.register(issuer, {**LEAST, **said}, bearer, caller, NOW)


async def invited(issuer: Issuer, uses: int = 1, days: int = 1) -> str:
    """An initial access token."""
    return (await registration.invite(issuer, BY, uses, days, NOW))[1]


async def test_nobody_registers_itself_unless_the_operator_says_so(house: House) -> None:
    """It is off as it comes, for those who were there before too."""
    found = await registered(opened(house))
    client_id, token = found.client.client_id, found.token
    bearer = await invited(house.issuer)
    for refused in (
        registration.register(house.issuer, LEAST, None, CALLER, NOW),
        registration.register(house.issuer, LEAST, bearer, CALLER, NOW),
        registration.current(house.issuer, client_id, token),
        registration.update(house.issuer, client_id, token, {**LEAST, "client_id": client_id}, CALLER, NOW),
        registration.remove(house.issuer, client_id, token, CALLER, NOW),
    ):
        with pytest.raises(RegistrationOff):
            await refused


async def test_a_client_that_registers_itself_is_nobodys_but_its_own(house: House) -> None:
    """It gets what strangers may have; its secrets are kept as hashes; the act is in the audit trail."""
    issuer = opened(house, registration_apis=(AUDIENCE, "https://gone.example"))
    found = await registered(issuer, scope="openid orders:read", client_name="RP")
    client = await issuer.stores.clients.find(found.client.client_id)
    assert client == found.client
    assert client is not None
    assert (client.name, client.kind, client.first_party) == ("RP", "confidential", False)
    assert client.access == {AUDIENCE: ("orders:read",)}
    assert (client.metadata.registered_itself, client.metadata.pkce) == (True, "required")
    assert client.origins == ("https://rp.example",)
    assert found.secret is not None
    assert found.token.startswith("wwg_")
    everything = repr(house.everything())
    assert found.secret not in everything
    assert found.token not in everything
    row = (await issuer.stores.audit.latest(1))[0]
    assert (row.actor, row.action, row.target) == ("anonymous", "client.register", f"client:{client.client_id}")


async def test_strangers_get_nothing_at_apis_unless_the_operator_says_so(house: House) -> None:
    """Whatever they ask for."""
    found = await registered(opened(house), scope="openid " + " ".join(SCOPES))
    assert found.client.access == {}


async def test_only_who_keeps_a_secret_may_be_spared_pkce(house: House) -> None:
    """And only by the operator's word, not by its own."""
    issuer = opened(house, registration_pkce="optional")
    assert (await registered(issuer)).client.metadata.pkce == "optional"
    assert (await registered(issuer, token_endpoint_auth_method="none")).client.metadata.pkce == "required"
    assert (await registered(opened(house), pkce="optional")).client.metadata.pkce == "required"


async def test_a_client_that_keeps_no_secret_gets_none(house: House) -> None:
    """It is public, and its refresh tokens rotate."""
    found = await registered(opened(house), token_endpoint_auth_method="none", grant_types=["authorization_code"])
    assert (found.client.kind, found.secret, found.client.secret_hash) == ("public", None, None)


async def test_the_first_who_need_an_algorithm_get_keys_for_it_and_none_fails(house: House) -> None:
    """Many at once make one pair of keys, and a choice that needs none makes none."""
    issuer = opened(house)
    async with house.another_process() as other:
        both = (issuer, opened(other))
        found = await asyncio.gather(*(registered(both[n % 2], id_token_signed_response_alg="PS256") for n in range(6)))
    assert len({one.client.client_id for one in found}) == 6
    algs = [key.alg for key in await issuer.stores.keys.all() if key.use == "access"]
    assert algs.count("PS256") == 2
    assert "EdDSA" not in algs


@pytest.mark.parametrize("bearer", [None, "", "wwi_unknown", "wwg_unknown"])
async def test_without_an_invitation_nobody_registers_where_one_is_needed(house: House, bearer: str | None) -> None:
    """Missing, unknown, and of another kind."""
    with pytest.raises(InvalidSession):
        await registered(opened(house, "token"), bearer)


async def test_an_invitation_is_for_so_many_and_for_so_long(house: House) -> None:
    """A registration that fails does not count; a false one is refused where none is needed, too."""
    issuer = opened(house, "token")
    token = await invited(issuer, uses=2)
    assert token.startswith("wwi_")
    assert token not in repr(house.everything())
    with pytest.raises(InvalidRedirectUri):
        await registered(issuer, token, redirect_uris=[])
    for _ in range(2):
        assert (await registered(issuer, token)).client.metadata.registered_itself
    with pytest.raises(InvalidSession):
        await registered(issuer, token)
    late = await invited(issuer)
    with pytest.raises(InvalidSession):
        await registration.register(issuer, LEAST, late, CALLER, NOW + 24 * 3600)
    with pytest.raises(InvalidSession):
        await registered(opened(house), token)


async def test_of_many_who_share_an_invitation_no_more_register_than_it_says(house: House) -> None:
    """Twelve at once at two nodes, three of them in time."""
    issuer = opened(house, "token")
    token = await invited(issuer, uses=3)
    async with house.another_process() as other:
        both = (issuer, opened(other, "token"))
        found = await asyncio.gather(*(registered(both[n % 2], token) for n in range(12)), return_exceptions=True)
    assert len([one for one in found if isinstance(one, Registered)]) == 3
    assert len([one for one in found if isinstance(one, InvalidSession)]) == 9
    assert house.count("clients") == 4 + 3


@pytest.mark.parametrize(("uses", "days"), [(0, 1), (-1, 1), (1, 0), (100_001, 1), (1, 367)])
async def test_an_invitation_has_bounds(house: House, uses: int, days: int) -> None:
    """For nobody, for ever and for everybody are none."""
    with pytest.raises(Refused):
        await registration.invite(house.issuer, BY, uses, days, NOW)


async def test_who_registers_many_has_to_wait(house: House) -> None:
    """By network, of which IPv6 gives 2^64 addresses to each; after a while it may again."""
    issuer = opened(house, issuer=PUBLIC)
    near, beside = Caller("2001:db8:1:2::7"), Caller("2001:db8:1:2:ffff::1")
    for _ in range(5):
        await registered(issuer, caller=near)
    for caller in (near, beside):
        with pytest.raises(TooManyRegistrations) as refusal:
            await registered(issuer, caller=caller)
        assert refusal.value.retry_after >= 1
    assert (await registered(issuer, caller=Caller("2001:db8:1:3::7"))).token
    assert (await registered(issuer, await invited(issuer), near)).token
    assert (await registration.register(issuer, LEAST, None, near, NOW + registration.WINDOW)).token


async def test_an_invalid_registration_is_not_counted(house: House) -> None:
    """A developer's first attempts cost nothing."""
    issuer = opened(house, issuer=PUBLIC)
    for _ in range(20):
        with pytest.raises(InvalidRedirectUri):
            await registered(issuer, redirect_uris=["http://rp.example/"])
    assert (await registered(issuer)).token


async def test_on_ones_own_machine_nobody_waits(house: House) -> None:
    """Only this machine reaches such an issuer."""
    for _ in range(12):
        assert (await registered(opened(house))).token


async def test_an_update_replaces_what_was_said_and_its_token(house: House) -> None:
    """At every node at once; secret, access and age stay (RFC 7592 §2.2)."""
    issuer = opened(house, registration_apis=(AUDIENCE,), registration_pkce="optional")
    before = await registered(issuer, client_name="RP", contacts=["a@rp.example"], scope="orders:read")
    client_id = before.client.client_id
    async with house.another_process() as other:
        node = opened(other)
        assert (await registration.current(node, client_id, before.token)).client == before.client
        said = {"client_id": client_id, "client_secret": before.secret, "redirect_uris": [URI, URI + "2"]}
        after = await registration.update(issuer, client_id, before.token, said, CALLER, NOW)
        assert (await registration.current(node, client_id, after.token)).client == after.client
        with pytest.raises(InvalidSession):
            await registration.current(node, client_id, before.token)
    now, was = after.client, before.client
    assert (now.redirect_uris, now.name, now.metadata.contacts) == ((URI, URI + "2"), "rp.example", ())
    assert (now.secret_hash, now.access, now.created_at, now.kind) == (
        was.secret_hash, was.access, was.created_at, was.kind,
    )  # fmt: skip
    assert (now.metadata.pkce, now.metadata.registered_itself, after.secret) == ("optional", True, None)
    assert after.token != before.token


@pytest.mark.parametrize(
    "said",
    [
        {"client_id": "client_other"},
        {"client_id": None},
        {"client_secret": "mine"},
        {"client_secret": 1},
        {"client_secret": ""},
        {"registration_access_token": "x"},
        {"registration_client_uri": "x"},
        {"client_id_issued_at": 1},
        {"client_secret_expires_at": 0},
        {"token_endpoint_auth_method": "none"},
        {"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}},
    ],
)
async def test_an_update_that_says_what_is_not_its_to_say_changes_nothing(house: House, said: dict[str, Any]) -> None:
    """And the token stays good for another try."""
    issuer = opened(house)
    found = await registered(issuer)
    client_id = found.client.client_id
    whole = {**LEAST, "client_id": client_id, **said}
    with pytest.raises(InvalidClientMetadata):
        await registration.update(issuer, client_id, found.token, whole, CALLER, NOW)
    assert (await registration.current(issuer, client_id, found.token)).client == found.client


async def test_an_update_does_not_bring_back_what_an_operator_takes_away_meanwhile(house: House) -> None:
    """What is kept for it was read before: if it was revoked since, the update comes to nothing."""
    issuer = opened(house)
    jwks = {"keys": [SigningKey.generate("ES256").public_jwk()]}
    found = await registered(issuer, jwks=jwks)
    client_id = found.client.client_id

    async def let(signs_tokens: bool) -> None:
        client = await clients.find(house.issuer, client_id)
        metadata = changed_in(client.metadata, signs_tokens=signs_tokens)
        await clients.change(house.issuer, BY, changed_in(client, metadata=metadata), NOW)

    await let(True)
    stores = changed_in(issuer.stores, journal=Interrupted(house, lambda: let(False)))
    said = {**LEAST, "client_id": client_id, "jwks": jwks}
    with pytest.raises(Conflict):
        await registration.update(replace(issuer, stores=stores), client_id, found.token, said, CALLER, NOW)
    assert not (await clients.find(issuer, client_id)).metadata.signs_tokens
    await registration.update(issuer, client_id, found.token, said, CALLER, NOW)
    assert not (await clients.find(issuer, client_id)).metadata.signs_tokens


class Interrupted:
    """A journal before whose next save something else is saved."""

    def __init__(self, house: House, act: Callable[[], Awaitable[object]]) -> None:
        self._journal, self._act = house.issuer.stores.journal, [act]

    async def save(self, *changes: Change) -> Sequence[Entry]:
        """As `Journal` promises."""
        while self._act:
            await self._act.pop()()
        return await self._journal.save(*changes)


async def test_who_updates_in_a_loop_has_to_wait(house: House) -> None:
    """An update may have something fetched."""
    issuer = opened(house, issuer=PUBLIC)
    found = await registered(issuer)
    client_id = found.client.client_id
    for _ in range(5):
        found = await registration.update(
            issuer, client_id, found.token, {**LEAST, "client_id": client_id}, CALLER, NOW
        )
    with pytest.raises(TooManyRegistrations):
        await registration.update(issuer, client_id, found.token, {**LEAST, "client_id": client_id}, CALLER, NOW)
    assert (await registration.current(issuer, client_id, found.token)).client == found.client


async def test_a_client_that_goes_takes_everything_with_it(house: House) -> None:
    """Its grants end, its tokens die by the feed, its token opens nothing more; at every node (RFC 7592 §2.3)."""
    issuer = opened(house)
    found = await registered(issuer, grant_types=["authorization_code", "refresh_token"])
    client_id = found.client.client_id
    grant = Grant("g1", client_id, await house.sub(), AUDIENCE, SCOPES, NOW, NOW + 999)
    await issuer.stores.journal.save(Add(grant))
    entries = await registration.remove(issuer, client_id, found.token, CALLER, NOW)
    assert [(entry.kind, entry.id) for entry in entries] == [("client", client_id)]
    async with house.another_process() as other:
        gone = await other.issuer.stores.clients.find(client_id)
        assert gone is not None
        assert (gone.disabled_at, gone.metadata.management_hash) == (NOW, None)
        ended = await other.issuer.stores.grants.find("g1")
        assert ended is not None
        assert ended.ended_at == NOW
        for node in (issuer, opened(other)):
            with pytest.raises(InvalidSession):
                await registration.current(node, client_id, found.token)
    await clients.enable(issuer, BY, client_id, NOW)
    with pytest.raises(InvalidSession):
        await registration.current(issuer, client_id, found.token)


async def test_unknown_wrong_and_somebody_elses_are_one_refusal(house: House) -> None:
    """Nobody learns by it which clients there are (RFC 7592 §3)."""
    issuer = opened(house)
    one, other = await registered(issuer), await registered(issuer)
    disabled = await registered(issuer)
    await clients.disable(issuer, BY, disabled.client.client_id, NOW)
    refusals = set()
    for client_id, bearer in (
        ("client_unknown", one.token),
        (house.known.web.client_id, one.token),
        (house.known.web.client_id, house.known.web.secret),
        (house.known.page.client_id, None),
        (one.client.client_id, None),
        (one.client.client_id, ""),
        (one.client.client_id, other.token),
        (one.client.client_id, one.secret),
        (one.client.client_id, one.token[:-1]),
        (one.client.client_id, one.token + "A"),
        (disabled.client.client_id, disabled.token),
    ):
        with pytest.raises(InvalidSession) as refusal:
            await registration.current(issuer, client_id, bearer)
        refusals.add(str(refusal.value))
    assert len(refusals) == 1


@pytest.mark.parametrize(
    ("document", "good"),
    [
        (b'["https://rp.example/cb", "https://b.example/cb", "https://c.example/"]', True),
        (b'["https://rp.example/cb"]', False),
        (b'{"redirect_uris": ["https://rp.example/cb", "https://b.example/cb"]}', False),
        (b"<html>", False),
        (b"[" * 100_000, False),
        (b"", False),
        (b'["' + b"x" * 70_000 + b'", "https://rp.example/cb", "https://b.example/cb"]', False),
    ],
)
async def test_a_sector_has_to_name_every_redirect_uri(house: House, document: bytes, good: bool) -> None:
    """Whoever registers the client, and again with every change (OpenID Connect Registration 1.0 §5)."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(document), document)
    async with host(saying(answer)) as group:
        uri = f"http://127.0.0.1:{group.port}/uris.json"
        said = {
            "redirect_uris": [URI, "https://b.example/cb"],
            "subject_type": "pairwise",
            "sector_identifier_uri": uri,
        }
        if good:
            assert (await registered(opened(house), **said)).client.metadata.sector == "127.0.0.1"
        else:
            with pytest.raises(InvalidClientMetadata, match="sector_identifier_uri"):
                await registered(opened(house), **said)
        assert group.connections == 1


async def test_a_sector_that_leads_elsewhere_is_refused(house: House) -> None:
    """Redirects are not followed: nobody comes to the second server."""
    async with host(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")) as inside:
        leads = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{inside.port}/\r\nContent-Length: 0\r\n\r\n"
        async with host(saying(leads.encode())) as group:
            with pytest.raises(InvalidClientMetadata):
                await registered(opened(house), sector_identifier_uri=f"http://127.0.0.1:{group.port}/")
            assert (group.connections, inside.connections) == (1, 0)


async def test_what_is_said_of_a_refusal_is_plain_ascii(house: House) -> None:
    """An error_description has no quotation marks, and nothing beyond ASCII (RFC 6749 §5.2)."""
    with pytest.raises(InvalidRedirectUri) as refusal:
        await registered(opened(house), redirect_uris=['https://rp.example/"\u202e\\é§'])
    assert str(refusal.value).isascii()
    assert not {'"', "\\"} & set(str(refusal.value))


async def test_an_operators_change_is_checked_like_a_new_client(house: House) -> None:
    """And what was not changed stays."""
    client = await clients.find(house.issuer, house.known.web.client_id)
    changed = await clients.change(house.issuer, BY, changed_in(client, redirect_uris=(URI,)), NOW)
    assert await clients.find(house.issuer, client.client_id) == changed
    with pytest.raises(Refused, match="https"):
        await clients.change(house.issuer, BY, changed_in(client, redirect_uris=("http://rp.example/",)), NOW)
    assert await clients.find(house.issuer, client.client_id) == changed
