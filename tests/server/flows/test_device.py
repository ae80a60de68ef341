"""Devices that get their tokens through a person at another one: what they hear, and what a person can do about it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replaced
from typing import Any

import pytest
from msgspec.structs import replace

from tests.server.flows.house import ALICE, AUDIENCE, BOB, BY, NOW, OTHER_AUDIENCE, PASSWORDS, House, Program, claims
from watchword_server.flows import at_browser, authorize, clients, device, device_tokens, revoking, users
from watchword_server.flows.at_browser import Visitor
from watchword_server.flows.authorize import Gone
from watchword_server.flows.device import Begun, Case, Unknown
from watchword_server.flows.issuer import Caller
from watchword_server.flows.minting import Tokens
from watchword_server.people.values import Session
from watchword_server.ports import Sessions
from watchword_server.protocol.device import SLOTS, made, read
from watchword_server.protocol.errors import (
    AuthorizationPending,
    DeviceDenied,
    ExpiredToken,
    InvalidClient,
    InvalidGrant,
    InvalidScope,
    InvalidTarget,
    OAuthError,
    SlowDown,
    TooManyAttempts,
    TooManyDevices,
    UnauthorizedClient,
)
from watchword_server.protocol.grants.device_code import GRANT_TYPE, INTERVAL, LIFETIME
from watchword_server.protocol.values import ClientMetadata, Interaction

DEVICE = Caller("203.0.113.24", "tv/4", "request-2")
PERSON = Caller("198.51.100.7", "browser/1", "request-3")
ACCESS = {AUDIENCE: ("orders:read", "orders:write"), OTHER_AUDIENCE: ("stock",)}


@dataclass(frozen=True)
class Sofa:
    """A device without a browser, and somebody with one."""

    house: House
    tv: Program
    other: Program

    async def asks(self, scope: str | None = "orders:read", now: int = NOW, **form: str) -> Begun:
        """`POST /device_authorization`."""
        whole = {"client_id": self.tv.client_id, **({} if scope is None else {"scope": scope}), **form}
        return await device.begin(self.house.issuer, None, whole, DEVICE, now)

    async def polls(self, begun: Begun, now: int = NOW, who: Program | None = None, **form: str) -> Tokens:
        """`POST /token` with the device's code."""
        whole = {"grant_type": GRANT_TYPE, "device_code": begun.device_code, **form}
        return await self.house.ask(who or self.tv, whole, now)

    async def signed_in(self, email: str = ALICE, now: int = NOW) -> Visitor:
        """Somebody at a browser."""
        who = await at_browser.sign_in(
            self.house.issuer, Visitor(caller=PERSON), None, email, PASSWORDS[email], float(now)
        )
        return Visitor(caller=PERSON, browser=at_browser.kept(who.secret))

    async def types(self, begun: Begun, visitor: Visitor, now: int = NOW) -> Interaction:
        """The person types the code."""
        code = read(begun.user_code)
        assert code is not None
        assert visitor.browser is not None
        handle = await device.find(self.house.issuer, code, visitor, visitor.browser, now)
        return await authorize.waiting(self.house.issuer, handle, visitor, now)

    async def allows(self, begun: Begun, visitor: Visitor | None = None, now: int = NOW) -> Case:
        """The person types the code, and says yes."""
        visitor = visitor or await self.signed_in(now=now)
        return await device.allow(self.house.issuer, await self.types(begun, visitor, now), visitor, now)


@pytest.fixture
async def sofa(house: House) -> Sofa:
    """Two programs for devices in a deployment of the test's own."""
    grants = frozenset({GRANT_TYPE, "refresh_token"})
    es256 = ClientMetadata(id_token_signed_response_alg="ES256")
    found = []
    for name in ("TV", "Other TV"):
        client, _ = await clients.add(
            house.issuer, BY, clients.NewClient(name, "public", grants, ACCESS, metadata=es256), NOW
        )
        found.append(Program(client.client_id))
    return Sofa(house, *found)


