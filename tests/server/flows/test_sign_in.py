"""Signing in: who may, how every refusal looks and how long it takes, and what happens meanwhile."""

from __future__ import annotations

import asyncio
import statistics
import time

import pytest

from tests.server.flows.house import ALICE, BOB, BY, CALLER, NOW, PASSWORDS, House, claims
from watchword_server.flows import clients, revoking, users
from watchword_server.flows.administration import Refused
from watchword_server.flows.sign_in import SignIn, sign_in
from watchword_server.people.throttle import FREE_FOR_ACCOUNT, FREE_FOR_ADDRESS, LONGEST, MEMORY
from watchword_server.ports import Busy
from watchword_server.protocol.client_authentication import BASIC, NONE, Credentials
from watchword_server.protocol.errors import (
    AccessDenied,
    InvalidClient,
    InvalidGrant,
    TemporarilyUnavailable,
    TooManyAttempts,
    UnauthorizedClient,
)
from watchword_server.web.refusals import refusal

NOBODY = "nobody@example.com"


async def test_a_session_is_what_its_token_says(house: House) -> None:
    """RFC 9068 §2.2, with the session and the grant that it stands on."""
    signed_in = await house.sign_in()
    said = claims(signed_in.tokens.access_token)
    assert (said["sub"], said["sid"], said["client_id"]) == (
        await house.sub(),
        signed_in.session.sid,
        house.known.page.client_id,
    )
    assert house.rows("SELECT sid, ended_at FROM grants WHERE gid = ?", said["gid"]) == [(said["sid"], None)]
    assert (signed_in.session.address, signed_in.session.amr) == ("192.0.2.7", ("pwd",))


@pytest.mark.parametrize("email", [" Alice@Example.COM ", "alice@EXAMPLE.com", "ALICE@example.com"])
async def test_an_address_is_known_however_it_is_typed(house: House, email: str) -> None:
    """Case and spaces do not make another person."""
    signed_in = await house.sign_in(email, password=PASSWORDS[ALICE])
    assert signed_in.session.sub == await house.sub()


@pytest.mark.parametrize(
    "password",
    ["", " ", "alice's Password", "alice's Password 1 ", "ALICE'S PASSWORD 1", "\x00", "x" * 60_000, PASSWORDS[BOB]],
)
async def test_another_password_is_refused(house: House, password: str) -> None:
    """Whatever it is."""
    with pytest.raises(InvalidGrant):
        await house.sign_in(password=password)


async def test_one_password_on_two_keyboards_is_one(house: House) -> None:
    """NIST SP 800-63B §3.1.1.2: NFKC. Composed and decomposed letters are the same."""
    await users.add(house.issuer, BY, "zoe@example.com", "Zoë", "Ångström caf\u00e9 1", (), NOW)
    assert await house.sign_in("zoe@example.com", password="A\u030angstro\u0308m cafe\u0301 1")


# Refusals that must look alike.


async def test_wrong_unknown_and_disabled_are_refused_alike(house: House) -> None:
    """One code, one text, one kind of row in the audit trail; only the log may tell them apart, and does not."""
    await users.disable(house.issuer, BY, BOB, NOW)
    cases = {"wrong": (ALICE, "wrong"), "unknown": (NOBODY, PASSWORDS[ALICE]), "disabled": (BOB, PASSWORDS[BOB])}
    cases["disabled, wrong"] = (BOB, "wrong")
    cases["no address"] = ("not an address", "wrong")
    texts, messages = set(), set()
    for email, password in cases.values():
        with pytest.raises(InvalidGrant) as caught:
            await house.sign_in(email, password=password)
        answer = refusal(caught.value, {"headers": ()})
        texts.add((answer.status, answer.body, answer.headers))
        if email != "not an address":
            messages.add(str(caught.value))
    assert (len(texts), len(messages)) == (1, 1)
    rows = house.rows("SELECT actor, outcome FROM audit WHERE action = 'session.create'")
    assert set(rows) == {("anonymous", "wrong credentials")}


