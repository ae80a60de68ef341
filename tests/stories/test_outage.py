"""The issuer is gone, or hangs: the API decides alone as long as it may, then says that it cannot, and recovers.

The API runs with `stale_after` 1 s and `refuse_after` 4 s, so that nobody waits a minute; the design's values, and
the SDK's, are 10 s and 60 s: `WATCHWORD_TEST_OUTAGE="10 60"` runs with them.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.stories.processes import Client, Site, User, deployment, until
from tests.stories.watch import Call, Watch, slowest, spans

STALE_AFTER, REFUSE_AFTER = map(float, os.environ.get("WATCHWORD_TEST_OUTAGE", "1 4").split())
"""Seconds."""
DRIFT = 0.002
"""What a verifier adds to an age per second since it last asked, for the drift of clocks; twice of it, both ends."""
BACK = 8.0
"""Seconds until the API serves again: its longest pause between two tries is 5, then it asks, and opens its stream."""
DELAY = 1.2
"""Seconds that an issuer which hangs may cost one call: it is asked for one second, and then nobody asks again soon."""
CROWD = 4
"""Callers with tokens of their own."""
UNSURE = "temporarily_unavailable: it cannot be told now whether the token was revoked; try again"

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240 + 3 * REFUSE_AFTER)]


@dataclass(frozen=True)
class Scene:
    """Who calls the API, all the time: one with a good token, one with a dead one, a crowd; and who asks how it is."""

    good: Watch
    dead: Watch
    crowd: Sequence[Watch]
    fresh: Watch
    """`/readyz` of the demo API: 200 as long as its verifier is fresh."""

    def everybody(self, since: float, until: float = float("inf")) -> Sequence[Call]:
        """All calls with a token."""
        return [call for watch in (self.good, self.dead, *self.crowd) for call in watch.between(since, until)]


@dataclass(frozen=True)
class Outage:
    """One outage as it was seen from outside. Times are `time.monotonic`."""

    began: float
    stale: Call
    """The first answer that the verifier is no longer fresh."""
    refused: Call
    """The first 503 for a good token."""
    ended: float
    served: Call
    """The first 200 for a good token after the end."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An API that gets impatient soon."""
    folder, stale, refuse = tmp_path_factory.mktemp("outage"), f"{STALE_AFTER:g}", f"{REFUSE_AFTER:g}"
    with deployment(folder, ORDERS_STALE_AFTER=stale, ORDERS_REFUSE_AFTER=refuse) as found:
        yield found


@pytest.fixture(scope="module")
def user(site: Site) -> User:
    """A person."""
    return site.new_user()


@pytest.fixture(scope="module")
def app(site: Site) -> Client:
    """A page of our own."""
    return site.new_client("App", first_party=True, public=True)


@pytest.fixture
def scene(site: Site, user: User, app: Client) -> Iterator[Scene]:
    """Callers at work, and a token that was revoked just now."""
    good, dead, *crowd = (site.sign_in(user, app)["access_token"] for _ in range(2 + CROWD))
    until(lambda: site.http.get(f"{site.api_url}/readyz").status_code == 200, within=BACK)
    site.sign_out(dead)
    until(lambda: site.call(dead) == 401, within=1)
    with ExitStack() as stack:

        def watch(token: str = "", path: str = "/orders") -> Watch:
            return stack.enter_context(Watch(f"{site.api_url}{path}", token))

        found = Scene(watch(good), watch(dead), [watch(token) for token in crowd], watch(path="/readyz"))
        for each in (found.good, found.fresh, *found.crowd):
            each.wait_for(200, within=5)
        until(lambda: len(found.good.calls) > 50)  # enough to know how long a call usually takes
        yield found