async def test_a_device_gets_tokens_when_a_person_has_allowed_it_and_not_before(sofa: Sofa) -> None:
    """They say who, for whom, at which API; with a refresh token that works as any other."""
    begun = await sofa.asks("openid orders:read")
    assert (begun.expires_in, begun.interval) == (LIFETIME, INTERVAL)
    with pytest.raises(AuthorizationPending):
        await sofa.polls(begun)
    await sofa.allows(begun)
    tokens = await sofa.polls(begun, NOW + 5)
    said = claims(tokens.access_token)
    assert said["sub"] == await sofa.house.sub()
    assert (said["client_id"], said["aud"], said["scope"]) == (sofa.tv.client_id, AUDIENCE, "openid orders:read")
    assert tokens.id_token is not None
    assert claims(tokens.id_token)["sub"] == said["sub"]
    assert claims((await sofa.house.refresh(tokens.refresh_token, sofa.tv)).access_token)["gid"] == said["gid"]


async def test_a_device_code_is_used_once_and_its_tokens_live_on(sofa: Sofa) -> None:
    """A device whose answer was lost asks again, and must not end what somebody uses."""
    begun = await sofa.asks()
    await sofa.allows(begun)
    tokens = await sofa.polls(begun)
    for _ in range(2):
        with pytest.raises(InvalidGrant):
            await sofa.polls(begun)
    assert await sofa.house.killed(tokens.access_token) is None


async def test_tokens_of_a_device_are_bound_to_the_key_that_it_has_proven(sofa: Sofa) -> None:
    """And so are the next ones: a public client has nothing else to show (RFC 9449 §5)."""
    begun, issuer = await sofa.asks(), sofa.house.issuer
    await sofa.allows(begun)
    client, form = await clients.find(issuer, sofa.tv.client_id), {"device_code": begun.device_code}
    tokens = await device_tokens.fetch(issuer, await issuer.stores.log.head(), client, form, "thumbprint", DEVICE, NOW)
    assert (claims(tokens.access_token)["cnf"], tokens.token_type) == ({"jkt": "thumbprint"}, "DPoP")
    with pytest.raises(InvalidGrant):
        await sofa.house.refresh(tokens.refresh_token, sofa.tv)


async def test_of_many_who_poll_at_once_one_gets_tokens(sofa: Sofa) -> None:
    """At two processes of one database."""
    begun = await sofa.asks()
    await sofa.allows(begun)
    async with sofa.house.another_process() as house:
        many = [replaced(sofa, house=each).polls(begun) for each in (sofa.house, house) * 6]
        found = await asyncio.gather(*many, return_exceptions=True)
    assert sum(isinstance(one, Tokens) for one in found) == 1
    assert sum(type(one) is InvalidGrant for one in found) == 11


async def test_who_polls_too_fast_is_told_to_slow_down_and_has_to(sofa: Sofa) -> None:
    """Each time by five seconds, which are kept; and who was allowed meanwhile gets the tokens all the same."""
    begun = await sofa.asks()
    heard = []
    for at in (0, 1, 6, 17, 33, 48):
        with pytest.raises(AuthorizationPending) as found:
            await sofa.polls(begun, NOW + at)
        heard.append((found.type is SlowDown, found.value.retry_after))
    assert heard == [(False, 5), (True, 10), (True, 15), (True, 20), (True, 25), (True, 30)]
    with pytest.raises(AuthorizationPending) as found:
        await sofa.polls(begun, NOW + 48 + 30)
    assert (found.type, found.value.retry_after) == (AuthorizationPending, 30)
    await sofa.allows(begun, now=NOW + 80)
    assert (await sofa.polls(begun, NOW + 80)).access_token


async def test_a_code_expires_for_both(sofa: Sofa) -> None:
    """The person is told as of an unknown one; the device, that it has to begin anew."""
    begun, late = await sofa.asks(), NOW + LIFETIME
    visitor = await sofa.signed_in(now=late)
    with pytest.raises(Unknown):
        await sofa.types(begun, visitor, late)
    await sofa.house.issuer.stores.journal.purge(late + 60, 0)
    with pytest.raises(ExpiredToken):
        await sofa.polls(begun, late + 60)
    asked = await sofa.asks(now=late)
    waits = await sofa.types(asked, visitor, late + LIFETIME - 1)
    with pytest.raises(Gone):
        await device.allow(sofa.house.issuer, waits, visitor, late + LIFETIME)


