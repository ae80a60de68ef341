"""The feed over HTTP: who may read it, what is asked, what comes."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx2
import pytest

from tests.server.web.served import Served, basic, bearer
from watchword import log
from watchword.jose.jwk import key_set
from watchword.log import Delta, Heartbeat, Message, Snapshot

NONCE = "0123456789abcdef"


def opened(server: Served, text: str | bytes) -> Message:
    """A feed message, verified with the feed's own keys."""
    keys = key_set(server.http.get("/revocations/jwks.json").json())
    raw = text.encode() if isinstance(text, str) else text
    return log.unseal(raw, keys, server.issuer)


def ask(server: Served, **query: object) -> httpx2.Response:
    """`GET /revocations` with the API's credentials."""
    return server.http.get("/revocations", params=query, auth=server.known.api)


def revoked(server: Served) -> int:
    """Revoke one token; the position of the log after it."""
    token = server.token().json()["access_token"]
    server.http.post("/revoke", data={"token": token}, auth=server.known.machine)
    message = opened(server, ask(server).text)
    return message.seq


def test_a_snapshot_is_signed_by_the_feed_key_and_carries_the_nonce(server: Served) -> None:
    """The answer is younger than the question."""
    seq = revoked(server)
    answer = ask(server, nonce=NONCE)
    assert answer.headers["content-type"] == "application/jwt"
    assert answer.headers["cache-control"] == "no-store"
    message = opened(server, answer.text)
    assert isinstance(message, Snapshot)
    assert (message.seq, message.nonce) == (seq, NONCE)
    assert abs(message.time / 1000 - time.time()) < 5


def test_who_takes_pages_gets_them_and_their_end_in_lines(server: Served) -> None:
    """The pages without a nonce, the delta at the end with it; who does not say so gets one message as ever."""
    seq = revoked(server)
    query, accept = {"nonce": NONCE}, {"Accept": f"{log.LINES}, application/jwt"}
    answer = server.http.get("/revocations", params=query, auth=server.known.api, headers=accept)
    assert answer.headers["content-type"] == log.LINES
    assert answer.headers["cache-control"] == "no-store"
    assert answer.content.endswith(b"\n")
    page, end = (opened(server, line) for line in answer.content.splitlines())
    assert isinstance(page, Snapshot)
    assert isinstance(end, Delta)
    assert (page.after, page.seq, page.nonce) == (0, seq, "")
    assert (end.after, end.prev, end.nonce) == (seq, page.head, NONCE)
    known = {"after": seq, "log": page.log, **query}
    near = server.http.get("/revocations", params=known, auth=server.known.api, headers=accept)
    (delta,) = (opened(server, line) for line in near.content.splitlines())
    assert isinstance(delta, Delta)
    for other in ("*/*", "application/jwt", log.LINES.replace("watchword", "somebody")):
        plain = server.http.get("/revocations", params=query, auth=server.known.api, headers={"Accept": other})
        assert plain.headers["content-type"] == "application/jwt"
    assert server.http.get("/revocations", headers=accept).status_code == 401


def test_a_delta_joins_what_is_known(server: Served) -> None:
    """From a position that the reader names; with nothing new it is empty; of another log it is a snapshot."""
    before = opened(server, ask(server).text)
    seq = revoked(server)
    delta = opened(server, ask(server, after=before.seq, log=before.log, nonce=NONCE).text)
    assert isinstance(delta, Delta)
    assert (delta.after, delta.prev, delta.seq, delta.nonce) == (before.seq, before.head, seq, NONCE)
    nothing = opened(server, ask(server, after=seq, log=before.log).text)
    assert isinstance(nothing, Delta)
    assert nothing.entries == ()
    for stranger in ({"after": seq, "log": "another"}, {"after": seq}, {"after": seq + 1000, "log": before.log}):
        assert isinstance(opened(server, ask(server, **stranger).text), Snapshot)


