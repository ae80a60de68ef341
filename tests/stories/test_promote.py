"""`watchword promote` on a deployment that is in use: nobody is signed out, nothing is lost, and verifiers go on."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.servers.postgres import Postgres, server
from tests.stories.history import History
from tests.stories.moving import measured, node, promotion, stages, status
from tests.stories.processes import Client, Program, Site, deployment, free_ports, until
from tests.stories.refresher import Refresher
from tests.stories.seeding import fill

KILLS = int(os.environ.get("WATCHWORD_TEST_KILLS", "10"))
PAUSE = 3.0
"""Seconds; about one on a machine that does nothing else."""
PEOPLE = 3


@pytest.mark.fault
def test_a_live_deployment_moves_and_nobody_is_signed_out(postgres: Postgres, tmp_path: Path) -> None:
    """Clients refresh all the time, a verifier follows, a node waits: families, keys, log and revocations go on."""
    url, (port,) = postgres.database(), free_ports()
    with deployment(tmp_path) as site:
        people = [site.new_user() for _ in range(PEOPLE)]
        app = site.new_client("App", first_party=True, public=True)
        fill(site.data / "watchword.db", app.client_id, site.audience, users=200, sessions=400)
        signed = [site.sign_in(person, app) for person in people]
        lost, kept = site.sign_in(people[0], app), site.sign_in(people[0], app)
        history = History(site)
        site.sign_out(lost["access_token"])
        history.news()
        jwks = site.http.get(f"{site.issuer}/jwks.json").json()
        until(lambda: site.call(lost["access_token"]) == 401)
        both = [site.issuer, f"http://127.0.0.1:{port}"]
        clients = [Refresher(app.client_id, one["refresh_token"], both) for one in signed]
        with clients[0], clients[1], clients[2], promotion(site, url) as (promote, terminal):
            until(lambda: "follow" in stages(promote), within=60)
            late = site.sign_in(people[1], app)  # while everything else is copied already
            site.cli("revoke", "session", _sid(kept["access_token"]))
            with node(site, url, port, tmp_path / "node") as waiting:
                until(lambda: status(port, "/readyz") == 503, within=30)
                assert status(port, "/healthz") == 200
                assert waiting.process.poll() is None
                assert all(client.good_since(time.monotonic() - 5) for client in clients)
                os.write(terminal, b"y\n")
                assert promote.process.wait(60) == 0, promote.said
                done = json.loads(promote.lines[-1])
                moved = time.monotonic()
                until(lambda: all(client.good_since(moved) for client in clients), within=15)
                assert status(port, "/readyz") == 200
                assert site.http.get(f"{site.issuer}/readyz").status_code == 503
                _old_and_new(site, app, late, url)
            for client in clients:
                assert not client.refused
        assert done["pause"] < PAUSE, done
        assert done["log"] == history.known.log
        assert site.http.get(f"{site.issuer}/jwks.json").json() == jwks
        _verifiers_went_on(site, history, people[2], app, lost["access_token"], kept["access_token"])
        _spent_stays_spent(site, app, clients[0])
        print(f"\n  pause {done['pause']} s; longest without a token {max(client.gap() for client in clients):.2f} s")


def _sid(access_token: str) -> str:
    import base64

    payload = access_token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sid"])


def _old_and_new(site: Site, app: Client, late: dict[str, str], url: str) -> None:
    """The old server changes nothing and answers for nothing; an operator puts the new one in its place."""
    old = site.refresh(app, late["refresh_token"])
    assert (old.status_code, old.headers["Retry-After"]) == (503, "2")
    asked = site.http.post(f"{site.issuer}/introspect", data={"token": late["access_token"]}, auth=site.api.auth)
    assert asked.status_code == 503
    assert site.http.get(f"{site.issuer}/revocations", auth=site.api.auth).status_code == 503
    refused = site.run("user", "add", "late@example.com", "--generate-password")
    assert (refused.code, "has moved to PostgreSQL" in refused.err) == (5, True), refused
    site.config.write_text(f'database = "{url}"\n{site.config.read_text()}')
    site.restart()
    assert site.refresh(app, late["refresh_token"]).status_code == 200


def _verifiers_went_on(site, history, person, app, lost, kept) -> None:
    """No gap, no fork, nothing that was dead alive again, and what dies now is refused within a second."""
    until(lambda: site.call(lost) == 401 and site.call(kept) == 401, within=15)
    (entry,) = history.news()
    assert entry.kind == "session"
    assert entry.id == _sid(kept)
    token = site.sign_in(person, app)["access_token"]
    until(lambda: site.call(token) == 200, within=15)
    site.cli("revoke", "session", _sid(token))
    until(lambda: site.call(token) == 401, within=5)
    history.news()
    history.whole()
    assert site.orders is not None
    assert "must not be believed" not in site.orders.said


def _spent_stays_spent(site: Site, app: Client, client: Refresher) -> None:
    """The whole line of descent is known: what was spent on SQLite kills the family on PostgreSQL."""
    assert len(client.tokens) > 10
    assert site.refresh(app, client.token).status_code == 200
    assert site.refresh(app, client.tokens[2]).json()["error"] == "invalid_grant"
    assert site.refresh(app, client.tokens[-1]).json()["error"] == "invalid_grant"


@pytest.mark.fault
@pytest.mark.timeout(120 + 60 * KILLS)
def test_killed_at_any_moment_it_is_run_again(postgres: Postgres, tmp_path: Path) -> None:
    """`kill -9` while a server is used: what was answered is there in the end, and a killed one costs nothing else."""
    fates: list[tuple[str, str | None]] = []
    with deployment(tmp_path, api=False) as site:
        app, person, url = site.new_client("App", first_party=True, public=True), site.new_user(), postgres.database()
        fill(site.data / "watchword.db", app.client_id, site.audience, users=500, sessions=1000)
        with Refresher(app.client_id, site.sign_in(person, app)["refresh_token"], [site.issuer]) as client:
            for number in range(KILLS):
                aim, within = AIMS[number % len(AIMS)]
                with promotion(site, url, "--yes") as (promote, _):
                    _kill_at(promote, aim, random.random() * within)
                fates.append((aim, _stage(site)))
                if fates[-1][1] == "complete":
                    break
                if fates[-1][1] in (None, "copying"):  # the file is in use
                    _must_be_served(client)
            ran = site.run("promote", "--yes", "--to", url)
            assert ran.code == 0, ran
            assert not client.refused
        last, spent = client.token, client.tokens[1]
        site.config.write_text(f'database = "{url}"\n{site.config.read_text()}')
        site.restart()
        assert site.refresh(app, last).status_code == 200, "the last token that was answered is not known"
        assert site.refresh(app, spent).json()["error"] == "invalid_grant"
        print(f"\n  killed at (aimed at, stage in the file): {fates}; {len(client.tokens)} tokens meanwhile")


AIMS = (("copy", 0.3), ("index", 0.3), ("compare", 0.2), ("cut", 0.1), ("cut", 0.3), ("cut", 0.6))
"""A stage that was told, and seconds after it."""


def _kill_at(promote: Program, aim: str, after: float) -> None:
    until(lambda: aim in stages(promote) or promote.process.poll() is not None, within=60, pause=0.002)
    time.sleep(after)
    promote.process.kill()
    promote.process.wait()


def _must_be_served(client: Refresher) -> None:
    moment = time.monotonic()
    until(lambda: client.good_since(moment), within=10)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_hundred_thousand_people_move(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With 200,000 sessions, while clients refresh: none is refused, and the pause is as short as with few."""
    with server() as own:
        found = measured(tmp_path, own.database(), users=100_000, sessions=200_000, within=1500)
    with capsys.disabled():
        print(f"\n  {found}")
    assert found.rows > 700_000
    assert found.pause < PAUSE
    assert not found.refused


