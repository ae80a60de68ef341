"""Getting tokens by client credentials: the flow by itself, and its drivers over real sockets."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx2
import pytest

from tests.sdk.honest_issuer import Clock, Issuer, eventually
from watchword.client import ClientCredentials
from watchword.client.grant import Answer, Ask, Grant, Granted, obtain
from watchword.client.proving import Prover
from watchword.dpop import ProofKey
from watchword.errors import CannotDecide, Misconfigured, TokenRequestRefused
from watchword.jose.b64 import unb64url

SECRET = "p%ss:wörd +/&"


@pytest.fixture
def auth(issuer: Issuer, clock: Clock) -> ClientCredentials:
    """Credentials whose clock a test may move."""
    return ClientCredentials(
        issuer=issuer.url, client_id="a client", client_secret=SECRET, scope=("a", "b"), monotonic=clock.monotonic
    )


@pytest.fixture
def api(issuer: Issuer, auth: ClientCredentials) -> Iterator[httpx2.Client]:
    """A client of an API that says which token it saw."""
    with httpx2.Client(base_url=issuer.url, auth=auth) as client:
        yield client


def seen(client: httpx2.Client) -> str:
    answer: str = client.get("/echo").raise_for_status().json()["token"]
    return answer


# The flow.


def run(grant: Grant, *answers: Answer) -> tuple[list[Ask], Granted]:
    flow, asked, waiting = obtain(grant), [], list(answers)
    ask = next(flow)
    while True:
        asked.append(ask)
        try:
            ask = flow.send(waiting.pop(0))
        except StopIteration as end:
            return asked, end.value


def answer(status: int = 200, **members: object) -> Answer:
    return Answer(status, json.dumps(members).encode())


GRANT = Grant("client", "secret", token_endpoint="https://i.example/token", scope=("a", "b"), resource="https://api")
GOOD: dict[str, object] = {"access_token": "t", "token_type": "bearer", "expires_in": 60}


def test_the_flow_asks_for_what_was_granted() -> None:
    """RFC 6749 §4.4.2, RFC 8707 §2."""
    asked, granted = run(GRANT, answer(**GOOD))
    assert [(ask.url, ask.form) for ask in asked] == [
        (
            "https://i.example/token",
            {"grant_type": "client_credentials", "scope": "a b", "resource": "https://api"},
        )
    ]
    assert granted == Granted("t", 60)


def test_the_flow_finds_the_token_endpoint() -> None:
    """The issuer's metadata first (RFC 8414)."""
    metadata = answer(issuer="https://i.example/x", token_endpoint="https://i.example/x/token")
    asked, _ = run(Grant("c", "s", issuer="https://i.example/x"), metadata, answer(**GOOD))
    assert [ask.url for ask in asked] == [
        "https://i.example/.well-known/oauth-authorization-server/x",
        "https://i.example/x/token",
    ]


def test_the_credentials_are_form_encoded_before_they_are_joined() -> None:
    """RFC 6749 §2.3.1: a colon in the id must not move the boundary."""
    asked, _ = run(Grant("a:b c", SECRET, token_endpoint="https://i.example/token"), answer(**GOOD))
    sent = base64.b64decode(asked[0].headers["Authorization"].removeprefix("Basic "))
    assert sent == b"a%3Ab+c:p%25ss%3Aw%C3%B6rd+%2B%2F%26"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (answer(400, error="invalid_scope", error_description="no such scope"), "invalid_scope"),
        (answer(401, error="invalid_client"), "invalid_client"),
        (answer(400, error=["invalid_scope"]), "server_error"),
        (answer(400, error="x" * 5000), "server_error"),
        (Answer(500, b"<html>"), "server_error"),
        (Answer(200, b"not json"), "server_error"),
        (answer(), "server_error"),
        (answer(**{**GOOD, "access_token": "a\r\nSet-Cookie: b"}), "server_error"),
        (answer(**{**GOOD, "access_token": ""}), "server_error"),
        (answer(**{**GOOD, "token_type": "DPoP"}), "server_error"),
        (answer(**{**GOOD, "expires_in": "60"}), "server_error"),
        (answer(**{**GOOD, "expires_in": True}), "server_error"),
        (answer(**{**GOOD, "expires_in": 0}), "server_error"),
    ],
)
def test_a_refusal_or_nonsense_is_one_typed_error(given: Answer, code: str) -> None:
    """RFC 6749 §5.2; and nothing of unbounded length gets into a message."""
    with pytest.raises(TokenRequestRefused) as caught:
        run(GRANT, given)
    assert caught.value.error == code
    assert len(str(caught.value)) < 400


def proving() -> Prover:
    return Prover(ProofKey.generate(), lambda: 1_800_000_000.0)


def said_in(ask: Ask) -> dict[str, object]:
    found: dict[str, object] = json.loads(unb64url(ask.headers["DPoP"].split(".")[1]))
    return found