@pytest.mark.parametrize(
    "query",
    [
        "after=-1",
        "after=1.0",
        "after=",
        "after=01",
        "after=x",
        "after=99999999999999999999",
        "after=%EF%BC%91",
        "after=1&after=2",
        "after=1&log=a%0ab",
        "after=1&log=",
        "nonce=short",
        f"nonce={'a' * 65}",
        "nonce=0123456789abcde%21",
        "nonce=0123456789abcdef%0a",
        f"nonce={NONCE}&nonce={NONCE}",
        "access_token=x",
        "unknown=1",
        "&".join("after=1" for _ in range(20)),
    ],
)
def test_a_bad_question_is_refused(server: Served, query: str) -> None:
    """Each parameter once, in its one spelling."""
    answer = server.http.get(f"/revocations?{query}", auth=server.known.api)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("path", ["/revocations", "/revocations/stream"])
def test_a_private_feed_is_for_apis(server: Served, path: str) -> None:
    """No credentials, a client's, a wrong secret, a token: all the same 401, with the challenge."""
    wrong = [
        {},
        {"authorization": basic(server.known.machine)},
        {"authorization": basic((server.known.api[0], "wws_x"))},
    ]
    wrong += [bearer(server.token().json()["access_token"])]
    answers = [server.http.get(path, headers=headers) for headers in wrong]
    assert {(answer.status_code, answer.json()["error"]) for answer in answers} == {(401, "invalid_client")}
    assert {answer.text for answer in answers} == {answers[0].text}
    assert all(answer.headers["www-authenticate"].startswith("Basic ") for answer in answers)


@pytest.mark.parametrize("path", ["/revocations", "/revocations/stream"])
def test_a_public_feed_is_for_everybody_but_who_brings_wrong_credentials(behind_proxies: Served, path: str) -> None:
    """An API whose secret is wrong should hear of it."""
    with behind_proxies.http.stream("GET", path) as answer:
        assert answer.status_code == 200
    assert behind_proxies.http.get(path, auth=("api_x", "wws_x")).status_code == 401


def events(answer: httpx2.Response) -> Iterator[dict[str, str]]:
    """Server-sent events, as they come."""
    event: dict[str, str] = {}
    for line in answer.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            event[name] = value
        elif event:
            yield event
            event = {}


def test_a_stream_starts_with_everything_and_goes_on_with_what_is_new(server: Served) -> None:
    """Snapshot, then a delta within a second of its commit, and heartbeats every two seconds."""
    with server.http.stream("GET", "/revocations/stream", auth=server.known.api) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert (answer.headers["cache-control"], answer.headers["x-accel-buffering"]) == ("no-store", "no")
        coming = events(answer)
        first = next(coming)
        if "event" not in first:  # the hint about reconnecting stands alone
            assert first == {"retry": "1000"}
            first = next(coming)
        snapshot = opened(server, first["data"])
        assert (first["event"], first["id"]) == ("snapshot", str(snapshot.seq))
        start = time.monotonic()
        seq = revoked(server)
        delta = next(event for event in coming if event["event"] == "delta")
        assert time.monotonic() - start < 1
        message = opened(server, delta["data"])
        assert isinstance(message, Delta)
        assert (delta["id"], message.after, message.seq) == (str(seq), snapshot.seq, seq)
        beat = next(event for event in coming if event["event"] == "heartbeat")
        assert isinstance(opened(server, beat["data"]), Heartbeat)
        assert time.monotonic() - start < 5


@pytest.mark.parametrize("way", ["header", "query"])
def test_a_stream_goes_on_where_its_reader_left(server: Served, way: str) -> None:
    """By Last-Event-ID, as browsers do it, or `after`; and with the log that it was of."""
    before = opened(server, ask(server).text)
    seq = revoked(server)
    headers = {"last-event-id": str(before.seq)} if way == "header" else {}
    query = {"log": before.log} | ({} if way == "header" else {"after": str(before.seq)})
    address = {"params": query, "headers": headers, "auth": server.known.api}
    with server.http.stream("GET", "/revocations/stream", **address) as answer:
        first = next(event for event in events(answer) if "event" in event)
    message = opened(server, first["data"])
    assert isinstance(message, Delta)
    assert (message.after, message.seq) == (before.seq, seq)


@pytest.mark.parametrize(
    ("query", "headers"),
    [({"after": "x"}, {}), ({"nonce": NONCE}, {}), ({}, {"last-event-id": "x"}), ({}, {"last-event-id": "-1"})],
)
def test_a_bad_place_to_start_is_refused(server: Served, query: dict[str, str], headers: dict[str, str]) -> None:
    """Before the stream begins."""
    answer = server.http.get("/revocations/stream", params=query, headers=headers, auth=server.known.api)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
