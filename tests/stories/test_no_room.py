"""PostgreSQL has no room: what cannot be written is refused, what can be read is answered, and then it goes on.

Two ways in which it runs out of room. A table cannot grow: each transaction that needs that fails, and the server
lives. Its own log cannot grow: the server ends itself, and comes back only when there is room and somebody starts it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2
import pytest

from tests.servers.loopback import until
from tests.servers.room import limit
from tests.stories.grounds import GROUNDS, Tables
from tests.stories.history import History
from tests.stories.load import Load, claims_of, load
from tests.stories.processes import Client, Site, User, bearer, deployment

LARGEST: Final = 16 * 1024 * 1024
"""Bytes of a segment of PostgreSQL's log: where no file may be larger, the log can still go on, and tables cannot."""
PAGE: Final = 8192
ROWS: Final = 120
"""Of the shortest audit rows there can be, on a page: more fit, by a few."""
NEXT_TO_NOTHING: Final = 64 * 1024
"""Bytes. Wherever the log stands, it cannot go on."""
SOON: Final = 6.0
"""Seconds in which every question is answered, however ill the database is: a batch before ours, and ours."""
BACK: Final = 15.0
"""Seconds until the node goes on by itself."""

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]


@dataclass(frozen=True)
class Scene:
    """A deployment, and somebody's tokens, all of them good but `dead`, which was revoked before."""

    site: Site
    ground: Tables
    app: Client
    machine: Client
    user: User
    access: str
    refresh: str
    other: str
    dead: str


Write = Callable[[Scene], httpx2.Response]
# fmt: off
WRITES: Final[Mapping[str, tuple[Write, int]]] = {
    "get a token": (lambda scene: _post(scene, "/token", scene.machine, grant_type="client_credentials"), 200),
    "sign in": (lambda scene: _sign_in(scene), 200),
    "refresh": (lambda scene: scene.site.refresh(scene.app, scene.refresh), 200),
    "revoke": (lambda scene: _post(scene, "/revoke", scene.app, token=scene.other), 200),
    "sign out": (lambda scene: _sign_out(scene), 204),
}
# fmt: on
"""And how each is answered when there is room."""


@dataclass(frozen=True)
class Shortage:
    """How the room runs out, and comes back.

    `reads`: whether the database answers questions meanwhile. Then the node is ready: who verifies needs its feed.
    """

    begin: Callable[[Tables], None]
    end: Callable[[Tables], None]
    reads: bool


