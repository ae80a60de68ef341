"""`kill -9` of the issuer between a revocation's arrival and its answer: what was answered is dead, nothing is half.

Each round sends one revocation, kills the issuer at a moment of its own, and starts it again on the same database,
while the API beside it never stops. Moments are aimed in three ways: anywhere between the request and one and a half
times the usual answer, anywhere around the interval from the first write to the answer, and at the very answer. On
SQLite nothing else is going on, so that the aim is good; on PostgreSQL others refresh and revoke all the time, and
each kill meets some of them in the midst. `WATCHWORD_TEST_KILLS` says how many rounds.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL

import pytest

from tests.servers.loopback import until
from tests.stories import raw
from tests.stories.grounds import GROUNDS, Ground
from tests.stories.history import History
from tests.stories.load import Load, claims_of, load
from tests.stories.processes import Client, Site, User, deployment
from tests.stories.raw import Line

USUALLY = {"sqlite": 50, "postgres": 10}
KILLS = {kind: int(os.environ.get("WATCHWORD_TEST_KILLS", usual)) for kind, usual in USUALLY.items()}
SETTINGS = """
tokens.access_lifetime = 86400
smtp = { host = "127.0.0.1", port = 1, from = "us@example.com", tls = "none" }
"""
"""Access tokens outlive all rounds: what dies here dies by the log. Messages stay in the outbox: nobody takes them."""
BEYOND = 1.5
"""How far past the usual answer the moments spread."""
UNTIL_HEARD = 7.0
"""Seconds after the restart until the API knows: its longest pause between two tries is 5, and then it has to ask."""
HANGS = 20.0
"""Seconds after which a request that was not killed should have been answered."""


@dataclass(frozen=True)
class Victim:
    """A sign-in of this round, with what one of its tokens says about itself."""

    access: str
    refresh: str
    spent: str
    sid: str
    gid: str
    jti: str


@dataclass(frozen=True)
class Event:
    """A revocation as it is sent, and all that must have become true of it, or nothing."""

    request: Callable[[Site, Client, Victim], bytes]
    status: int
    entries: tuple[str, ...]
    """Fields of the victim that the log names, in order."""
    ends: frozenset[str]
    """Which of session and grant have ended in their tables."""
    action: str
    messages: int = 0


# fmt: off
EVENTS: Mapping[str, Event] = {
    "sign out": Event(
        lambda site, app, victim: raw.sign_out(site, victim.access),
        204, ("sid",), frozenset(("session", "grant")), "session.end"),
    "revoke an access token": Event(
        lambda site, app, victim: raw.revoke(site, app, victim.access),
        200, ("jti",), frozenset(), "token.revoke"),
    "revoke a refresh token": Event(
        lambda site, app, victim: raw.revoke(site, app, victim.refresh),
        200, ("gid",), frozenset(("grant",)), "token.revoke"),
    "replay a spent refresh token": Event(
        lambda site, app, victim: raw.refresh(site, app, victim.spent),
        400, ("gid", "sid"), frozenset(("session", "grant")), "token.reuse", messages=1),
}
# fmt: on
AIMS = ("answered", "sent", "written", "sent")
"""In this order: most moments lie anywhere between the request and what comes after the answer."""
KINDS = {"sid": "session", "gid": "grant", "jti": "token"}


@dataclass(frozen=True)
class Shot:
    """When to kill: `aim` is sent, written or answered; `part` is how far through that interval."""

    event: str
    aim: str
    part: float


@dataclass
class Usual:
    """How long one kind of request takes, from what was seen of it in this run; seconds."""

    answers: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)

    def delay(self, shot: Shot) -> float:
        """How long after the aim's own moment to wait."""
        seen = {"sent": self.answers, "written": self.gaps, "answered": [0.0]}[shot.aim]
        return shot.part * BEYOND * statistics.median(seen)


@dataclass
class Tally:
    """What became of the rounds."""

    fates: Counter[tuple[str, str]] = field(default_factory=Counter)
    starts: list[float] = field(default_factory=list)
    heard: list[float] = field(default_factory=list)

    def count(self, fate: str) -> int:
        return sum(number for (_, each), number in self.fates.items() if each == fate)


@dataclass
class Scene:
    """One deployment on its database, with what is known of its log so far, and who else is at work."""

    site: Site
    ground: Ground
    app: Client
    history: History
    others: Load | None
    dead: set[tuple[str, str]] = field(default_factory=set)
    """Kind and identity of every entry that was seen in the log."""
    tally: Tally = field(default_factory=Tally)