async def test_a_person_says_no(sofa: Sofa) -> None:
    """The device hears it at once, and forever; nobody can change their mind, nor somebody else."""
    begun = await sofa.asks()
    visitor = await sofa.signed_in()
    first, second = await sofa.types(begun, visitor), await sofa.types(begun, visitor)
    await device.deny(sofa.house.issuer, first, visitor, NOW)
    for _ in range(2):
        with pytest.raises(DeviceDenied):
            await sofa.polls(begun)
    for act in (device.allow, device.deny):
        with pytest.raises(Gone):
            await act(sofa.house.issuer, second, visitor, NOW)
    with pytest.raises(Unknown):
        await sofa.types(begun, visitor)
    assert sofa.house.rows("SELECT count(*) FROM grants") == [(0,)]


async def test_two_people_cannot_both_allow_one_device(sofa: Sofa) -> None:
    """The first answer counts, though both looked at the page before."""
    begun = await sofa.asks()
    alice, bob = await sofa.signed_in(), await sofa.signed_in(BOB)
    one, other = await sofa.types(begun, alice), await sofa.types(begun, bob)
    answers = await asyncio.gather(
        device.allow(sofa.house.issuer, one, alice, NOW),
        device.allow(sofa.house.issuer, other, bob, NOW),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in answers) == ["Case", "Gone"]
    won = [whose for whose, one in zip((ALICE, BOB), answers, strict=True) if isinstance(one, Case)]
    assert claims((await sofa.polls(begun)).access_token)["sub"] == await sofa.house.sub(won[0])
    assert sofa.house.rows("SELECT count(*) FROM grants") == [(1,)]


async def test_another_clients_device_code_is_worth_nothing(sofa: Sofa) -> None:
    """Whoever found it: and it still works for the device."""
    begun = await sofa.asks()
    with pytest.raises(InvalidGrant):
        await sofa.polls(begun, who=sofa.other)
    await sofa.allows(begun)
    with pytest.raises(InvalidGrant):
        await sofa.polls(begun, who=sofa.other)
    assert (await sofa.polls(begun)).access_token


@pytest.mark.parametrize("scope", ["orders:read", "orders:read offline_access"])
async def test_a_person_who_is_disabled_before_the_device_polls(sofa: Sofa, scope: str) -> None:
    """Nothing is handed out for them."""
    begun = await sofa.asks(scope)
    await sofa.allows(begun)
    await users.disable(sofa.house.issuer, BY, ALICE, NOW)
    with pytest.raises(InvalidGrant):
        await sofa.polls(begun)


async def test_a_session_that_ends_takes_its_device_along_and_not_one_that_may_go_on(sofa: Sofa) -> None:
    """Session-bound as a code's grant is; `offline_access` is what outlives it."""
    bound, offline = await sofa.asks(), await sofa.asks("orders:read offline_access")
    visitor = await sofa.signed_in()
    for begun in (bound, offline):
        await sofa.allows(begun, visitor)
    ((sid,),) = sofa.house.rows("SELECT DISTINCT made_in FROM grants")
    await revoking.session(sofa.house.issuer, BY, sid, NOW)
    with pytest.raises(InvalidGrant):
        await sofa.polls(bound)
    tokens = await sofa.polls(offline)
    assert "sid" not in claims(tokens.access_token)


async def test_a_session_that_has_just_run_out_gives_nothing(sofa: Sofa) -> None:
    """Neither does one whose person was revoked while they looked at the page."""
    lifetime = sofa.house.issuer.terms.session_lifetime
    visitor = await sofa.signed_in()
    begun = await sofa.asks(now=NOW + lifetime - 1)
    waits = await sofa.types(begun, visitor, NOW + lifetime - 1)
    with pytest.raises(Gone):
        await device.allow(sofa.house.issuer, waits, visitor, NOW + lifetime)
    await device.allow(sofa.house.issuer, waits, visitor, NOW + lifetime - 1)
    with pytest.raises(InvalidGrant):
        await sofa.polls(begun, NOW + lifetime)


