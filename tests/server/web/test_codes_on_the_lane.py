"""A code, and a refresh, over the express lane: the same answers as the door's, and none that the door must give."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from tests.server.web.asking import BACK, ORIGIN, VERIFIER, Site
from tests.server.web.wire import Answer, Wire, post
from watchword_server.web.express import MAX_BODY

BY_THE_DOOR = {"padding": "x" * (MAX_BODY + 1)}
"""A parameter that nobody knows, in a form that is too long for the lane."""
READER = "access-control-allow-origin"


def form(site: Site, **more: str) -> dict[str, str]:
    """What redeems a new code."""
    own = {"grant_type": "authorization_code", "code": site.code(), "redirect_uri": BACK, "code_verifier": VERIFIER}
    return {**own, **more}


def ask(site: Site, fields: dict[str, str], *headers: str, secret: str | None = None) -> Answer:
    """In one write, as the client that the codes are for."""
    app = site.apps["web"]
    with Wire(site.served) as wire:
        return wire.ask(post((app.client_id, secret or app.secret or ""), *headers, body=urlencode(fields).encode()))


def shape(answer: Answer) -> tuple[object, ...]:
    """All that two answers of a kind have in common."""
    own = {"date", "x-request-id", "content-length"}
    headers = {name: "" if name in own else value for name, value in answer.headers}
    return answer.status, headers, {name: len(str(value)) for name, value in answer.json.items()}


def test_a_code_takes_the_lane_and_its_answer_looks_the_same(site: Site) -> None:
    """Wherever `grant_type` stands in the form."""
    door = ask(site, form(site, **BY_THE_DOOR))
    turned = dict(reversed(form(site).items()))
    lane = [ask(site, fields) for fields in (form(site), turned)]
    assert (door.express, [answer.express for answer in lane]) == (False, [True, True])
    assert {"access_token", "id_token", "refresh_token"} <= door.json.keys()
    assert all(shape(answer) == shape(door) for answer in lane)


def test_a_code_is_redeemed_once_on_the_lane_and_who_comes_again_ends_it(site: Site) -> None:
    """RFC 6749 §4.1.2, as at the door."""
    fields = form(site)
    first, second = ask(site, fields), ask(site, fields)
    assert (first.express, second.express) == (True, True)
    assert (second.status, second.json["error"]) == (400, "invalid_grant")
    assert site.userinfo(first.token).status_code == 401


@pytest.mark.parametrize(
    "more", [{"code": "wwc_guessed"}, {"code_verifier": "x" * 43}, {"redirect_uri": ORIGIN}], ids=str
)
def test_what_the_door_refuses_the_lane_refuses_alike(site: Site, more: dict[str, str]) -> None:
    """The same word, the same headers."""
    door, lane = ask(site, form(site, **more, **BY_THE_DOOR)), ask(site, form(site, **more))
    assert (door.express, lane.express) == (False, True)
    assert (lane.status, lane.json) == (door.status, door.json)
    assert (lane.status, lane.json["error"]) == (400, "invalid_grant")
    assert shape(lane) == shape(door)


def test_a_client_that_cannot_show_its_secret_redeems_nothing_on_the_lane(site: Site) -> None:
    """And the code stays good for who can."""
    fields = form(site)
    refused = ask(site, fields, secret="wrong")
    assert (refused.express, refused.status, refused.json["error"]) == (True, 401, "invalid_client")
    assert refused.one("www-authenticate")
    assert ask(site, fields).status == 200


@pytest.mark.parametrize("grant", ["authorization_code", "refresh_token"])
def test_a_page_of_another_origin_is_answered_at_the_door(site: Site, grant: str) -> None:
    """Only there it is told whether it may read the answer."""
    fields = form(site) if grant == "authorization_code" else {"grant_type": grant, "refresh_token": "wwr_guessed"}
    answer = ask(site, fields, f"Origin: {ORIGIN}")
    assert not answer.express
    assert answer.one(READER) == ORIGIN