async def test_wrong_unknown_and_disabled_take_the_same_time(house: House) -> None:
    """20 of each in turns: the means differ by less than they scatter. A refusal without a hash would be seen."""
    await users.disable(house.issuer, BY, BOB, NOW)
    cases = {"wrong": (ALICE, "wrong"), "unknown": (NOBODY, "wrong"), "disabled": (BOB, PASSWORDS[BOB])}
    seconds: dict[str, list[float]] = {name: [] for name in (*cases, "no hash")}
    for number in range(20):
        for name, (email, password) in cases.items():
            seconds[name].append(await _refused_after(house, email, password, NOW + number * MEMORY))
        seconds["no hash"].append(await _refused_after(house, "not an address", "wrong", NOW))
    means = {name: statistics.mean(found) for name, found in seconds.items()}
    print("\n  " + ", ".join(f"{name} {mean * 1000:.1f} ms" for name, mean in means.items()))
    hashed = [means[name] for name in cases]
    scatter = max(statistics.stdev(seconds[name]) for name in cases)
    assert max(hashed) - min(hashed) <= max(scatter, 0.15 * min(hashed))
    assert means["no hash"] < 0.5 * min(hashed)


async def _refused_after(house: House, email: str, password: str, now: int) -> float:
    start = time.perf_counter()
    with pytest.raises(InvalidGrant):
        await house.sign_in(email, password=password, now=now)
    return time.perf_counter() - start


async def test_a_client_that_may_not_ask_learns_nothing_about_passwords(house: House) -> None:
    """Client and Origin are looked at first: unknown, wrong secret, not first-party, a page of elsewhere."""

    async def asked(client_id: str, secret: str | None, origin: str | None, password: str) -> None:
        ask = SignIn(Credentials(client_id, BASIC if secret else NONE, secret), ALICE, password, None, None, origin)
        await sign_in(house.issuer, ask, CALLER, NOW)

    known = house.known
    third, _ = await clients.add(
        house.issuer,
        BY,
        clients.NewClient(
            "Third", "public", frozenset({"refresh_token"}), {"https://orders.example": ("orders:read",)}
        ),
        NOW,
    )
    for password in (PASSWORDS[ALICE], "wrong"):
        for client_id, secret, origin, error in (
            ("client_unknown", None, None, InvalidClient),
            (known.web.client_id, "wrong", None, InvalidClient),
            (known.web.client_id, None, None, InvalidClient),
            (third.client_id, None, None, UnauthorizedClient),
            (known.page.client_id, None, "https://evil.example", AccessDenied),
            (known.page.client_id, None, "null", AccessDenied),
        ):
            with pytest.raises(error):
                await asked(client_id, secret, origin, password)
    assert house.count("sessions") == 0


# Back-off.


async def test_failures_of_an_account_make_it_wait_longer_and_longer(house: House) -> None:
    """Five are free; then 1, 2, 4 ... seconds, never more than 15 minutes; a wait refuses the right password too."""
    now = float(NOW)
    for _ in range(FREE_FOR_ACCOUNT):
        with pytest.raises(InvalidGrant):
            await house.sign_in(password="wrong", now=now)
    pauses = []
    for _ in range(12):
        with pytest.raises(TooManyAttempts) as caught:
            await house.sign_in(now=now)
        pauses.append(caught.value.retry_after)
        with pytest.raises(TooManyAttempts):  # a second too early
            await house.sign_in(now=now + pauses[-1] - 1)
        now += pauses[-1]
        with pytest.raises(InvalidGrant):
            await house.sign_in(password="wrong", now=now)
    assert pauses == [min(LONGEST, 2**n) for n in range(12)]
    assert (await house.sign_in(BOB, now=now)).session.sub == await house.sub(BOB)
    assert await house.sign_in(now=now + LONGEST)
    with pytest.raises(InvalidGrant):  # the slate is clean
        await house.sign_in(password="wrong", now=now + LONGEST)


async def test_an_unknown_account_waits_as_a_known_one_does(house: House) -> None:
    """Otherwise the wait would tell who is registered; other spellings of an address are the same account."""
    for email in (NOBODY, NOBODY.upper(), f" {NOBODY}", NOBODY, NOBODY):
        with pytest.raises(InvalidGrant):
            await house.sign_in(email, password="wrong")
    with pytest.raises(TooManyAttempts) as caught:
        await house.sign_in(NOBODY.title(), password="wrong")
    assert caught.value.retry_after == 1


