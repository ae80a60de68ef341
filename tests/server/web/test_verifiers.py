"""Verifiers at the feed: who is on record, what they acknowledge, and what who revokes gets to hear of it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import httpx2
import pytest

from tests.server.web.beside import opened
from tests.server.web.follower import Follower, claims
from tests.server.web.served import FORM, ORIGIN, Served, basic, bearer, served
from tests.server.web.wire import Wire
from watchword_server.flows.leases import AHEAD, COUNTED, LEEWAY, LIMIT
from watchword_server.flows.who_knows import LONGEST
from watchword_server.ports import Lease
from watchword_server.web.front import MOST_WAITING

STOCK = "https://stock.example"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of this file's own."""
    with served(tmp_path_factory.mktemp("verifiers")) as found:
        yield found


@pytest.fixture
def own(alone: Served) -> Served:
    """Where nobody is on record yet: every test brings processes of its own, and who hung up is renewed no more."""
    with closing(sqlite3.connect(alone.data / "watchword.db", timeout=10)) as database, database:
        database.execute("DELETE FROM leases")
    return alone


async def on_record(server: Served) -> dict[str, Lease]:
    """Leases by name, as another process reads them."""
    async with opened(server) as issuer:
        return {lease.name: lease for lease in await issuer.stores.leases.all(int(time.time()))}


def stands(server: Served) -> tuple[str, int]:
    """The log, and its head."""
    said = claims(server.http.get("/revocations", auth=server.known.api).text)
    return str(said["log"]), int(str(said["seq"]))


def take_back(server: Served, wait: str | None = None, token: str = "") -> httpx2.Response:
    """`POST /revoke` of a token, a new one if none is given."""
    token = token or server.token().json()["access_token"]
    headers = {} if wait is None else {"Prefer": wait}
    return server.http.post("/revoke", data={"token": token}, auth=server.known.machine, headers=headers)


# On record.


@pytest.mark.parametrize("path", ["/revocations", "/revocations/stream"])
async def test_who_reads_the_feed_is_on_record(own: Served, path: str) -> None:
    """Before the first word of the answer; under the API whose credentials came, and for long enough."""
    follower, now = Follower(own, own.known.other_api, "stock-7", refuse_after=30), time.time()
    with own.http.stream("GET", path, headers=follower.header, auth=follower.api) as answer:
        assert answer.status_code == 200
        (lease,) = (await on_record(own)).values()
    assert (lease.audience, lease.verifier, lease.name, lease.refuse_after) == (STOCK, follower.id, "stock-7", 30)
    assert (lease.log, lease.seq) == ("", 0)
    assert now + 30 + LEEWAY <= lease.until <= time.time() + 30 + LEEWAY + AHEAD + 1


async def test_who_does_not_say_who_it_is_is_not_on_record(own: Served) -> None:
    """It reads the feed all the same."""
    assert own.http.get("/revocations", auth=own.known.api).status_code == 200
    assert await on_record(own) == {}


async def test_who_has_no_credentials_is_not_on_record(behind_proxies: Served) -> None:
    """Whatever it says; anybody could fill the register."""
    for header in (Follower(behind_proxies, ("", "")).header, {"Watchword-Verifier": "nonsense"}):
        assert behind_proxies.http.get("/revocations", headers=header).status_code == 200
    assert await on_record(behind_proxies) == {}


# fmt: off
MALFORMED = {
    "nothing":               "",
    "no parameters":         "{id}",
    "an id too short":       '{short}; name="n"; refuse-after=60',
    "an id too long":        '{id}A; name="n"; refuse-after=60',
    "another alphabet":      '{short}+; name="n"; refuse-after=60',
    "no name":               '{id}; name=""; refuse-after=60',
    "a long name":           '{id}; name="{long}"; refuse-after=60',
    "a quote in the name":   '{id}; name="a\\"b"; refuse-after=60',
    "a tab in the name":     '{id}; name="a\tb"; refuse-after=60',
    "a name beyond ASCII":   '{id}; name="\xe9"; refuse-after=60',
    "no seconds":            '{id}; name="n"; refuse-after=',
    "no time at all":        '{id}; name="n"; refuse-after=0',
    "a fraction":            '{id}; name="n"; refuse-after=1.5',
    "less than nothing":     '{id}; name="n"; refuse-after=-60',
    "longer than a day":     '{id}; name="n"; refuse-after=86401',
    "for ever":              '{id}; name="n"; refuse-after=99999999999999999999',
    "digits of others":      '{id}; name="n"; refuse-after=\xb2',
    "more at the end":       '{id}; name="n"; refuse-after=60; x=1',
    "two of them":           '{id}; name="n"; refuse-after=60, {id}; name="n"; refuse-after=60',
}
# fmt: on


