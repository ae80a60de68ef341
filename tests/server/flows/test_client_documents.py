"""Clients by metadata document: read when somebody comes with one, for a while, and kept once a person allows it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from msgspec.structs import replace as changed_in

from tests.server.flows.house import AUDIENCE, BY, CALLER, NOW, OTHER_AUDIENCE, SCOPES, House
from watchword.jose.jwk import SigningKey
from watchword_server.changes import KeepClient
from watchword_server.flows import authorize, client_documents, clients, registered_keys, registration
from watchword_server.flows.administration import Refused
from watchword_server.flows.at_browser import Visitor
from watchword_server.flows.authorize import Needed
from watchword_server.flows.client_documents import NoDocument, current, kept_too, known, must_be_readable
from watchword_server.flows.documents_read import AT_ONCE, Documents
from watchword_server.flows.issuer import Caller, Issuer
from watchword_server.ports import Busy, Fetched, FetchFailed
from watchword_server.protocol.authorization import Asked, NotAddressable
from watchword_server.protocol.client_document import LEAST, LIMIT, MOST, USUAL
from watchword_server.protocol.errors import InvalidClient, TooManyAttempts
from watchword_server.protocol.values import Api, Client

ADDRESS = "https://agent.example/client.json"
BACK = "https://agent.example/cb"
PUBLIC = "https://id.example"


@dataclass
class Web:
    """A fetcher for which every address has a document; what it says more, and how it is served."""

    said: dict[str, Any] = field(default_factory=dict)
    fresh_for: float | None = None
    media_type: str = "application/json"
    broken: str = ""
    gate: asyncio.Event | None = None
    asked: list[tuple[str, bool, int]] = field(default_factory=list)

    async def get(self, url: str, *, by_operator: bool, limit: int = 65536) -> Fetched:
        """What `Fetcher` promises."""
        self.asked.append((url, by_operator, limit))
        if self.gate is not None:
            await self.gate.wait()
        if self.broken:
            raise FetchFailed(self.broken)
        document = {"client_id": url, "client_name": "Agent", "redirect_uris": [BACK], **self.said}
        return Fetched(json.dumps(document).encode(), self.fresh_for, self.media_type)

    async def post(self, url: str, form: Mapping[str, str], *, by_operator: bool) -> None:
        """Nothing is brought anywhere here."""
        raise AssertionError


def reaching(house: House, web: Web, issuer: str | None = None, **terms: Any) -> Issuer:
    """The issuer of another process, with this web around it."""
    found = replace(house.issuer.terms, **terms, **({} if issuer is None else {"issuer": issuer}))
    return replace(house.issuer, terms=found, fetcher=web, documents=Documents())


async def come(issuer: Issuer, address: str = ADDRESS, now: int = NOW, caller: Caller = CALLER) -> Client:
    """Somebody comes with it."""
    found = await current(issuer, address, None, caller, now)
    assert found is not None
    return found


async def keep(issuer: Issuer, client: Client) -> None:
    """As when a person has allowed it something."""
    await issuer.stores.journal.save(*await kept_too(issuer, client))


async def open_up(house: House) -> Api:
    """An API that serves itself."""
    api, _ = await clients.add_api(
        house.issuer, BY, "https://notes.example", "Notes", ("notes:read",), NOW, None, None, True
    )
    return api


async def test_it_is_read_once_for_as_long_as_it_is_good(house: House) -> None:
    """As a stranger's, little of it, and by its server's word (draft §4.4, §6.6)."""
    web = Web(fresh_for=900)
    issuer = reaching(house, web)
    first = await come(issuer)
    assert (first.client_id, first.name, first.kind, first.redirect_uris) == (ADDRESS, "Agent", "public", (BACK,))
    assert first.metadata.document_fresh_until == NOW + 900
    await come(issuer, now=NOW + 899)
    assert web.asked == [(ADDRESS, False, LIMIT)]
    web.said = {"client_name": "Other"}
    assert (await come(issuer, now=NOW + 900)).name == "Other"
    assert len(web.asked) == 2


@pytest.mark.parametrize(("said", "good_for"), [(None, USUAL), (0.0, LEAST), (1e9, MOST)])
async def test_a_server_cannot_have_it_read_all_the_time_or_never_again(
    house: House, said: float | None, good_for: int
) -> None:
    """Our bounds."""
    web = Web(fresh_for=said)
    issuer = reaching(house, web)
    for now, times in ((NOW, 1), (NOW + good_for - 1, 1), (NOW + good_for, 2)):
        await come(issuer, now=now)
        assert len(web.asked) == times


async def test_a_clock_that_was_set_back_makes_it_good_for_no_longer(house: House) -> None:
    """What is good for longer than anything may be is looked at again."""
    web = Web()
    issuer = reaching(house, web)
    await come(issuer, now=NOW + 2 * MOST)
    await come(issuer, now=NOW)
    assert len(web.asked) == 2


async def test_many_who_come_at_once_cause_one_look(house: House) -> None:
    """And who no longer waits does not cancel it for the others."""
    web = Web(gate=asyncio.Event())
    issuer = reaching(house, web)
    waiting = [asyncio.ensure_future(come(issuer)) for _ in range(20)]
    while not web.asked:
        await asyncio.sleep(0)
    waiting[0].cancel()
    assert web.gate is not None
    web.gate.set()
    found = await asyncio.gather(*waiting[1:])
    assert len(web.asked) == 1
    assert {one.client_id for one in found} == {ADDRESS}


async def test_slow_servers_of_documents_leave_room_for_all_else_that_is_fetched(house: House) -> None:
    """No more than so many at once; who comes then is told to come again."""
    web = Web(gate=asyncio.Event())
    issuer = reaching(house, web)
    waiting = [asyncio.ensure_future(come(issuer, f"https://slow{n}.example/c")) for n in range(AT_ONCE)]
    while len(web.asked) < AT_ONCE:
        await asyncio.sleep(0)
    with pytest.raises(Busy):
        await come(issuer)
    assert web.gate is not None
    web.gate.set()
    await asyncio.gather(*waiting)
    assert (await come(issuer)).client_id == ADDRESS


@pytest.mark.parametrize(
    "web",
    [
        Web(broken="answered 404; redirects are not followed"),
        Web({"client_id": "https://agent.example/client.jso"}),
        Web({"client_secret": "x"}),
        Web({"token_endpoint_auth_method": "client_secret_post"}),
        Web({"redirect_uris": ["http://agent.example/cb"]}),
        Web({"client_name": ""}),
        Web({"client_name": "x" * 101}),
        Web({"token_endpoint_auth_method": "private_key_jwt"}),
        Web({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}}),
        Web({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "http://agent.example/jwks"}),
        Web(media_type="text/html"),
        Web(media_type="text/plain; charset=utf-8"),
        Web(media_type="application/javascript"),
        Web(media_type=""),
    ],
)
async def test_what_is_not_in_order_is_no_client_and_is_not_remembered(house: House, web: Web) -> None:
    """Not cached either (draft §4.4): once it is mended, it works."""
    issuer = reaching(house, web)
    for _ in range(2):
        with pytest.raises(NoDocument):
            await come(issuer)
        assert await known(issuer, ADDRESS, None, NOW) is None
    assert len(web.asked) == 2
    with pytest.raises(InvalidClient):
        await must_be_readable(issuer, ADDRESS, CALLER, NOW)
    web.said, web.media_type, web.broken = {}, "application/oauth-client+json; charset=utf-8", ""
    assert (await come(issuer)).client_id == ADDRESS


@pytest.mark.parametrize("address", ["http://agent.example/c", "https://agent.example/", "https://a@agent.example/c"])
async def test_what_is_no_address_causes_no_look(house: House, address: str) -> None:
    """A `client_id` that only looks like one."""
    web = Web()
    issuer = reaching(house, web)
    with pytest.raises(NoDocument):
        await come(issuer, address)
    assert await current(issuer, "client_unknown", None, CALLER, NOW) is None
    assert web.asked == []


async def test_it_may_ask_for_what_is_open_to_all_at_this_moment(house: House) -> None:
    """And for no API that the operator has not opened."""
    issuer = reaching(house, Web())
    assert (await come(issuer)).access == {}
    api = await open_up(house)
    assert (await come(issuer)).access == {api.audience: ("notes:read",)}


async def test_nothing_is_kept_before_a_person_allows_something(house: House) -> None:
    """Strangers fill no table. What is kept is the same as what was read, until it says something else."""
    web = Web()
    issuer = reaching(house, web)
    before = house.everything()
    found = await come(issuer)
    query = {"client_id": ADDRESS, "redirect_uri": BACK, "response_type": "code", "scope": "openid"}
    asked = Asked({**query, "code_challenge": "x" * 43, "code_challenge_method": "S256"})
    needed = await authorize.begin(issuer, asked, Visitor(caller=CALLER), NOW)
    assert isinstance(needed, Needed)
    assert {table for table, rows in house.everything().items() if rows != before[table]} == {"interactions"}
    await keep(issuer, found)
    assert await issuer.stores.clients.find(ADDRESS) == found
    assert await kept_too(issuer, found) == ()
    web.said = {"redirect_uris": [BACK, "https://agent.example/new"]}
    later = await come(reaching(house, web), now=NOW + USUAL)
    assert await kept_too(issuer, later) == (KeepClient(later),)


async def test_what_is_kept_is_good_in_every_process_until_it_is_stale(house: House) -> None:
    """And keeps when it was first seen."""
    web = Web()
    issuer = reaching(house, web)
    await keep(issuer, await come(issuer))
    other = reaching(house, web)
    await come(other, now=NOW + USUAL - 1)
    assert len(web.asked) == 1
    again = await come(other, now=NOW + USUAL)
    assert len(web.asked) == 2
    assert again.created_at == NOW


async def test_one_that_is_gone_lets_nobody_begin_and_ends_nothing(house: House) -> None:
    """What a person allowed goes on; what is new is not begun on what an old document said."""
    web = Web()
    issuer = reaching(house, web)
    await keep(issuer, await come(issuer))
    web.broken = "answered 404; redirects are not followed"
    with pytest.raises(NoDocument):
        await come(issuer, now=NOW + USUAL)
    assert await known(issuer, ADDRESS, None, NOW + USUAL) is not None, "the token endpoint knows it"


async def test_an_address_that_a_document_no_longer_has_gets_no_answer(house: House) -> None:
    """As of the document now, whatever was kept."""
    web = Web()
    issuer = reaching(house, web)
    await keep(issuer, await come(issuer))
    web.said = {"redirect_uris": ["https://agent.example/other"]}
    asked = Asked({"client_id": ADDRESS, "redirect_uri": BACK, "response_type": "code"})
    with pytest.raises(NotAddressable, match="redirect_uri"):
        await authorize.begin(issuer, asked, Visitor(caller=CALLER), NOW + USUAL)


async def test_an_operator_can_stop_one_of_them(house: House) -> None:
    """It stays so whatever its document says; nothing is fetched for it, and nothing kept anew."""
    web = Web()
    issuer = reaching(house, web)
    found = await come(issuer)
    await keep(issuer, found)
    await clients.disable(issuer, BY, ADDRESS, NOW)
    stopped = await come(reaching(house, web), now=NOW + 2 * MOST)
    assert stopped.disabled_at == NOW
    assert len(web.asked) == 1
    await issuer.stores.journal.save(KeepClient(changed_in(found, name="New name")))
    kept = await issuer.stores.clients.find(ADDRESS)
    assert kept is not None
    assert (kept.name, kept.disabled_at) == ("New name", NOW)


async def test_an_operator_changes_nothing_that_the_next_reading_would_undo(house: House) -> None:
    """Least of all a right, or a key that was taken away: the document says what it is, and an operator may stop it."""
    jwk = SigningKey.generate("ES256").public_jwk()
    said = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [jwk]}}
    issuer = reaching(house, Web(said))
    await keep(issuer, await come(issuer))
    found = await clients.find(issuer, ADDRESS)
    for wanted in (
        changed_in(found, grant_types=found.grant_types | {"client_credentials"}),
        changed_in(found, metadata=changed_in(found.metadata, signs_tokens=True, document_fresh_until=None)),
    ):
        with pytest.raises(Refused, match="document"):
            await clients.change(issuer, BY, wanted, NOW)
    with pytest.raises(Refused, match="document"):
        await registered_keys.remove(issuer, BY, ADDRESS, jwk["kid"], NOW)
    with pytest.raises(Refused, match="document"):
        await registered_keys.add(issuer, BY, ADDRESS, SigningKey.generate("ES256").public_jwk(), NOW)
    assert await clients.find(issuer, ADDRESS) == found


async def test_an_operator_can_stop_them_all(house: House) -> None:
    """`clients.metadata_documents = false`: nobody begins anything, with those that are kept neither."""
    web = Web()
    issuer = reaching(house, web)
    await keep(issuer, await come(issuer))
    off = reaching(house, web, metadata_documents=False)
    for address in (ADDRESS, "https://new.example/c"):
        with pytest.raises(NoDocument):
            await come(off, address)
    assert len(web.asked) == 1


async def test_few_new_ones_may_be_asked_for_from_one_place(house: House) -> None:
    """Each is a request to somebody's server. Those that are kept or at hand are nobody's to count."""
    web = Web()
    issuer = reaching(house, web, issuer=PUBLIC)
    for n in range(5):
        await come(issuer, f"https://agent{n}.example/c")
    with pytest.raises(TooManyAttempts) as refused:
        await come(issuer)
    assert refused.value.retry_after > 0
    assert len(web.asked) == 5
    await come(issuer, "https://agent0.example/c")
    assert (await come(issuer, caller=Caller("198.51.100.9"))).client_id == ADDRESS
    await keep(issuer, await come(issuer))
    assert (await come(issuer, now=NOW + USUAL)).client_id == ADDRESS
    assert (await come(issuer, "https://agent9.example/c", now=NOW + client_documents.WINDOW)).redirect_uris == (BACK,)


async def test_one_that_begins_to_use_a_key_has_to_use_it(house: House) -> None:
    """What is kept says how it authenticates now (draft §6.2)."""
    web = Web()
    issuer = reaching(house, web)
    await keep(issuer, await come(issuer))
    web.said = {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://agent.example/jwks.json"}
    await keep(issuer, await come(issuer, now=NOW + USUAL))
    kept = await issuer.stores.clients.find(ADDRESS)
    assert kept is not None
    assert (kept.kind, kept.metadata.token_endpoint_auth_method) == ("confidential", "private_key_jwt")
    with pytest.raises(InvalidClient):
        await house.ask(replace(house.known.page, client_id=ADDRESS), {"grant_type": "refresh_token"})


async def test_who_registers_itself_may_ask_for_the_same(house: House) -> None:
    """Beside what the operator lists; and, where an API serves itself, for more than it named."""
    api = await open_up(house)
    terms = replace(house.issuer.terms, registration="open", registration_apis=(AUDIENCE,))
    said = {"redirect_uris": [BACK], "scope": "orders:read", "id_token_signed_response_alg": "ES256"}
    found = await registration.register(replace(house.issuer, terms=terms), said, None, CALLER, NOW)
    assert found.client.access == {AUDIENCE: SCOPES[:1], api.audience: ("notes:read",)}
    assert OTHER_AUDIENCE not in found.client.access