def bound_to(prover: Prover, *answers: Answer) -> tuple[list[dict[str, object]], Granted]:
    """The proofs that were shown, and what came of it."""
    flow, shown, waiting = obtain(GRANT, prover), [], list(answers)
    ask = next(flow)
    while True:
        shown.append(said_in(ask))
        assert ask.headers["Authorization"].startswith("Basic ")
        try:
            ask = flow.send(waiting.pop(0))
        except StopIteration as end:
            assert not waiting
            return shown, end.value


BOUND = {**GOOD, "token_type": "DPoP"}


def nonced(given: Answer, nonce: str) -> Answer:
    return replace(given, nonce=nonce)


def test_a_bound_token_is_asked_for_with_a_proof() -> None:
    """RFC 9449 §5: for the token endpoint, without a token's hash."""
    shown, granted = bound_to(proving(), answer(**BOUND))
    assert [(one["htm"], one["htu"], "ath" in one, "nonce" in one) for one in shown] == [
        ("POST", "https://i.example/token", False, False)
    ]
    assert granted == Granted("t", 60)


@pytest.mark.parametrize("status", [400, 401])
def test_a_nonce_that_is_asked_for_is_brought_once(status: int) -> None:
    """RFC 9449 §8: with another proof; the next request brings the newest at once."""
    prover, refused = proving(), answer(status, error="use_dpop_nonce")
    shown, granted = bound_to(prover, nonced(refused, "n-1"), nonced(answer(**BOUND), "n-2"))
    assert [one.get("nonce") for one in shown] == [None, "n-1"]
    assert shown[0]["jti"] != shown[1]["jti"]
    assert granted == Granted("t", 60)
    assert [one.get("nonce") for one in bound_to(prover, answer(**BOUND))[0]] == ["n-2"]


@pytest.mark.parametrize(
    "answers",
    [
        (answer(400, error="use_dpop_nonce"),),
        (nonced(answer(400, error="use_dpop_nonce"), "n-1"), nonced(answer(400, error="use_dpop_nonce"), "n-2")),
        (nonced(answer(400, error="invalid_dpop_proof"), "n-1"),),
        (answer(**GOOD),),
        (nonced(Answer(500, b""), "n-1"),),
    ],
)
def test_what_is_not_bound_or_asks_for_ever_is_refused(answers: tuple[Answer, ...]) -> None:
    """No nonce, another one each time, another error, or a bearer token where a bound one was due."""
    with pytest.raises(TokenRequestRefused):
        bound_to(proving(), *answers)


def test_neither_secret_nor_token_is_in_a_repr() -> None:
    """Values end in logs sooner or later."""
    asked, granted = run(GRANT, answer(**{**GOOD, "access_token": "the-token"}))
    assert "secret" not in repr(GRANT).replace("client_secret", "")
    assert "the-token" not in repr(granted)
    assert "Basic" not in repr(asked)


# The drivers.


def test_a_request_carries_a_token_that_serves_until_shortly_before_it_expires(
    issuer: Issuer, api: httpx2.Client, clock: Clock
) -> None:
    """900 s, less a margin of 30."""
    assert seen(api) == seen(api) == "token-1"
    clock.forward(869)
    assert seen(api) == "token-1"
    clock.forward(2)
    assert seen(api) == "token-2"
    assert issuer.last_form == {"grant_type": "client_credentials", "scope": "a b"}


def test_fifty_threads_share_one_fetch(issuer: Issuer, auth: ClientCredentials) -> None:
    """At the start nobody has a token, and one of them gets it for all."""
    issuer.token_delay = 0.3
    with ThreadPoolExecutor(50) as pool, httpx2.Client(base_url=issuer.url, auth=auth) as client:
        tokens = set(pool.map(lambda _: seen(client), range(50)))
    assert tokens == {"token-1"}
    assert issuer.counts["/token"] == 1


async def test_fifty_tasks_and_a_thread_with_another_loop_share_one_fetch(
    issuer: Issuer, auth: ClientCredentials
) -> None:
    """No lock belongs to a loop."""
    issuer.token_delay = 0.3

    async def many() -> set[str]:
        async with httpx2.AsyncClient(base_url=issuer.url, auth=auth) as client:
            answers = await asyncio.gather(*(client.get("/echo") for _ in range(50)))
        return {answer.json()["token"] for answer in answers}

    here, there = await asyncio.gather(many(), asyncio.to_thread(lambda: asyncio.run(many())))
    assert here == there == {"token-1"}
    assert issuer.counts["/token"] == 1


async def test_renewing_holds_nobody_up(issuer: Issuer, auth: ClientCredentials, clock: Clock) -> None:
    """While one caller renews, the others use what still serves."""
    async with httpx2.AsyncClient(base_url=issuer.url, auth=auth) as client:
        await client.get("/echo")
        clock.forward(880)
        issuer.token_delay = 1.0
        renewing = asyncio.create_task(client.get("/echo"))
        while issuer.counts["/token"] < 2:
            await asyncio.sleep(0.005)
        assert (await client.get("/echo")).json()["token"] == "token-1"
        assert not renewing.done()
        assert (await renewing).json()["token"] == "token-2"