@pytest.mark.parametrize("path", ["/revocations", "/revocations/stream"])
@pytest.mark.parametrize("case", MALFORMED)
async def test_who_cannot_be_understood_is_refused(own: Served, case: str, path: str) -> None:
    """Else it would think that it is counted."""
    value = MALFORMED[case].format(id="v" * 22, short="v" * 21, long="n" * 65).encode("latin-1")
    headers = [(b"watchword-verifier", value), (b"authorization", basic(own.known.api).encode())]
    answer = own.http.get(path, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_an_api_with_too_many_verifiers_is_told(own: Served) -> None:
    """As soon as the node counts anew; with a time to come again, and other APIs do not notice."""
    until = int(time.time()) + 60
    async with opened(own) as issuer:
        await issuer.stores.leases.keep([Lease(STOCK, f"{n:022}", "n", 60, until=until) for n in range(LIMIT)])
    counted = time.monotonic() + COUNTED
    late = False
    while not late:
        late = time.monotonic() >= counted
        answer = Follower(own, own.known.other_api).read()
        if answer.status_code != 200:
            break
    assert (answer.status_code, answer.json()["error"]) == (429, "too_many_verifiers")
    assert int(answer.headers["retry-after"]) > 0
    assert Follower(own, own.known.api).read().status_code == 200


# Acknowledgements.


async def test_an_acknowledgement_is_on_disk_when_it_is_answered(own: Served) -> None:
    """By 204, and nothing else."""
    take_back(own)
    follower, (log, seq) = Follower(own, own.known.api), stands(own)
    follower.read()
    answer = follower.acknowledge(log, seq)
    assert (answer.status_code, answer.content) == (204, b"")
    lease = (await on_record(own))["orders-1"]
    assert (lease.log, lease.seq) == (log, seq)
    assert abs(lease.acknowledged_at - time.time()) < 3
    for late in (0, seq - 1, seq):
        assert follower.acknowledge(log, late).status_code == 204
    assert (await on_record(own))["orders-1"].seq == seq


def test_what_is_not_in_the_log_cannot_be_acknowledged(own: Served) -> None:
    """Beyond its head, or of another one."""
    follower, (log, seq) = Follower(own, own.known.api), stands(own)
    follower.read()
    for bad in ((log, seq + 1), ("another", 0), ("another", seq)):
        answer = follower.acknowledge(*bad)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_another_api_cannot_acknowledge_for_this_one(own: Served) -> None:
    """Not even by the very id: it speaks of its own processes."""
    take_back(own)
    follower, (log, seq) = Follower(own, own.known.api), stands(own)
    follower.read()
    thief = Follower(own, own.known.other_api, id=follower.id)
    assert thief.acknowledge(log, seq).status_code == 204
    assert [lease.seq for lease in (await on_record(own)).values()] == [0]


# fmt: off
BODIES: dict[str, object] = {
    "nothing":            {},
    "no verifier":        {"log": "l", "seq": 1},
    "no log":             {"verifier": "v" * 22, "seq": 1},
    "no seq":             {"verifier": "v" * 22, "log": "l"},
    "one too many":       {"verifier": "v" * 22, "log": "l", "seq": 1, "x": 1},
    "a short id":         {"verifier": "v" * 21, "log": "l", "seq": 1},
    "an id and a line":   {"verifier": "v" * 22 + "\n", "log": "l", "seq": 1},
    "an empty log":       {"verifier": "v" * 22, "log": "", "seq": 0},
    "a log and a line":   {"verifier": "v" * 22, "log": "l\n", "seq": 0},
    "a long log":         {"verifier": "v" * 22, "log": "l" * 65, "seq": 0},
    "below nothing":      {"verifier": "v" * 22, "log": "l", "seq": -1},
    "a fraction":         {"verifier": "v" * 22, "log": "l", "seq": 1.5},
    "a text":             {"verifier": "v" * 22, "log": "l", "seq": "1"},
    "a truth":            {"verifier": "v" * 22, "log": "l", "seq": True},
    "beyond all numbers": {"verifier": "v" * 22, "log": "l", "seq": 2**64},
    "a list":             [],
}
# fmt: on


@pytest.mark.parametrize("case", BODIES)
def test_a_malformed_acknowledgement_is_refused(own: Served, case: str) -> None:
    """Each member once, of its type, and no other."""
    answer = own.http.post("/revocations/ack", json=BODIES[case], auth=own.known.api)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_only_apis_acknowledge(own: Served, behind_proxies: Served) -> None:
    """Even where everybody may read; by POST, in JSON, and with nothing in the URL."""
    body = {"verifier": "v" * 22, "log": "l", "seq": 0}
    for server in (own, behind_proxies):
        for wrong in (None, server.known.machine, (server.known.api[0], "wws_x")):
            answer = server.http.post("/revocations/ack", json=body, auth=wrong)
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
            assert answer.headers["www-authenticate"].startswith("Basic ")
    assert own.http.get("/revocations/ack", auth=own.known.api).status_code == 405
    assert own.http.post("/revocations/ack", data=body, auth=own.known.api).status_code == 415
    assert own.http.post("/revocations/ack?x=1", json=body, auth=own.known.api).status_code == 400


# What who revokes gets to hear.


def numbers(answer: httpx2.Response) -> dict[str, object]:
    """What is said of verifiers."""
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, object] = answer.json()["revocation"]["verifiers"]
    return found