@dataclass(frozen=True)
class Interrupted:
    """The reader of sessions, after whose answer something happens before anybody has made use of it."""

    inner: Sessions
    event: Callable[[], Awaitable[object]]

    async def find(self, sid: str) -> Session | None:
        """What `Sessions` promises."""
        return await self.inner.find(sid)

    async def of(self, sub: str) -> Sequence[Session]:
        """What `Sessions` promises."""
        return await self.inner.of(sub)

    async def at(self, browser: bytes) -> Sequence[Session]:
        """What `Sessions` promises."""
        found = await self.inner.at(browser)
        await self.event()
        return found


@pytest.mark.parametrize("what", ["session", "person", "client"])
async def test_a_yes_does_not_outlive_what_was_revoked_while_it_was_given(sofa: Sofa, what: str) -> None:
    """What it was decided on is looked at once more when it is saved."""
    issuer, begun = sofa.house.issuer, await sofa.asks("orders:read offline_access")
    visitor = await sofa.signed_in()
    waits = await sofa.types(begun, visitor)
    ((sid,),) = sofa.house.rows("SELECT sid FROM sessions")
    revoke: Mapping[str, Callable[[], Awaitable[object]]] = {
        "session": lambda: revoking.session(issuer, BY, sid, NOW),
        "person": lambda: revoking.user(issuer, BY, ALICE, NOW),
        "client": lambda: clients.disable(issuer, BY, sofa.tv.client_id, NOW),
    }
    stores = replace(issuer.stores, sessions=Interrupted(issuer.stores.sessions, revoke[what]))
    with pytest.raises(Gone):
        await device.allow(replaced(issuer, stores=stores), waits, visitor, NOW)
    assert sofa.house.rows("SELECT count(*) FROM grants") == [(0,)]


async def test_a_client_that_changes_while_its_device_waits_is_as_it_is_now(sofa: Sofa) -> None:
    """Disabled, or no more for devices: the person is not asked, and the device gets nothing."""
    issuer = sofa.house.issuer
    visitor = await sofa.signed_in()
    begun, allowed = await sofa.asks(), await sofa.asks()
    waits = await sofa.types(begun, visitor)
    await sofa.allows(allowed, visitor)
    client = await clients.find(issuer, sofa.tv.client_id)
    await clients.change(issuer, BY, replace(client, grant_types=frozenset({"refresh_token"})), NOW)
    with pytest.raises(Gone):
        await device.consider(issuer, waits, visitor, NOW)
    with pytest.raises(UnauthorizedClient):
        await sofa.polls(allowed)
    await clients.change(issuer, BY, client, NOW)
    await clients.disable(issuer, BY, sofa.tv.client_id, NOW)
    with pytest.raises(Gone):
        await device.allow(issuer, waits, visitor, NOW)
    with pytest.raises(InvalidClient):
        await sofa.polls(allowed)


@pytest.mark.parametrize(("form", "refusal"), [
    ({"scope": "stock:write"}, InvalidScope),
    ({"scope": "orders:read stock"}, InvalidScope),
    ({"scope": "orders:read", "resource": OTHER_AUDIENCE}, InvalidScope),
    ({"scope": "orders:read", "resource": "https://nowhere.example"}, InvalidTarget),
    ({"scope": None}, InvalidTarget),
])  # fmt: skip
async def test_what_a_client_may_not_have_no_device_asks_for(
    sofa: Sofa, form: Mapping[str, Any], refusal: type[OAuthError]
) -> None:
    """Before anybody is asked (RFC 8628 §3.1, RFC 8707); without a word, only where there is one API."""
    with pytest.raises(refusal):
        await sofa.asks(**form)
    assert sofa.house.rows("SELECT count(*) FROM device_requests") == [(0,)]