def test_a_failed_renewal_leaves_the_old_token_in_use(issuer: Issuer, api: httpx2.Client, clock: Clock) -> None:
    """Until it expires; and the issuer is not asked at every request."""
    seen(api)
    clock.forward(880)
    issuer.status["/token"] = 503
    assert [seen(api) for _ in range(5)] == ["token-1"] * 5
    assert issuer.counts["/token"] == 2
    clock.forward(21)
    with pytest.raises(TokenRequestRefused):
        seen(api)


async def test_a_refusal_reaches_all_who_wait(issuer: Issuer, auth: ClientCredentials) -> None:
    """They do not line up to hear it one by one."""
    issuer.token_delay, issuer.token_answer = 0.3, (401, {"error": "invalid_client"})
    async with httpx2.AsyncClient(base_url=issuer.url, auth=auth) as client:
        answers = await asyncio.gather(*(client.get("/echo") for _ in range(20)), return_exceptions=True)
    assert {getattr(answer, "error", "") for answer in answers} == {"invalid_client"}
    assert issuer.counts["/token"] == 1


async def test_a_cancelled_fetch_is_taken_over(issuer: Issuer, auth: ClientCredentials) -> None:
    """Who fetches for all may leave at any time."""
    issuer.token_delay = 0.3
    async with httpx2.AsyncClient(base_url=issuer.url, auth=auth) as client:
        first = asyncio.create_task(client.get("/echo"))
        while not issuer.counts["/token"]:
            await asyncio.sleep(0.005)
        second = asyncio.create_task(client.get("/echo"))
        await asyncio.sleep(0.05)
        first.cancel()
        assert (await second).json()["token"] == "token-2"


def test_a_token_that_an_api_refuses_is_replaced_once(issuer: Issuer, api: httpx2.Client) -> None:
    """401 with invalid_token: one new token, one more try."""
    seen(api)
    issuer.inactive.add("token-1")
    assert api.post("/echo", json={}).json() == {"token": "token-2"}
    assert seen(api) == "token-2"
    issuer.inactive |= {"token-2", "token-3", "token-4"}
    asked = issuer.counts["/echo"]
    assert api.get("/echo").status_code == 401
    assert issuer.counts["/echo"] == asked + 2


async def test_a_body_that_cannot_be_sent_twice_is_not(issuer: Issuer, auth: ClientCredentials) -> None:
    """The refusal is handed on, and the next request has a new token."""

    async def body() -> AsyncIterator[bytes]:
        yield b"once"

    issuer.inactive.add("token-1")
    async with httpx2.AsyncClient(base_url=issuer.url, auth=auth) as client:
        refused = await client.request("GET", "/echo", content=body())
        assert refused.status_code == 401
        assert (await client.get("/echo")).json()["token"] == "token-2"


@pytest.mark.parametrize("url", ["http://api.example/", "https://other.example/", "https://api.example:8443/"])
def test_a_token_goes_only_where_it_belongs(issuer: Issuer, url: str) -> None:
    """Not over an open line, not to another origin; not even a request leaves."""
    auth = ClientCredentials(
        issuer=issuer.url, client_id="c", client_secret="s", origins=("https://api.example", issuer.url)
    )
    with httpx2.Client(auth=auth) as client:
        with pytest.raises(Misconfigured):
            client.get(url)
        assert seen(httpx2.Client(auth=auth, base_url=issuer.url)) == "token-1"
    assert issuer.counts["/token"] == 1


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"issuer": "https://i.example", "token_endpoint": "https://i.example/token"},
        {"issuer": "http://i.example"},
        {"token_endpoint": "http://i.example/token"},
        {"issuer": "https://i.example", "client_secret": ""},
        {"issuer": "https://i.example", "scope": "a b"},
        {"issuer": "https://i.example", "origins": ("http://api.example",)},
    ],
)
def test_wrong_settings_are_said_at_once(settings: dict[str, object]) -> None:
    """Before anything is sent."""
    with pytest.raises(Misconfigured):
        ClientCredentials(**{"client_id": "c", "client_secret": "s", **settings})  # type: ignore[arg-type]  # a bag of settings


def test_an_issuer_that_is_not_there_cannot_be_asked(issuer: Issuer, api: httpx2.Client) -> None:
    """Neither granted nor refused."""
    issuer.stop()
    with pytest.raises(CannotDecide):
        api.get("/echo")


def test_the_secret_and_the_token_are_in_no_log(
    issuer: Issuer, api: httpx2.Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even at the most talkative level."""
    with caplog.at_level(logging.DEBUG):
        seen(api)
    eventually(lambda: caplog.text)
    assert "token-1" not in caplog.text
    assert "w%C3%B6rd" not in caplog.text