def test_a_client_hears_when_its_token_is_dead_everywhere(own: Served) -> None:
    """It asks for that, and does not wait any longer than it takes."""
    with ExitStack() as stack:
        for n in range(3):
            stack.enter_context(Follower(own, own.known.api, f"orders-{n}").at_work())
        start = time.monotonic()
        answer = take_back(own, "wait=10")
        took = time.monotonic() - start
    assert numbers(answer) == {"known": 3, "acknowledged": 3, "silent": []}
    assert answer.headers["preference-applied"] == "wait=10"
    assert answer.json()["revocation"]["seq"] == stands(own)[1]
    assert 0 <= answer.json()["revocation"]["after_ms"] <= took * 1000 < 5000


def test_a_client_hears_of_silence_without_names(own: Served) -> None:
    """How many, and by when they refuse; never who they are."""
    silent = Follower(own, own.known.api, "silent-7", refuse_after=20)
    silent.read()
    with Follower(own, own.known.api, "knows").at_work():
        before = time.time()
        answer = take_back(own, "wait=1")
        after = time.time()
    said = numbers(answer)
    assert (said["known"], said["acknowledged"]) == (2, 1)
    ((only,),) = [[member.pop("dead_by") for member in said["silent"]]]  # type: ignore[attr-defined]  # a list
    assert said["silent"] == [{}]
    assert before <= only <= after + 20 + LEEWAY + 1
    assert answer.json()["revocation"]["after_ms"] >= 1000
    assert "silent-7" not in answer.text


def by_bearer(server: Served) -> tuple[dict[str, str], str]:
    token = server.sign_in().json()["access_token"]
    return bearer(token), token


def by_cookie(server: Served) -> tuple[dict[str, str], str]:
    answer = server.sign_in({"origin": ORIGIN}, transport="cookie")
    cookies = dict(pair.split(";")[0].split("=", 1) for pair in answer.headers.get_list("set-cookie"))
    server.http.cookies.clear()
    name = next(name for name in cookies if "access" in name)
    return {"cookie": f"{name}={cookies[name]}", "origin": ORIGIN}, cookies[name]


