"""`kill -9` of the issuer between a revocation's arrival and its answer: what was answered is dead, nothing is half.

Each round sends one revocation, kills the issuer at a moment of its own, and starts it again on the same data
folder, while the API beside it never stops. Moments are aimed in three ways: anywhere between the request and one
and a half times the usual answer, anywhere around the interval from the first write to the answer, and at the very
answer. `WATCHWORD_TEST_KILLS` says how many rounds.
"""

from __future__ import annotations

import os
import random
import sqlite3
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL

import pytest

from tests.stories import raw
from tests.stories.history import History
from tests.stories.processes import Client, Site, User, deployment, until
from tests.stories.raw import Line
from watchword.jose import jwt
from watchword.jose.b64 import unb64url

KILLS = int(os.environ.get("WATCHWORD_TEST_KILLS", "50"))
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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Access tokens that outlive all rounds: what dies here dies by the log."""
    with deployment(tmp_path_factory.mktemp("crash"), settings="tokens.access_lifetime = 86400") as found:
        yield found


@pytest.mark.fault
@pytest.mark.timeout(180 + 20 * KILLS)
def test_what_was_answered_is_dead_after_a_crash(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """After each restart: whole or absent, never half; dead if it was answered; the log goes on; others still work."""
    user, app = site.new_user(), site.new_client("App", first_party=True, public=True)
    bystander = _sign_in(site, user, app)
    usual = {event: Usual() for event in EVENTS}
    tally, history = Tally(), History(site)
    assert not history.news()
    for shot in _shots(KILLS):
        event = EVENTS[shot.event]
        victim, messages = _sign_in(site, user, app), _messages(site)
        assert site.call(victim.access) == 200
        answer = _kill(site, event.request(site, app, victim), shot, usual[shot.event])
        assert site.call(bystander.access) == 200, "the API cannot do without the issuer"
        tally.starts.append(site.restart())
        happened = _happened(site, history, event, victim, _messages(site) - messages)
        if answer is not None:
            assert answer.status == event.status, answer
            assert happened, f"{shot}: it was answered and is lost"
        _outside(site, app, shot.event, victim, happened, tally)
        assert _is_active(site, bystander.access)
        assert site.call(bystander.access) == 200
        fate = "answered" if answer else "unanswered, but there" if happened else "unanswered, and not there"
        tally.fates[shot.aim, fate] += 1
    _must_be_sound(site, history)
    assert site.refresh(app, bystander.refresh).status_code == 200
    with capsys.disabled():
        print(_figures(tally, usual, history))
    assert tally.count("answered") > 0
    assert tally.count("answered") < KILLS or len(EVENTS) * len(AIMS) > KILLS, "every kill came after the answer"


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
    claims = jwt.claims(unb64url(second["access_token"].split(".")[1]))
    return Victim(
        access=second["access_token"],
        refresh=second["refresh_token"],
        spent=found["refresh_token"],
        sid=str(claims["sid"]),
        gid=str(claims["gid"]),
        jti=str(claims["jti"]),
    )


def _kill(site: Site, request: bytes, shot: Shot, usual: Usual) -> raw.Whole | None:
    """Send it, kill the issuer at the moment that was chosen; the answer, if all of it was on its way by then."""
    assert site.server is not None
    log = site.data / "watchword.db-wal"
    with Line(site) as line:
        before = _shape(log)
        line.send(request)
        sent = time.perf_counter()
        if shot.aim != "sent":
            _spin(lambda: _shape(log) != before or line.has_news())
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


def _shape(log: Path) -> tuple[int, int]:
    """Changes whenever the write-ahead log is written to."""
    found = log.stat()
    return found.st_size, found.st_mtime_ns


def _spin(fact: Callable[[], bool]) -> None:
    """Wait without a pause: microseconds count here."""
    deadline = time.perf_counter() + HANGS
    while not fact():
        assert time.perf_counter() < deadline, "the issuer neither writes nor answers"


def _happened(site: Site, history: History, event: Event, victim: Victim, messages: int) -> bool:
    """Whether the revocation is there; and it is so in the log, in every table, and in the trail alike."""
    new = [(entry.kind, entry.id) for entry in history.news()]
    expected = [(KINDS[name], getattr(victim, name)) for name in event.entries]
    assert new in ([], expected), f"half of a transaction in the log: {new}"
    happened = bool(new)
    with closing(_database(site)) as database:
        ended = {
            "session": _value(database, "SELECT ended_at IS NOT NULL FROM sessions WHERE sid = ?", victim.sid),
            "grant": _value(database, "SELECT ended_at IS NOT NULL FROM grants WHERE gid = ?", victim.gid),
        }
        targets = [f"{KINDS[name]}:{getattr(victim, name)}" for name in KINDS]
        rows = _value(
            database, "SELECT count(*) FROM audit WHERE action = ? AND target IN (?, ?, ?)", event.action, *targets
        )
    assert {name for name, is_so in ended.items() if is_so} == (event.ends if happened else set()), "half of it"
    assert rows == int(happened), "the trail says something else"
    assert messages == (event.messages if happened else 0), "the outbox says something else"
    return happened


def _messages(site: Site) -> int:
    """How many messages were ever put into the outbox; it outlives their purge."""
    with closing(_database(site)) as database:
        return _value(database, "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?", "outbox")


def _database(site: Site) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{site.data}/watchword.db?mode=ro", uri=True)


def _value(database: sqlite3.Connection, query: str, *values: str) -> int:
    ((value,),) = database.execute(query, values).fetchall()
    assert isinstance(value, int)
    return value


def _outside(site: Site, app: Client, name: str, victim: Victim, happened: bool, tally: Tally) -> None:
    """What the world sees: introspection at once, the API as soon as it hears, the refresh token."""
    assert _is_active(site, victim.access) is not happened
    if happened:
        tally.heard.append(until(lambda: site.call(victim.access) == 401, within=UNTIL_HEARD))
    else:
        assert site.call(victim.access) == 200
    dead = happened and "grant" in EVENTS[name].ends
    answer = site.refresh(app, victim.refresh)
    assert (answer.status_code, answer.json().get("error")) == ((400, "invalid_grant") if dead else (200, None))


def _is_active(site: Site, token: str) -> bool:
    answer = site.http.post(f"{site.issuer}/introspect", data={"token": token}, auth=site.api.auth)
    assert answer.status_code == 200, answer.text
    found = answer.json()["active"]
    assert isinstance(found, bool)
    return found


def _must_be_sound(site: Site, history: History) -> None:
    """The chain from its beginning, what the API believed of it all along, what `watchword doctor` says, no litter."""
    history.whole()
    left = sorted(file.name for file in site.data.iterdir() if not file.name.startswith(("watchword.db", "master.key")))
    # The last dead process's socket is removed by the next revocation.
    assert len(left) <= 2, left
    assert site.orders is not None
    assert "must not be believed" not in site.orders.said, site.orders.said
    found = site.cli("doctor")
    assert found["ok"], found


def _figures(tally: Tally, usual: Mapping[str, Usual], history: History) -> str:
    fates = ("answered", "unanswered, but there", "unanswered, and not there")
    whole = statistics.median(time for each in usual.values() for time in each.answers)
    gap = statistics.median(time for each in usual.values() for time in each.gaps)
    return "\n".join(
        (
            "",
            f"  {sum(tally.fates.values())} kills: " + ", ".join(f"{tally.count(fate)} {fate}" for fate in fates),
            *(
                f"    aimed at {aim:<8} " + ", ".join(f"{tally.fates[aim, fate]} {fate}" for fate in fates)
                for aim in ("sent", "written", "answered")
            ),
            f"  usual answer {whole * 1000:.1f} ms after the request, {gap * 1000:.1f} ms after the first write",
            f"  restart to ready: {_spans(tally.starts)}; then the API refuses after: {_spans(tally.heard)}",
            f"  log: {history.known.seq} entries, one chain from the first to the last, doctor finds nothing to mend",
        )
    )


def _spans(seconds: Sequence[float]) -> str:
    return f"p50 {statistics.median(seconds):.2f} s, max {max(seconds):.2f} s" if seconds else "never"
