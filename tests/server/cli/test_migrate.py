"""`watchword migrate`, and what other commands say to a database that it has not been run on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stories.processes import Ran, watchword
from watchword_server.adapters.sql.upgrade import REVISION

Run = Callable[..., Ran]

pytestmark = pytest.mark.fault  # commands and servers as processes: too long for the common loop


@pytest.fixture(params=["sqlite", "postgres"])
def run(request, tmp_path: Path) -> Run:
    """The command line on a database of each kind, in which nothing is yet."""
    lines = ['issuer = "https://id.example.com"', 'listen = "127.0.0.1:0"']
    if request.param == "postgres":
        lines.append(f'database = "{request.getfixturevalue("postgres").database()}"')
    (tmp_path / "watchword.toml").write_text("\n".join(lines))
    return lambda *arguments: watchword(*arguments, "--json", cwd=tmp_path)


def test_a_schema_is_made_once(run: Run):
    """`--check` says that it is due, and makes nothing; then it is made; then there is nothing to do."""
    for _ in range(2):
        looked = run("migrate", "--check")
        assert looked.code == 1
        assert {**looked.document, "place": ""} == {"place": "", "found": None, "wanted": REVISION, "due": True}
    assert (run("migrate").code, run("migrate", "--check").code) == (0, 0)
    done = run("migrate")
    assert (done.code, done.document["found"], done.document["due"]) == (0, REVISION, False)
    assert run("user", "list").document["users"] == []


@pytest.fixture
def shared(postgres, tmp_path: Path) -> Run:
    """The command line on an empty PostgreSQL database."""
    url = postgres.database()
    (tmp_path / "watchword.toml").write_text(f'issuer = "https://id.example.com"\ndatabase = "{url}"\n')
    return lambda *arguments: watchword(*arguments, "--json", cwd=tmp_path)


@pytest.mark.parametrize("command", [("serve",), ("user", "list"), ("init", "--email", "a@example.com")])
def test_nothing_runs_on_postgresql_before_it(shared: Run, command: tuple[str, ...]):
    """No command makes a schema by the way: several nodes start at once, and an operator wants to say when."""
    ran = shared(*command)
    assert ran.code == 1
    assert "run `watchword migrate`" in ran.err


def test_doctor_looks_at_postgresql(shared: Run):
    """What is there, what is not, what would lose commits; and no password in it."""

    def found() -> dict[str, tuple[str, str]]:
        document = shared("doctor").document
        return {line["check"]: (line["state"], line["mend"]) for line in document["findings"]}

    assert found()["schema"] == ("warn", "`watchword migrate` brings it up to date")
    shared("migrate")
    shared("init", "--email", "a@example.com", "--generate-password")
    after = found()
    assert {after[check][0] for check in ("database", "schema", "writing", "clock", "access key")} == {"ok"}
    assert "durability" not in after


def test_doctor_warns_of_a_database_that_forgets(shared: Run, postgres, tmp_path: Path):
    """Before a node refuses to start on it."""
    shared("migrate")
    name = (tmp_path / "watchword.toml").read_text().rpartition("/")[2].strip('"\n')
    postgres.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    ran = shared("doctor")
    assert ran.code == 1
    assert [line["message"] for line in ran.document["findings"] if line["check"] == "durability"] == [
        "synchronous_commit = off"
    ]
    assert "synchronous_commit = off" in shared("serve").err