@pytest.mark.parametrize("way", [by_bearer, by_cookie])
def test_who_signs_out_may_hear_it_too(own: Served, way: Callable[[Served], tuple[dict[str, str], str]]) -> None:
    """By header or cookie, which still goes."""
    headers, token = way(own)
    with Follower(own, own.known.api).at_work():
        answer = own.http.delete("/session", headers={**headers, "Prefer": "wait=10"})
    assert numbers(answer) == {"known": 1, "acknowledged": 1, "silent": []}
    assert bool(answer.headers.get_list("set-cookie")) == (way is by_cookie)
    assert own.http.get("/session", headers=bearer(token)).status_code == 401


def test_who_does_not_ask_gets_the_answer_of_ever(own: Served) -> None:
    """At once, whoever is silent."""
    Follower(own, own.known.api).read()
    start = time.monotonic()
    taken, out = take_back(own), own.http.delete("/session", headers=by_bearer(own)[0])
    assert (taken.status_code, taken.content) == (200, b"")
    assert (out.status_code, out.content) == (204, b"")
    assert "preference-applied" not in taken.headers
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("wait", ["wait=", "wait=-1", "wait=1.5", "wait=x", 'wait="1"', "respond-async", "waits=1"])
def test_a_preference_that_is_none_is_ignored(own: Served, wait: str) -> None:
    """RFC 7240 §2."""
    assert take_back(own, wait).content == b""


@pytest.mark.parametrize("wait", ["wait=0", "respond-async, Wait = 0 ; x=1", "return=minimal,wait=0,wait=9"])
def test_who_will_not_wait_hears_how_things_stand(own: Served, wait: str) -> None:
    """The first of several counts."""
    Follower(own, own.known.api).read()
    start = time.monotonic()
    assert numbers(take_back(own, wait))["acknowledged"] == 0
    assert time.monotonic() - start < 5


def test_nobody_waits_for_ever(own: Served) -> None:
    """The longest wait is ours to say; and where nobody is known, it is over at once."""
    start = time.monotonic()
    answer = take_back(own, "wait=999999999")
    assert answer.headers["preference-applied"] == f"wait={LONGEST:.0f}"
    assert numbers(answer) == {"known": 0, "acknowledged": 0, "silent": []}
    assert time.monotonic() - start < 5


def test_where_nothing_was_revoked_nothing_is_waited_for(own: Served) -> None:
    """An unknown token, one of another client, one that is dead: all alike (RFC 7009 §2.2)."""
    Follower(own, own.known.api).read()
    token = own.token().json()["access_token"]
    assert numbers(take_back(own, "wait=0", token))
    others = own.sign_in().json()["access_token"]
    for nothing in (token, others, "unknown", "a.b.c"):
        answer = take_back(own, "wait=10", nothing)
        assert (answer.status_code, answer.json()) == (200, {"revocation": None})


def revocation(server: Served, token: str, wait: str) -> bytes:
    """The same by hand."""
    body = f"token={token}"
    lines = ["POST /revoke HTTP/1.1", "Host: x", f"Authorization: {basic(server.known.machine)}", f"Prefer: {wait}"]
    lines += [f"Content-Type: {FORM['content-type']}", f"Content-Length: {len(body)}", "", body]
    return "\r\n".join(lines).encode()


def test_too_many_who_wait_do_not_wait(own: Served) -> None:
    """They hear how things stand; the others are not disturbed."""
    Follower(own, own.known.api).read()
    tokens = [own.token().json()["access_token"] for _ in range(MOST_WAITING + 4)]
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(own)) for _ in tokens]
        for wire, token in zip(wires, tokens, strict=True):
            wire.send(revocation(own, token, "wait=3"))
        answers = [wire.answer() for wire in wires]
    applied = sorted(answer.one("preference-applied") or "" for answer in answers)
    assert applied == ["wait=0"] * 4 + ["wait=3"] * MOST_WAITING
    assert {answer.json["revocation"]["verifiers"]["known"] for answer in answers} == {1}


def test_the_register_is_named_in_the_metadata(own: Served) -> None:
    """So that nobody guesses the address."""
    said = own.http.get("/.well-known/oauth-authorization-server").json()
    assert said["watchword_revocations_ack_endpoint"] == f"{own.issuer}/revocations/ack"
