"""A promotion that ends early, at any moment: nothing is lost, and it is run again."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.promote.promoting import PLACE, task
from tests.promote.tables import asked, connected, differences, in_postgres, in_sqlite, made, names
from tests.servers.postgres import Postgres, server
from watchword_server.adapters.sql.postgres.store import open_store as open_target
from watchword_server.adapters.sql.promote.marker import marker
from watchword_server.adapters.sql.promote.promotion import promote, undo
from watchword_server.adapters.sql.sqlite.store import open_store
from watchword_server.changes import Audit
from watchword_server.ports import Moved, Unavailable, Unfinished
from watchword_server.promotion import NotPromoted, PromotionStep

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.fault

# fmt: off
MOMENTS = (  # when, at which step, what the file says of itself then
    ("before", "Origin.watch",         None),
    ("after",  "Origin.watch",         "copying"),
    ("after",  "Destination.claim",    "copying"),
    ("after",  "Destination.fill",     "copying"),
    ("before", "Destination.tighten",  "copying"),
    ("after",  "Destination.digests",  "copying"),
    ("before", "Origin.cut",           "copying"),
    ("after",  "Origin.cut",           "cut"),
    ("after",  "Destination.finish",   "cut"),
    ("before", "Origin.completing",    "cut"),
    ("after",  "Origin.completing",    "completing"),
    ("after",  "Destination.commit",   "completing"),
    ("after",  "Origin.complete",      "complete"),
)
# fmt: on
CASES = [pytest.param(*moment, id=" ".join(moment[:2])) for moment in MOMENTS]


class Stop(Exception):
    """Raised where a test ends a promotion."""


def killed(path: Path, url: str, when: str, step: str) -> None:
    """A promotion that dies by SIGKILL."""
    command = [sys.executable, "-m", "tests.promote.programs.killed", str(path), url, when, step]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == -signal.SIGKILL, ran.stderr


def stage(path: Path) -> str | None:
    """How far the file says that a promotion came."""
    with closing(sqlite3.connect(path)) as database:
        found = marker(database)
    return None if found is None else found.stage


def must_be_in_use(path: Path) -> None:
    """Anybody can write to the file, and it holds no trace of a promotion."""
    assert not [name for name in names(path) if name.startswith(("promot", "promotion_"))]
    open_store(path).close()
    with closing(connected(path)) as database:
        assert database.execute("UPDATE users SET name = 'written' WHERE sub = 'sub-2'").rowcount == 1


@pytest.mark.parametrize(("when", "step", "left"), CASES)
def test_a_killed_promotion_is_run_again(
    postgres: Postgres, tmp_path: Path, when: str, step: str, left: str | None
) -> None:
    """Nobody opens a half copy; the file is in use, or says what to do; in the end everything is there."""
    path, url = made(tmp_path), postgres.database()
    rows = in_sqlite(path)
    killed(path, url, when, step)
    assert stage(path) == left
    if left in (None, "copying"):
        open_store(path).close()
        with closing(connected(path)) as database:  # whoever writes now is not lost either
            database.execute("UPDATE sessions SET ended_at = 77 WHERE sid = 'sid-1'")
        rows = in_sqlite(path)
    else:
        with pytest.raises(Moved, match="moved to"):
            open_store(path)
    is_complete = step in ("Destination.commit", "Origin.complete")
    if step != "Origin.watch" and not is_complete:
        with pytest.raises(Unfinished, match="is not whole yet"):
            asyncio.run(open_target(url))
    done = asyncio.run(promote(task(path, url)))
    assert done.resumed == is_complete
    assert not differences(rows, in_postgres(url))
    assert not differences(in_sqlite(path), in_postgres(url))
    assert stage(path) == "complete"


@pytest.mark.parametrize(
    ("when", "step"), [("after", "Destination.fill"), ("after", "Origin.cut"), ("after", "Origin.completing")]
)
def test_a_killed_promotion_is_taken_back(postgres: Postgres, tmp_path: Path, when: str, step: str) -> None:
    """`--undo` gives the file back as it was; and nobody can complete the copy after that."""
    path, url = made(tmp_path), postgres.database()
    rows = in_sqlite(path)
    killed(path, url, when, step)
    assert asyncio.run(undo(task(path, url))) is True
    assert in_sqlite(path) == rows
    must_be_in_use(path)
    with pytest.raises(Unfinished):
        asyncio.run(open_target(url))
    assert asyncio.run(undo(task(path, url))) is False


def test_what_was_completed_is_not_taken_back(postgres: Postgres, tmp_path: Path) -> None:
    """Not even by a process that knows only that it was about to be: PostgreSQL is asked."""
    path, url = made(tmp_path), postgres.database()
    killed(path, url, "after", "Destination.commit")
    for _ in range(2):
        with pytest.raises(NotPromoted, match="there only"):
            asyncio.run(undo(task(path, url)))
        assert stage(path) == "complete"


def test_in_doubt_only_the_same_database_can_tell(postgres: Postgres, tmp_path: Path) -> None:
    """Another one is refused, for the first may have been completed; and nothing is touched."""
    path, url, other = made(tmp_path), postgres.database(), postgres.database()
    killed(path, url, "after", "Destination.commit")
    for act in (promote, undo):
        with pytest.raises(NotPromoted, match=f"being moved to {PLACE}, and only that database"):
            asyncio.run(act(task(path, other)))
    assert stage(path) == "completing"
    assert not in_postgres(other)


@pytest.mark.parametrize("step", ["prepare", "copy", "compare", "follow", "cut"])
def test_a_failed_promotion_leaves_the_file_in_use(postgres: Postgres, tmp_path: Path, step: str) -> None:
    """Whatever fails, at whatever step: by itself it takes back all that it did to the file."""
    path, url = made(tmp_path), postgres.database()
    rows = in_sqlite(path)

    def at(now: PromotionStep) -> None:
        if now.stage == step:
            raise Stop

    with pytest.raises(Stop):
        asyncio.run(promote(task(path, url, at)))
    assert in_sqlite(path) == rows
    must_be_in_use(path)
    asyncio.run(promote(task(path, url)))
    assert not differences(in_sqlite(path), in_postgres(url))


@pytest.mark.parametrize("step", ["copy", "compare", "cut"])
def test_a_lost_postgres_leaves_the_file_in_use(tmp_path: Path, step: str) -> None:
    """PostgreSQL dies by SIGKILL: a sentence, and the file is in use. Started again, it takes everything."""
    with server() as own:
        path, url = made(tmp_path), own.database()

        def at(now: PromotionStep) -> None:
            if now.stage == step:
                own.kill()

        with pytest.raises(Unavailable, match=PLACE):
            asyncio.run(promote(task(path, url, at)))
        must_be_in_use(path)
        own.restart()
        asyncio.run(promote(task(path, url)))
        assert not differences(in_sqlite(path), in_postgres(url))


def test_a_promotion_that_froze_cannot_complete_what_was_taken_back(postgres: Postgres, tmp_path: Path) -> None:
    """Somebody takes the cut back while the last rows are on their way: then they do not become true."""
    path, url = made(tmp_path), postgres.database()

    ours = task(path, url)

    def row(count: int) -> Audit:
        """Asked for when everything has been sent, and nothing is committed."""
        assert stage(path) == "cut"
        _undo_beside(path, url)
        return ours.row(count)

    with pytest.raises(NotPromoted, match="taken this one's place"):
        asyncio.run(promote(replace(ours, row=row)))
    must_be_in_use(path)
    with pytest.raises(Unfinished):
        asyncio.run(open_target(url))


def test_a_promotion_that_froze_cannot_complete_beside_another(postgres: Postgres, tmp_path: Path) -> None:
    """Its cut was taken back, and another promotion has made one of its own: that is not the one it needs."""
    path, url, other = made(tmp_path), postgres.database(), postgres.database()
    ours = task(path, url)

    def row(count: int) -> Audit:
        """Asked for when everything has been sent, and nothing is committed."""
        _undo_beside(path, url)
        killed(path, other, "after", "Origin.cut")
        return ours.row(count)

    with pytest.raises(NotPromoted, match="taken this one's place"):
        asyncio.run(promote(replace(ours, row=row)))
    assert stage(path) == "cut", "it has taken back what was not its own"
    asyncio.run(promote(task(path, other)))
    assert not differences(in_sqlite(path), in_postgres(other))


def _undo_beside(path: Path, url: str) -> None:
    """As another process does."""
    program = (
        "import asyncio, sys; from pathlib import Path; from tests.promote.promoting import task;"
        "from watchword_server.adapters.sql.promote.promotion import undo;"
        "asyncio.run(undo(task(Path(sys.argv[1]), sys.argv[2])))"
    )
    subprocess.run([sys.executable, "-c", program, str(path), url], cwd=ROOT, check=True, timeout=60)


def test_two_at_once_do_not_mix(postgres: Postgres, tmp_path: Path) -> None:
    """The second is refused, and the first goes on."""
    path, url = made(tmp_path), postgres.database()
    refused: list[str] = []

    def at(now: PromotionStep) -> None:
        if now.stage == "compare":
            ran = subprocess.run(
                [sys.executable, "-m", "tests.promote.programs.killed", str(path), url, "before", "Origin.watch"],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=60,
            )
            refused.append(ran.stderr)

    asyncio.run(promote(task(path, url, at)))
    assert "another `watchword promote` into this database is under way" in refused[0]
    assert not differences(in_sqlite(path), in_postgres(url))


def test_a_vacuum_meanwhile_is_noticed(postgres: Postgres, tmp_path: Path) -> None:
    """It may move rows to where they were read already: better to begin anew."""
    path, url = made(tmp_path), postgres.database()

    def at(now: PromotionStep) -> None:
        if now.stage == "copy" and now.table == "users":
            with closing(connected(path)) as database:
                database.execute("VACUUM")

    with pytest.raises(NotPromoted, match="run `watchword promote` again"):
        asyncio.run(promote(task(path, url, at)))
    must_be_in_use(path)
    assert asked(url, lambda connection: connection.fetchval("SELECT complete_at FROM promotion")) is None