async def test_a_device_names_the_api_and_cannot_name_another_when_it_polls(sofa: Sofa) -> None:
    """RFC 8707 §2.2."""
    begun = await sofa.asks("stock", resource=OTHER_AUDIENCE)
    await sofa.allows(begun)
    with pytest.raises(InvalidTarget):
        await sofa.polls(begun, resource=AUDIENCE)
    assert claims((await sofa.polls(begun, resource=OTHER_AUDIENCE)).access_token)["aud"] == OTHER_AUDIENCE


async def test_no_client_has_the_device_flow_unless_it_was_given(sofa: Sofa) -> None:
    """Off as it comes: neither for a code, nor to trade one."""
    page = sofa.house.known.page
    with pytest.raises(UnauthorizedClient):
        await device.begin(sofa.house.issuer, None, {"client_id": page.client_id}, DEVICE, NOW)
    with pytest.raises(UnauthorizedClient):
        await sofa.polls(await sofa.asks(), who=page)
    with pytest.raises(InvalidClient):
        await device.begin(sofa.house.issuer, None, {"client_id": "nobody"}, DEVICE, NOW)


async def guess(sofa: Sofa, number: int, visitor: Visitor, browser: bytes, now: int = NOW) -> type[Exception]:
    """A wrong code; what came of it."""
    with pytest.raises((Unknown, TooManyAttempts)) as found:
        await device.find(sofa.house.issuer, made(number.to_bytes(16)), visitor, browser, now)
    return found.type


async def test_an_account_may_guess_a_few_times_and_a_code_of_ones_own_does_not_pay_for_more(sofa: Sofa) -> None:
    """Even the right code then has to wait; another person's account has a budget of its own."""
    alice, bob = await sofa.signed_in(), await sofa.signed_in(BOB)
    bob = replace(bob, caller=Caller("198.51.100.99", "", ""))
    own = await sofa.asks()
    for number in range(1, 6):
        assert await guess(sofa, number, alice, alice.browser or b"") is Unknown
        if number < 5:
            await sofa.types(own, alice)
    with pytest.raises(TooManyAttempts) as found:
        await sofa.types(own, alice)
    assert found.value.retry_after > 0
    await sofa.types(own, bob)
    assert await sofa.types(own, alice, NOW + found.value.retry_after)


async def test_a_network_may_guess_a_few_times_however_many_browsers_it_has(sofa: Sofa) -> None:
    """A new browser has a budget of its own, its network has not; nor has the next address of its IPv6 network."""
    heard = []
    for number in range(1, 31):
        address = f"2001:db8:1:2::{number:x}"
        visitor, browser = Visitor(caller=Caller(address, "", "")), number.to_bytes(32)
        heard.append(await guess(sofa, number, visitor, browser))
    assert heard.index(TooManyAttempts) == 20
    far = Visitor(caller=Caller("2001:db8:1:3::1", "", ""))
    assert await guess(sofa, 99, far, b"far") is Unknown


async def test_all_together_may_guess_so_often_however_many_networks_they_have(sofa: Sofa) -> None:
    """A flood from everywhere is cut off within the minute, and the next one begins anew."""
    places = [Visitor(caller=Caller(f"10.{number // 250}.{number % 250}.1", "", "")) for number in range(600)]
    heard = await asyncio.gather(*(guess(sofa, n, one, n.to_bytes(32)) for n, one in enumerate(places)))
    assert heard.count(Unknown) == SLOTS * 20
    later = Visitor(caller=Caller("10.9.9.9", "", ""))
    assert await guess(sofa, 1, later, b"x", NOW + 60) is Unknown


async def test_many_devices_of_one_network_have_to_wait(sofa: Sofa) -> None:
    """About forty a minute; those elsewhere do not, nor does anybody on a server that only this machine reaches."""
    await asyncio.gather(*(sofa.asks() for _ in range(80)))
    issuer = sofa.house.issuer
    public = replaced(issuer, terms=replaced(issuer.terms, issuer="https://id.example"))
    form = {"client_id": sofa.tv.client_id, "scope": "orders:read"}
    many = (device.begin(public, None, form, DEVICE, NOW) for _ in range(80))
    heard = await asyncio.gather(*many, return_exceptions=True)
    assert 20 <= sum(isinstance(one, Begun) for one in heard) <= 40
    assert all(one.retry_after > 0 for one in heard if isinstance(one, TooManyDevices))
    assert {type(one) for one in heard} == {Begun, TooManyDevices}
    await device.begin(public, None, form, replace(DEVICE, address="203.0.113.25"), NOW)
    await device.begin(public, None, form, DEVICE, NOW + 60)