@pytest.mark.fault
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.timeout(180 + 20 * kills)) for kind, kills in KILLS.items()]
)
def test_what_was_answered_is_dead_after_a_crash(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After each restart: whole or absent, never half; dead if it was answered; the log goes on; others still work."""
    kills, began = KILLS[kind], time.monotonic()
    with ExitStack() as stack:
        ground = stack.enter_context(GROUNDS[kind].laid(tmp_path))
        site = stack.enter_context(deployment(tmp_path, settings=f"{ground.settings}{SETTINGS}"))
        app, user = site.new_client("App", first_party=True, public=True), site.new_user()
        bystander, history = _sign_in(site, user, app), History(site)
        usual = {event: Usual() for event in EVENTS}
        assert not history.news()
        with ExitStack() as crowd:
            others = crowd.enter_context(load(site, app)) if kind == "postgres" else None
            scene = Scene(site, ground, app, history, others)
            for shot in _shots(kills):
                _round(scene, user, bystander, shot, usual[shot.event])
        _must_be_sound(scene)
        assert site.refresh(app, bystander.refresh).status_code == 200
        with capsys.disabled():
            print(f"\n  {GROUNDS[kind].title}, {time.monotonic() - began:.0f} s", _figures(scene, usual), sep="\n")
    tally = scene.tally
    assert tally.count("answered") > 0
    assert tally.count("answered") < kills or len(EVENTS) * len(AIMS) > kills, "every kill came after the answer"


def _round(scene: Scene, user: User, bystander: Victim, shot: Shot, usual: Usual) -> None:
    site, event, tally = scene.site, EVENTS[shot.event], scene.tally
    victim, messages = _sign_in(site, user, scene.app), _messages(scene.ground)
    assert site.call(victim.access) == 200
    answer = _kill(scene, event.request(site, scene.app, victim), shot, usual)
    acknowledged = scene.others.acknowledged if scene.others else set()
    assert site.call(bystander.access) == 200, "the API cannot do without the issuer"
    tally.starts.append(site.restart())
    happened = _happened(scene, event, victim, _messages(scene.ground) - messages)
    if answer is not None:
        assert answer.status == event.status, answer
        assert happened, f"{shot}: it was answered and is lost"
    if scene.others is not None:
        scene.others.must_not_have_lost(acknowledged, scene.dead, scene.ground)
    _outside(scene, shot.event, victim, happened)
    assert _is_active(site, bystander.access)
    assert site.call(bystander.access) == 200
    fate = "answered" if answer else "unanswered, but there" if happened else "unanswered, and not there"
    tally.fates[shot.aim, fate] += 1


def _shots(number: int) -> Iterator[Shot]:
    """Every event with every aim in turn, the answer first: it shows how long that event usually takes.

    The moments of one aim are spread evenly over its interval, each anywhere within its own share of it.
    """
    turns = [(aim, event) for aim in AIMS for event in EVENTS]
    plan = [turns[n % len(turns)] for n in range(number)]
    parts = {aim: _spread(sum(each == aim for each, _ in plan)) for aim in AIMS}
    for aim, event in plan:
        yield Shot(event, aim, parts[aim].pop())


def _spread(number: int) -> list[float]:
    parts = [(n + random.random()) / number for n in range(number)]
    random.shuffle(parts)
    return parts


def _sign_in(site: Site, user: User, app: Client) -> Victim:
    """Refreshed twice, so that the first refresh token is spent, and its successor used."""
    found = site.sign_in(user, app)
    first = site.refresh(app, found["refresh_token"]).json()
    second = site.refresh(app, first["refresh_token"]).json()
    claims = claims_of(second["access_token"])
    return Victim(
        access=second["access_token"],
        refresh=second["refresh_token"],
        spent=found["refresh_token"],
        sid=str(claims["sid"]),
        gid=str(claims["gid"]),
        jti=str(claims["jti"]),
    )


def _kill(scene: Scene, request: bytes, shot: Shot, usual: Usual) -> raw.Whole | None:
    """Send it, kill the issuer at the moment that was chosen; the answer, if all of it was on its way by then."""
    site, ground = scene.site, scene.ground
    assert site.server is not None
    with Line(site) as line:
        before = ground.mark()
        line.send(request)
        sent = time.perf_counter()
        if shot.aim != "sent":
            _spin(lambda: ground.mark() != before or line.has_news())
        written = time.perf_counter()
        if shot.aim == "answered":
            _spin(line.has_news)
            usual.answers.append(time.perf_counter() - sent)
            usual.gaps.append(time.perf_counter() - written)
        else:
            due = time.perf_counter() + usual.delay(shot)
            _spin(lambda: time.perf_counter() >= due)
        os.kill(site.server.pid, SIGKILL)
        site.server.process.wait()
        return line.answer()


def _spin(fact: Callable[[], bool]) -> None:
    """Wait without a pause: microseconds count here."""
    deadline = time.perf_counter() + HANGS
    while not fact():
        assert time.perf_counter() < deadline, "the issuer neither writes nor answers"


def _happened(scene: Scene, event: Event, victim: Victim, messages: int) -> bool:
    """Whether the revocation is there; and it is so in the log, in every table, and in the trail alike."""
    news = [(entry.kind, entry.id) for entry in scene.history.news()]
    scene.dead |= set(news)
    ours = {getattr(victim, name) for name in KINDS}
    new = [entry for entry in news if scene.others is None or entry[1] in ours]
    expected = [(KINDS[name], getattr(victim, name)) for name in event.entries]
    assert new in ([], expected), f"half of a transaction in the log: {new}"
    happened, ground = bool(new), scene.ground
    ended = {
        "session": ground.value("SELECT ended_at IS NOT NULL FROM sessions WHERE sid = $1", victim.sid),
        "grant": ground.value("SELECT ended_at IS NOT NULL FROM grants WHERE gid = $1", victim.gid),
    }
    targets = [f"{KINDS[name]}:{getattr(victim, name)}" for name in KINDS]
    rows = ground.value(
        "SELECT count(*) FROM audit WHERE action = $1 AND target IN ($2, $3, $4)", event.action, *targets
    )
    assert {name for name, is_so in ended.items() if is_so} == (event.ends if happened else set()), "half of it"
    assert rows == int(happened), "the trail says something else"
    assert messages == (event.messages if happened else 0), "the outbox says something else"
    return happened


def _messages(ground: Ground) -> int:
    return ground.value("SELECT count(*) FROM outbox")


def _outside(scene: Scene, name: str, victim: Victim, happened: bool) -> None:
    """What the world sees: introspection at once, the API as soon as it hears, the refresh token."""
    site = scene.site
    assert _is_active(site, victim.access) is not happened
    if happened:
        scene.tally.heard.append(until(lambda: site.call(victim.access) == 401, within=UNTIL_HEARD))
    else:
        assert site.call(victim.access) == 200
    dead = happened and "grant" in EVENTS[name].ends
    answer = site.refresh(scene.app, victim.refresh)
    assert (answer.status_code, answer.json().get("error")) == ((400, "invalid_grant") if dead else (200, None))


def _is_active(site: Site, token: str) -> bool:
    assert site.api.auth is not None
    answer = site.http.post(f"{site.issuer}/introspect", data={"token": token}, auth=site.api.auth)
    assert answer.status_code == 200, answer.text
    found = answer.json()["active"]
    assert isinstance(found, bool)
    return found


def _must_be_sound(scene: Scene) -> None:
    """The chain from its beginning, what the API believed of it all along, what `watchword doctor` says, no litter."""
    site, history = scene.site, scene.history
    scene.dead |= {(entry.kind, entry.id) for entry in history.news()}
    history.whole()
    left = sorted(file.name for file in site.data.iterdir() if not file.name.startswith(("watchword.db", "master.key")))
    # The last dead process's socket is removed by the next revocation.
    assert len(left) <= 2, left
    assert site.orders is not None
    assert "must not be believed" not in site.orders.said, site.orders.said
    found = site.cli("doctor")
    assert found["ok"], found
    if scene.others is not None:
        scene.others.must_not_have_lost(scene.others.acknowledged, scene.dead, scene.ground)
        scene.others.must_be_lines(site, scene.ground)


def _figures(scene: Scene, usual: Mapping[str, Usual]) -> str:
    tally = scene.tally
    fates = ("answered", "unanswered, but there", "unanswered, and not there")
    whole = statistics.median(time for each in usual.values() for time in each.answers)
    gap = statistics.median(time for each in usual.values() for time in each.gaps)
    return "\n".join(
        (
            f"  {sum(tally.fates.values())} kills: " + ", ".join(f"{tally.count(fate)} {fate}" for fate in fates),
            *(
                f"    aimed at {aim:<8} " + ", ".join(f"{tally.fates[aim, fate]} {fate}" for fate in fates)
                for aim in ("sent", "written", "answered")
            ),
            f"  usual answer {whole * 1000:.1f} ms after the request, {gap * 1000:.1f} ms after the first write",
            f"  restart to ready: {_spans(tally.starts)}; then the API refuses after: {_spans(tally.heard)}",
            *([] if scene.others is None else [scene.others.figures()]),
            f"  log: {scene.history.known.seq} entries in one unbroken chain, doctor finds nothing to mend",
        )
    )


def _spans(seconds: Sequence[float]) -> str:
    return f"p50 {statistics.median(seconds):.2f} s, max {max(seconds):.2f} s" if seconds else "never"