def test_a_dead_issuer(site: Site, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """Killed: good tokens are served until `refuse_after`, then 503, while dead ones stay 401; it heals by itself."""
    outage = _suffer(site, scene, site.kill, site.restart)
    _must_be_honest(scene, outage)
    with capsys.disabled():
        print(f"\n  the issuer was killed; {_told(scene, outage)}")


def test_an_issuer_that_hangs(site: Site, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """Frozen: connections stand and nobody answers. The same, and no call waits for it longer than a moment."""
    assert site.server is not None
    pid, before = site.server.pid, scene.everybody(0.0)
    try:
        outage = _suffer(site, scene, lambda: os.kill(pid, signal.SIGSTOP), lambda: os.kill(pid, signal.SIGCONT))
    finally:
        os.kill(pid, signal.SIGCONT)
    _must_be_honest(scene, outage)
    assert slowest(scene.everybody(outage.began)) <= DELAY + slowest(before)
    with capsys.disabled():
        print(f"\n  the issuer was frozen; {_told(scene, outage)}")


def test_what_the_issuer_took_back_in_the_outage_is_dead_afterwards(site: Site, scene: Scene, user: User) -> None:
    """Revoked while the API could not hear: served until it is blind, and never again once it has heard."""
    assert site.orders is not None
    site.stop_issuer()
    site.cli("revoke", "user", user.email)  # the command line works on the data folder, whoever serves
    refused = scene.good.wait_for(503, within=REFUSE_AFTER + 2)
    site.start()
    heard = scene.good.wait_for(401, within=BACK)
    assert scene.good.statuses(refused.sent, heard.sent) == {503}, "a dead token was served after the API was blind"
    until(lambda: len(scene.good.between(heard.sent)) > 20)
    assert scene.good.statuses(heard.sent) == {401}


def _suffer(site: Site, scene: Scene, begin: Callable[[], object], end: Callable[[], object]) -> Outage:
    """Have an outage that lasts until good tokens are refused, and a little longer."""
    said = _blindness(site)
    began = time.monotonic()
    begin()
    stale = scene.fresh.wait_for(503, within=STALE_AFTER + 2, since=began)
    refused = scene.good.wait_for(503, within=REFUSE_AFTER + 2, since=began)
    for watch in (scene.good, *scene.crowd):
        watch.wait_for(503, within=DELAY + 2, since=began)
    until(lambda: len(scene.good.between(refused.sent)) > 20)
    until(lambda: _blindness(site) > said)
    end()
    ended = time.monotonic()
    served = scene.good.wait_for(200, within=BACK, since=ended)
    scene.fresh.wait_for(200, within=BACK, since=ended)
    until(lambda: len(scene.good.between(served.sent)) > 20)
    return Outage(began, stale, refused, ended, served)


def _blindness(site: Site) -> int:
    """How often the API's own log said that it cannot decide any more."""
    assert site.orders is not None
    return sum("blind, was stale" in line for line in site.orders.lines)


def _must_be_honest(scene: Scene, outage: Outage) -> None:
    """Everything that the design promises of an outage, call by call."""
    for watch in (scene.good, *scene.crowd):
        first = watch.wait_for(503, within=1, since=outage.began)
        back = watch.wait_for(200, within=1, since=first.sent)
        assert watch.statuses(0.0, first.sent) == {200}, "a good token was refused too early"
        assert watch.statuses(first.sent, back.sent) == {503}, "past refuse_after a good token has one answer only"
        assert watch.statuses(back.sent) == {200}
        for call in watch.between(first.sent, back.sent):
            assert call.error == UNSURE
            assert int(call.headers["retry-after"]) > 0
            assert "www-authenticate" not in call.headers, "that would make clients throw the token away"
    assert scene.dead.statuses(0.0) == {401}, "a dead token is dead, whatever the API knows"
    _must_be_in_time(scene, outage)


def _must_be_in_time(scene: Scene, outage: Outage) -> None:
    """Neither earlier nor later than `refuse_after`, counted from the last news, whenever that was.

    The verifier turned stale at that moment plus `stale_after`, so the 503 begins the difference later. Every
    comparison is between what was certainly before and what was certainly after, so a slow machine changes nothing.
    """
    difference, slack = REFUSE_AFTER - STALE_AFTER, DRIFT * REFUSE_AFTER
    last_fresh = scene.fresh.between(0.0, outage.stale.sent)[-1]
    last_good = scene.good.between(0.0, outage.refused.sent)[-1]
    assert outage.refused.received - last_fresh.sent >= difference - slack, "too early"
    assert last_good.sent - outage.stale.received <= difference + slack, "too late"
    # The last news is no younger than the outage.
    assert last_good.sent - outage.began <= REFUSE_AFTER + slack


def _told(scene: Scene, outage: Outage) -> str:
    news, began, refused = outage.stale.received - STALE_AFTER, outage.began, outage.refused.sent
    return "\n".join(
        (
            f"stale_after {STALE_AFTER:g} s, refuse_after {REFUSE_AFTER:g} s:",
            f"    503 began {refused - news:.2f} s after the last news, {refused - began:.2f} s after the outage began",
            f"    served again {max(0.0, outage.served.sent - outage.ended):.2f} s after the issuer was back",
            f"    calls before the outage: {spans(scene.everybody(0.0, began))}",
            f"    calls in it, until 503:  {spans(scene.everybody(began, refused))}",
            f"    calls from 503 on:       {spans(scene.everybody(refused, outage.ended))}",
        )
    )