def _fill(ground: Tables) -> None:
    """Short audit rows until the table is as large as any file may become: what others leave free, no row fits in."""
    while (left := LARGEST // PAGE - ground.value("SELECT pg_relation_size('audit')") // PAGE) > 0:
        columns = "at, actor, action, outcome, target, address, agent, request_id, detail"
        rows = f"SELECT 0, '', '', '', '', '', '', '', '' FROM generate_series(1, {left * ROWS})"
        ground.server.execute(f"INSERT INTO audit ({columns}) {rows}", ground.url)
    limit(ground.server.running, LARGEST)


def _widen(ground: Tables) -> None:
    limit(ground.server.running, None)


def _choke(ground: Tables) -> None:
    """Somebody writes all the time, so it ends itself."""
    limit(ground.server.running, NEXT_TO_NOTHING)
    until(lambda: not ground.server.running.alive, within=BACK)


SHORTAGES: Final = {
    "a table": Shortage(_fill, _widen, reads=True),
    "the log": Shortage(_choke, lambda ground: ground.server.restart(), reads=False),
}


@pytest.mark.parametrize("what", SHORTAGES)
def test_without_room_nothing_is_acknowledged_and_with_room_all_goes_on(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """503 for what writes; APIs decide as before; the same requests succeed later, at the same process of the node."""
    shortage = SHORTAGES[what]
    with ExitStack() as stack:
        ground = stack.enter_context(GROUNDS["postgres"].laid(tmp_path))
        assert isinstance(ground, Tables)
        site = stack.enter_context(deployment(tmp_path, settings=ground.settings))
        assert site.server is not None
        scene, history, node = _scene(site, ground), History(site), site.server.pid
        with load(site, scene.app) as others:
            until(lambda: len(others.acknowledged) > 20 and others.refreshes > 20, within=60)
            shortage.begin(ground)
            began = time.monotonic()
            until(lambda: _stands_still(others), within=30)
            acknowledged = others.acknowledged
            _must_refuse(scene)
            _must_know(scene, history, acknowledged, shortage)
            assert others.acknowledged == acknowledged
            lasted = time.monotonic() - began
            shortage.end(ground)
            back = until(lambda: _ready(site) == 200, within=BACK)
            back += until(lambda: _goes_on(others), within=BACK)
            for name, (write, status) in WRITES.items():
                assert write(scene).status_code == status, name
            until(lambda: site.call(scene.other) == 401 and site.call(scene.access) == 401)
        _must_be_whole(scene, history, others)
        assert (site.server.pid, site.server.process.poll()) == (node, None)
    with capsys.disabled():
        print(f"\n  no room for {what} for {lasted:.1f} s, goes on {back:.1f} s after there is")
        print(others.figures())


def _scene(site: Site, ground: Tables) -> Scene:
    app, user = site.new_client("App", first_party=True, public=True), site.new_user()
    one, other, dead = (site.sign_in(user, app) for _ in range(3))
    site.sign_out(dead["access_token"])
    until(lambda: site.call(dead["access_token"]) == 401)
    machine = site.new_client("Program")
    return Scene(
        site,
        ground,
        app,
        machine,
        user,
        one["access_token"],
        one["refresh_token"],
        other["access_token"],
        dead["access_token"],
    )


def _post(scene: Scene, path: str, client: Client, **form: str) -> httpx2.Response:
    public = {"client_id": client.client_id} if client.secret is None else {}
    url = f"{scene.site.issuer}{path}"
    return scene.site.http.post(url, data={**form, **public}, auth=client.auth)


def _sign_in(scene: Scene) -> httpx2.Response:
    body = {"client_id": scene.app.client_id, "email": scene.user.email, "password": scene.user.password}
    return scene.site.http.post(f"{scene.site.issuer}/session", json=body)


def _sign_out(scene: Scene) -> httpx2.Response:
    return scene.site.http.delete(f"{scene.site.issuer}/session", headers=bearer(scene.access))


def _stands_still(others: Load) -> bool:
    """Nobody was acknowledged anything for a second. Their audit rows are the shortest: no other fits either."""
    before = others.refreshes, len(others.acknowledged)
    time.sleep(1)
    return before == (others.refreshes, len(others.acknowledged))


def _goes_on(others: Load) -> bool:
    return not _stands_still(others)


def _must_refuse(scene: Scene) -> None:
    """Whatever writes, three times, and soon; who verifies decides by what was true before."""
    for _ in range(3):
        for name, (write, _good) in WRITES.items():
            began = time.monotonic()
            answer = write(scene)
            assert (answer.status_code, time.monotonic() - began < SOON) == (503, True), f"{name}: {answer.text}"
        assert [scene.site.call(token) for token in (scene.access, scene.other, scene.dead)] == [200, 200, 401]


def _must_know(scene: Scene, history: History, acknowledged: set[str], shortage: Shortage) -> None:
    """What can be read is what was acknowledged, and nothing that was refused; else it is said that nothing can be."""
    site = scene.site
    introspected = _post(scene, "/introspect", site.api, token=scene.access)
    if not shortage.reads:
        assert (introspected.status_code, _ready(site)) == (503, 503)
        return
    assert _ready(site) == 200
    assert introspected.json()["active"] is True
    history.news()
    logged = {(entry.kind, entry.id) for entry in history.whole()}
    assert {("token", jti) for jti in acknowledged} <= logged
    refused = {("token", claims_of(scene.other)["jti"]), ("session", claims_of(scene.access)["sid"])}
    assert not refused & logged


def _ready(site: Site) -> int:
    return site.http.get(f"http://127.0.0.1:{site.port}/readyz").status_code


def _must_be_whole(scene: Scene, history: History, others: Load) -> None:
    """All that was ever acknowledged is in one unbroken chain, and no family has two lines."""
    history.news()
    logged = {(entry.kind, entry.id) for entry in history.whole()}
    others.must_not_have_lost(others.acknowledged, logged, scene.ground)
    others.must_be_lines(scene.site, scene.ground)
    found = scene.site.cli("doctor")
    assert found["ok"], found
