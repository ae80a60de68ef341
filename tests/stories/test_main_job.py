"""The main job, end to end, with real processes: sign in, call the API, take something back, be refused.

Each round signs in anew, calls the API every 5 ms, causes one event, and measures from its answer to the first
refusal. Beside it a bystander's token must go on working. `WATCHWORD_TEST_ROUNDS=100` prints the figures of the
promise; the common loop takes a few rounds.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from tests.stories.prober import Prober
from tests.stories.processes import Client, Site, User

ROUNDS = int(os.environ.get("WATCHWORD_TEST_ROUNDS", "3"))
PROMISE = 1.0
"""Seconds from the answer of a revocation to the first refusal."""
STILL = 10
"""Calls after the first refusal that must all be refused."""


@dataclass
class Victim:
    """Whose token dies: signed in just now, by a user and a client of the round's own."""

    user: User
    client: Client
    access: str
    refresh: str
    sid: str


@dataclass
class Cast:
    """Who takes part: two users, two first-party clients."""

    victim: User
    bystander: User
    app: Client
    other: Client


@pytest.fixture(scope="module")
def cast(site: Site) -> Cast:
    """Made by the command line, beside the running issuer."""
    public = {"first_party": True, "public": True}
    return Cast(site.new_user(), site.new_user(), site.new_client("App", **public), site.new_client("Other", **public))


def sign_out(site: Site, victim: Victim) -> None:
    site.sign_out(victim.access)


def revoke_token(site: Site, victim: Victim) -> None:
    site.revoke(victim.client, victim.access)


def revoke_session(site: Site, victim: Victim) -> None:
    site.cli("revoke", "session", victim.sid)


def disable_user(site: Site, victim: Victim) -> None:
    site.cli("user", "disable", victim.user.email)


def disable_client(site: Site, victim: Victim) -> None:
    site.cli("client", "disable", victim.client.client_id)


def replay_refresh(site: Site, victim: Victim) -> None:
    """The refresh token was used, its successor too; now a thief shows the first one."""
    answer = site.refresh(victim.client, victim.refresh)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def prepare_replay(site: Site, victim: Victim) -> None:
    first = site.refresh(victim.client, victim.refresh).json()
    second = site.refresh(victim.client, first["refresh_token"])
    assert second.status_code == 200
    victim.access = second.json()["access_token"]


def enable_user(site: Site, victim: Victim) -> None:
    site.cli("user", "enable", victim.user.email)


def enable_client(site: Site, victim: Victim) -> None:
    site.cli("client", "enable", victim.client.client_id)


ACK = "/revocations/ack"


def nothing(site: Site, victim: Victim) -> None:
    """No preparation, no repair."""


Act = Callable[[Site, Victim], None]

# fmt: off
EVENTS: Mapping[str, tuple[Act, Act, Act]] = {
    #                       before          the event        after
    "sign out":            (nothing,        sign_out,        nothing),
    "revoke the token":    (nothing,        revoke_token,    nothing),
    "revoke the session":  (nothing,        revoke_session,  nothing),
    "disable the user":    (nothing,        disable_user,    enable_user),
    "disable the client":  (nothing,        disable_client,  enable_client),
    "replay a refresh":    (prepare_replay, replay_refresh,  nothing),
}
# fmt: on


def test_signing_in_gives_a_token_that_the_api_takes(site: Site, cast: Cast) -> None:
    """Session, token, API: 200; and the session knows who it is."""
    found = site.sign_in(cast.victim, cast.app)
    assert site.call(found["access_token"]) == 200
    session = site.http.get(f"{site.issuer}/session", headers={"Authorization": f"Bearer {found['access_token']}"})
    assert session.json()["email"] == cast.victim.email


@pytest.mark.timeout(60 + 60 * ROUNDS)
@pytest.mark.parametrize("event", EVENTS)
def test_what_is_taken_back_is_refused_within_a_second(
    site: Site, cast: Cast, event: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the answer the API refuses within the promise and keeps refusing; other tokens still work.

    The issuer meanwhile counts not one request per API call: verification is local.
    """
    delays, calls, asked, acknowledged = [], 0, 0, 0
    for _ in range(ROUNDS):
        victim = _sign_in(site, cast.victim, cast.app)
        bystander = site.sign_in(cast.bystander, cast.other)["access_token"]
        before, act, after = EVENTS[event]
        before(site, victim)
        earlier = site.count()
        delay, made = _measure(site, victim, act)
        since = site.count() - earlier
        acknowledged += since.pop(ACK, 0)
        asked += since.total()
        assert site.call(bystander) == 200, f"{event} hit a bystander"
        after(site, victim)
        delays.append(delay)
        calls += made
    assert max(delays) <= PROMISE
    # Each event is one request at most, and a verifier renews its anchor once a minute or so.
    assert asked <= 2 * ROUNDS < calls
    # What was applied is acknowledged: the event, and what a round does and undoes around it.
    assert acknowledged <= 3 * ROUNDS
    with capsys.disabled():
        print(f"\n  {event:<20} {_figures(delays)}; {calls} API calls, {asked} requests at the issuer")


def test_a_user_who_was_disabled_and_enabled_signs_in_again(site: Site, cast: Cast) -> None:
    """What died stays dead, what is new lives: nothing but the order in the log decides."""
    old = _sign_in(site, cast.victim, cast.app)
    disable_user(site, old)
    refused = site.http.post(
        f"{site.issuer}/session",
        json={"client_id": cast.app.client_id, "email": cast.victim.email, "password": cast.victim.password},
    )
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    enable_user(site, old)
    new = _sign_in(site, cast.victim, cast.app)
    assert (site.call(old.access), site.call(new.access)) == (401, 200)
    assert site.refresh(cast.app, old.refresh).json()["error"] == "invalid_grant"


def _sign_in(site: Site, user: User, client: Client) -> Victim:
    found = site.sign_in(user, client)
    return Victim(user, client, found["access_token"], found["refresh_token"], found["session_id"])


def _measure(site: Site, victim: Victim, act: Act) -> tuple[float, int]:
    """Seconds from the event's answer to the first refusal (0 when it came before), and the calls made."""
    with Prober(f"{site.api_url}/orders", victim.access) as prober:
        prober.wait_for(200, times=3)
        assert {status for _, status in prober.answers} == {200}
        act(site, victim)
        answered = time.monotonic()
        prober.wait_for(401, seconds=PROMISE + 4, times=STILL)
        first = next(at for at, status in prober.answers if status == 401)
    assert set(prober.after(first)) == {401}, "a dead token lived again"
    return max(0.0, first - answered), len(prober.answers)


def _figures(delays: list[float]) -> str:
    ms = sorted(delay * 1000 for delay in delays)
    p99 = statistics.quantiles(ms, n=100)[98] if len(ms) > 1 else ms[0]
    return f"{len(ms)} rounds: p50 {statistics.median(ms):.1f} ms, p99 {min(p99, ms[-1]):.1f} ms, max {ms[-1]:.1f} ms"