def _stage(site: Site) -> str | None:
    with closing(sqlite3.connect(site.data / "watchword.db")) as database:
        found = database.execute("SELECT name FROM sqlite_master WHERE name = 'promotion'").fetchall()
        return database.execute("SELECT stage FROM promotion").fetchone()[0] if found else None


@pytest.mark.fault
def test_what_cannot_be_promoted_is_refused_with_a_sentence(postgres: Postgres, tmp_path: Path) -> None:
    """Wrong targets, another's promotion, a lost master key, a newer schema: nothing is touched on either side."""
    used, other, url = postgres.database(), postgres.database(), postgres.database()
    postgres.execute("CREATE TABLE somebody (name text)", used)
    with deployment(tmp_path / "one", running=False) as site:
        one = ("promote", "--yes", "--to")
        assert _refusal(site, *one, used) == (1, "the database is not empty: name one that nothing else uses")
        assert postgres.execute("SELECT count(*) FROM somebody", used) == "0"
        assert _refusal(site, "promote", "--yes")[0] == 2
        assert _refusal(site, "promote", "--to", url) == (
            2,
            "no terminal to ask at before the cut: say --yes when you mean it",
        )
        assert _refusal(site, *one, "postgresql://nobody:secret@127.0.0.1:1/none")[0] == 5
        postgres.execute(
            "CREATE TABLE promotion (id text, log text, complete_at bigint);"
            " INSERT INTO promotion VALUES ('', 'x', NULL)",
            other,
        )
        assert "another deployment" in _refusal(site, *one, other)[1]
        key = (site.data / "master.key").read_bytes()
        (site.data / "master.key").unlink()
        assert _refusal(site, *one, url)[0] == 2
        (site.data / "master.key").write_bytes(key)
        (site.data / "master.key").chmod(0o600)
        assert site.cli(*one, url)["resumed"] is False
        with deployment(tmp_path / "two", running=False) as second:
            assert "another deployment" in _refusal(second, *one, url)[1]
            with closing(sqlite3.connect(second.data / "watchword.db")) as database:
                database.execute("UPDATE alembic_version SET version_num = '9999'")
                database.commit()
            assert "newer version" in _refusal(second, *one, postgres.database())[1]
            assert "promotion" not in str(_tables(second))


def _refusal(site: Site, *arguments: str) -> tuple[int, str]:
    ran = site.run(*arguments)
    assert ran.code != 0, ran
    assert "secret@" not in ran.out + ran.err
    return ran.code, ran.document["message"]


def _tables(site: Site) -> list[str]:
    with closing(sqlite3.connect(site.data / "watchword.db")) as database:
        return [name for (name,) in database.execute("SELECT name FROM sqlite_master")]