async def test_failures_of_an_address_make_everybody_there_wait(house: House) -> None:
    """One password tried on many accounts: 20 are free, and success in between takes none of them back but its own."""
    for number in range(FREE_FOR_ADDRESS):
        with pytest.raises(InvalidGrant):
            await house.sign_in(f"user{number}@example.com", password="wrong")
        if number == 7:
            assert await house.sign_in()
    with pytest.raises(TooManyAttempts):
        await house.sign_in()
    assert await house.sign_in(now=NOW + 1)


async def test_many_at_once_are_counted_one_by_one(house: House) -> None:
    """Guesses that run in parallel get no more tries than those in a row."""
    asked = (house.sign_in(password=f"wrong {n}") for n in range(40))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    kinds = [type(answer) for answer in answers]
    assert kinds.count(InvalidGrant) == FREE_FOR_ACCOUNT
    assert kinds.count(TooManyAttempts) == 40 - FREE_FOR_ACCOUNT


async def test_an_attempt_that_nobody_judged_is_no_failure(house: House) -> None:
    """While the queue for passwords is full, asking again and again must not make the account wait."""
    busy = [asyncio.create_task(house.issuer.hasher.hash("something to do")) for _ in range(70)]
    await asyncio.sleep(0)
    for _ in range(FREE_FOR_ACCOUNT + 5):
        with pytest.raises(TemporarilyUnavailable):
            await house.sign_in()
    done = await asyncio.gather(*busy, return_exceptions=True)
    assert any(isinstance(one, Busy) for one in done)
    assert (await house.sign_in()).tokens.access_token


# What happens while the password is looked at.


@pytest.mark.parametrize("event", ["password", "disabled", "revoked", "client revoked", "everything"])
async def test_a_sign_in_in_flight_does_not_outlive_what_happens_meanwhile(house: House, event: str) -> None:
    """The password was right when it was read; the change is committed before the session is: no session."""
    async with house.another_process() as other:
        # The one thread for passwords has enough to do, so that the other process is faster.
        busy = [asyncio.create_task(house.issuer.hasher.hash("something to do")) for _ in range(6)]
        await asyncio.sleep(0)
        signing_in = asyncio.create_task(house.sign_in())
        await asyncio.sleep(0)
        match event:
            case "password":
                await users.set_password(other.issuer, BY, ALICE, "another Password 9", NOW)
            case "disabled":
                await users.disable(other.issuer, BY, ALICE, NOW)
                await users.enable(other.issuer, BY, ALICE, NOW)
            case "revoked":
                await revoking.user(other.issuer, BY, ALICE, NOW)
            case "client revoked":
                await revoking.client(other.issuer, BY, house.known.page.client_id, NOW)
            case "everything":
                await revoking.everything(other.issuer, BY, NOW)
        assert not signing_in.done(), "the machine was too slow for this test to mean anything"
        with pytest.raises(InvalidGrant, match="revoked while the password was checked"):
            await signing_in
        await asyncio.gather(*busy)
    assert (house.count("sessions"), house.count("grants"), house.count("refresh_tokens")) == (0, 0, 0)
    password = "another Password 9" if event == "password" else None
    fresh = await house.sign_in(password=password)
    assert await house.killed(fresh.tokens.access_token) is None


async def test_what_happens_to_others_meanwhile_does_not_matter(house: House) -> None:
    """Somebody else is disabled, another client revoked, a token taken back: the sign-in goes on."""
    async with house.another_process() as other:
        busy = [asyncio.create_task(house.issuer.hasher.hash("something to do")) for _ in range(6)]
        await asyncio.sleep(0)
        signing_in = asyncio.create_task(house.sign_in())
        await asyncio.sleep(0)
        await users.disable(other.issuer, BY, BOB, NOW)
        await revoking.client(other.issuer, BY, house.known.web.client_id, NOW)
        await revoking.token(other.issuer, BY, "somebody-elses-jti", NOW)
        assert not signing_in.done(), "the machine was too slow for this test to mean anything"
        signed_in = await signing_in
        await asyncio.gather(*busy)
    assert await house.killed(signed_in.tokens.access_token) is None


@pytest.mark.parametrize("password", ["", "short", "x" * 257, ALICE, "alice".ljust(8)[:5]])
async def test_a_new_password_that_will_not_do_is_refused_and_changes_nothing(house: House, password: str) -> None:
    """ASVS 6.2: length both ways, and not the address."""
    before = house.everything()
    with pytest.raises(Refused):
        await users.set_password(house.issuer, BY, ALICE, password, NOW)
    assert house.everything() == before
    assert await house.sign_in()
