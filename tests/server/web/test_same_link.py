"""A link with a pushed request, followed more than once: by the browser that came with it, and by others."""

from __future__ import annotations

import httpx2
import pytest

from tests.server.request_objects import ASKS
from tests.server.web.served import Served
from tests.server.web.test_pushed import App, app, shown, told, waits
from watchword_server.flows.requests import PUSHED, handle
from watchword_server.protocol.authorization import Asked


@pytest.fixture(scope="module")
def client(server: Served) -> App:
    """A client without a secret."""
    return app(server)


def follow(client: App, cookie: str = "", **query: str) -> httpx2.Response:
    """`GET /authorize` by a browser that has this cookie."""
    return httpx2.get(
        f"http://127.0.0.1:{client.server.port}/authorize",
        params={"client_id": client.client_id, **query},
        headers={"cookie": cookie} if cookie else {},
        trust_env=False,
    )


def cookie_of(answer: httpx2.Response) -> str:
    """The cookies that the browser has from now on."""
    return "; ".join(value.partition(";")[0] for value in answer.headers.get_list("set-cookie"))


def test_the_same_browser_is_where_it_was(client: App) -> None:
    """A page that is loaded again is no second use (RFC 9126 §7.3, FAPI 2.0 §5.3.2.2 note 3)."""
    link = client.push(**ASKS).json()["request_uri"]
    first = follow(client, request_uri=link)
    assert waits(first)
    again = follow(client, cookie_of(first), request_uri=link, prompt="none")
    assert again.headers["location"] == first.headers["location"]


def test_another_browser_is_nowhere(client: App) -> None:
    """With a cookie of its own, or without one: the link is used up."""
    link = client.push(**ASKS).json()["request_uri"]
    assert waits(follow(client, request_uri=link))
    other = follow(client, request_uri=client.push(**ASKS).json()["request_uri"])
    assert shown(follow(client, request_uri=link))
    assert shown(follow(client, cookie_of(other), request_uri=link))


def test_another_client_is_nowhere(client: App, server: Served) -> None:
    """At the same browser."""
    other, link = app(server), client.push(**ASKS).json()["request_uri"]
    first = follow(client, request_uri=link)
    assert shown(follow(other, cookie_of(first), request_uri=link))


def test_who_knows_the_link_does_not_know_where_it_waits(client: App) -> None:
    """Nobody can tell the place from the link: it depends on the browser's secret too."""
    link = client.push(**ASKS).json()["request_uri"]
    assert link.rpartition(":")[2] not in follow(client, request_uri=link).headers["location"]
    places = {handle(Asked({"request_uri": link}), browser) for browser in (b"one", b"another")}
    assert len(places) == 2
    assert None not in places


@pytest.mark.parametrize("asked", [
    Asked({}), Asked({"request_uri": ""}), Asked({"request_uri": "https://app.example/request.jwt"}),
    Asked({"request_uri": PUSHED}), Asked({"request_uri": f"{PUSHED}{'a' * 42}"}),
    Asked({"request_uri": f"{PUSHED}{'é' * 43}"}), Asked({"request_uri": f"{PUSHED}{'a' * 43}"}, frozenset({"state"})),
])  # fmt: skip
def test_other_requests_wait_where_nobody_can_find_them_again(asked: Asked) -> None:
    """Only a link with one of our own names leads back."""
    assert handle(asked, b"browser") is None


def test_a_browser_that_came_with_a_cookie_keeps_it(client: App) -> None:
    """The second request of a browser waits beside the first."""
    first = follow(client, request_uri=client.push(**ASKS).json()["request_uri"])
    link = client.push(**ASKS).json()["request_uri"]
    second = follow(client, cookie_of(first), request_uri=link)
    assert waits(second)
    assert second.headers["location"] != first.headers["location"]
    assert follow(client, cookie_of(first), request_uri=link).headers["location"] == second.headers["location"]


def test_a_request_that_nobody_has_to_answer_is_answered_once(client: App) -> None:
    """Where no page is shown, the first time was the use."""
    link = client.push(**ASKS, prompt="none").json()["request_uri"]
    first = follow(client, request_uri=link)
    assert told(first)["error"] == "login_required"
    assert shown(follow(client, cookie_of(first), request_uri=link))