async def test_a_code_that_somebody_has_is_made_anew(sofa: Sofa) -> None:
    """Two devices never show the same one."""
    first = await sofa.asks()
    real, dealt = sofa.house.issuer.random, iter([b"same" * 4, b"same" * 4, b"else" * 4])

    def stacked(count: int) -> bytes:
        return next(dealt) if count == 16 else real(count)

    loaded = replaced(sofa, house=replaced(sofa.house, issuer=replaced(sofa.house.issuer, random=stacked)))
    one, other = await loaded.asks(), await loaded.asks()
    assert len({first.user_code, one.user_code, other.user_code}) == 3
    assert next(dealt, None) is None


async def test_everything_is_in_the_audit_trail(sofa: Sofa) -> None:
    """Who asked from where, who guessed, who said yes or no, and who got tokens; no code stands there."""
    yes, no = await sofa.asks(), await sofa.asks()
    visitor = await sofa.signed_in()
    await guess(sofa, 7, visitor, visitor.browser or b"")
    await sofa.allows(yes, visitor)
    await device.deny(sofa.house.issuer, await sofa.types(no, visitor), visitor, NOW)
    await sofa.polls(yes)
    sub = await sofa.house.sub()
    rows = sofa.house.rows("SELECT actor, action, outcome, address FROM audit WHERE action LIKE 'device.%' ORDER BY id")
    tv, alice = f"client:{sofa.tv.client_id}", f"user:{sub}"
    assert rows == [
        (tv, "device.ask", "ok", DEVICE.address),
        (tv, "device.ask", "ok", DEVICE.address),
        (alice, "device.find", "unknown code", PERSON.address),
        (alice, "device.allow", "ok", PERSON.address),
        (alice, "device.deny", "denied", PERSON.address),
    ]
    trail = str(sofa.house.rows("SELECT * FROM audit"))
    for begun in (yes, no):
        assert begun.device_code not in trail
        assert begun.user_code not in trail
        assert (read(begun.user_code) or "?") not in trail


async def test_codes_are_kept_by_hash(sofa: Sofa) -> None:
    """Who reads the database cannot ask with what stands there."""
    begun = await sofa.asks()
    kept = str(sofa.house.everything())
    assert begun.device_code not in kept
    assert begun.user_code not in kept
    assert (read(begun.user_code) or "?") not in kept


async def test_a_client_that_wants_a_fresh_sign_in_gets_one(sofa: Sofa) -> None:
    """`default_max_age` holds for devices too: a session that is too old has to show once more who it is."""
    issuer = sofa.house.issuer
    client = await clients.find(issuer, sofa.tv.client_id)
    await clients.change(issuer, BY, replace(client, metadata=replace(client.metadata, default_max_age=60)), NOW)
    visitor = await sofa.signed_in()
    begun = await sofa.asks(now=NOW + 61)
    waits = await sofa.types(begun, visitor, NOW + 61)
    assert (await device.consider(issuer, waits, visitor, NOW + 61)).account is None
    with pytest.raises(Gone):
        await device.allow(issuer, waits, visitor, NOW + 61)
    who = await at_browser.sign_in(issuer, visitor, waits, ALICE, PASSWORDS[ALICE], NOW + 61.0)
    here = Visitor(caller=PERSON, browser=at_browser.kept(who.secret))
    (again,) = sofa.house.rows("SELECT signed_in FROM interactions")
    assert again == (who.account.session.sid,)
    fresh = replace(waits, signed_in=who.account.session.sid)
    assert (await device.allow(issuer, fresh, here, NOW + 61)).account is not None
    assert (await sofa.polls(begun, NOW + 61)).access_token
