"""What every command has: global options, one JSON document, exit codes."""

from __future__ import annotations

import os
import pty
import pwd
import select
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stories.processes import Site, environ, watchword


@pytest.mark.parametrize(
    "arguments",
    [
        ("--json", "--config", "{config}", "api", "list"),
        ("api", "list", "--json", "--config", "{config}"),
        ("--config", "{config}", "api", "list", "--json"),
    ],
)
def test_global_options_stand_before_or_after_the_command(site: Site, arguments: tuple[str, ...]):
    """Who adds --json to a line in the history adds it at the end."""
    ran = watchword(*(part.format(config=site.config) for part in arguments))
    assert [api["audience"] for api in ran.document["apis"]] == [site.audience]


def test_another_data_folder_is_another_deployment(site: Site, tmp_path: Path):
    """--data overrides what the settings file says."""
    ran = watchword("api", "list", "--json", "--config", str(site.config), "--data", str(tmp_path / "other"))
    assert ran.document == {"apis": []}


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("user", "show", "nobody@example.com"), 3, "not_found"),
        (("client", "show", "client_unknown"), 3, "not_found"),
        (("api", "show", "https://unknown.example"), 3, "not_found"),
        (("revoke", "session", "unknown"), 3, "not_found"),
        (("revoke", "grant", "unknown"), 3, "not_found"),
        (("key", "revoke", "unknown", "--yes"), 3, "not_found"),
        (("api", "add", "{audience}"), 4, "taken"),
        (("api", "add", "not a uri"), 1, "refused"),
        (("key", "rotate", "--use", "lunch"), 1, "refused"),
        (("revoke", "everything"), 2, "usage"),
        (("client", "add", "x", "--access", "{audience}"), 2, "usage"),
        (("user", "list", "--data", "/dev/null/nowhere"), 5, "unavailable"),
    ],
)
def test_a_failure_is_an_exit_code_a_sentence_and_a_document(
    site: Site, arguments: tuple[str, ...], code: int, error: str
):
    """Programs read the code and `error`, people the sentence; nobody reads a traceback."""
    ran = site.run(*(part.format(audience=site.audience) for part in arguments))
    assert (ran.code, ran.document["error"]) == (code, error)
    assert ran.err == f"watchword: {ran.document['message']}\n"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ('issuer = "http://example.com"', "https"),
        ('issuer = "https://id.example.com"\nlunch = 1', "lunch"),
        ("issuer = 3", "issuer"),
        ("issuer =", "watchword.toml"),
        ("", "issuer"),
    ],
)
def test_a_wrong_setting_stops_every_command_with_one_sentence(tmp_path: Path, settings: str, said: str):
    """Nothing starts on settings that are half understood."""
    (tmp_path / "watchword.toml").write_text(settings)
    ran = watchword("serve", cwd=tmp_path)
    assert ran.code == 2
    assert said in ran.err
    assert ran.err.startswith("watchword: ")
    assert len(ran.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "watchword.toml"]


def test_help_says_what_the_exit_codes_mean():
    """At every level."""
    for arguments in (("--help",), ("user", "--help"), ("user", "add", "--help")):
        assert "Exit codes: 0 done; 1 refused" in " ".join(watchword(*arguments).out.split())


def test_the_audit_trail_names_the_account_of_the_machine(site: Site):
    """As the kernel knows it; no variable can say another."""
    site.cli("user", "add", "audited@example.com", "--generate-password")
    rows = sqlite3.connect(site.data / "watchword.db").execute("SELECT * FROM audit").fetchall()
    account = pwd.getpwuid(os.getuid()).pw_name
    assert any(f"operator:{account}" in row and "user.add" in row for row in rows)


@pytest.mark.parametrize(
    "arguments", [("user", "show", os.fsdecode(b"\xff\xfe")), ("api", "add", os.fsdecode(b"x:\xff"))]
)
def test_bytes_that_are_no_text_are_refused(site: Site, arguments: tuple[str, ...]):
    """A terminal can send anything."""
    ran = site.run(*arguments)
    assert ran.code in {1, 2, 3}
    assert "Traceback" not in ran.err


def test_a_person_at_a_terminal_is_asked_twice(site: Site):
    """And nothing of the password is shown."""
    here, there = pty.openpty()
    command = (
        sys.executable,
        "-m",
        "watchword_server",
        "user",
        "add",
        "asked@example.com",
        "--config",
        str(site.config),
    )
    with subprocess.Popen(
        command, stdin=there, stdout=subprocess.PIPE, stderr=there, env=environ(), start_new_session=True
    ) as process:
        os.close(there)
        seen = ""
        seen = "".join(
            answered(here, prompt, answer)
            for prompt, answer in (
                ("Password: ", "first try"),
                ("Once more: ", "another one"),
                ("Password: ", "the right one"),
                ("Once more: ", "the right one"),
            )
        )
        assert process.wait(60) == 0, seen
    os.close(here)
    assert "right one" not in seen
    assert site.cli("user", "show", "asked@example.com")["email"] == "asked@example.com"


def answered(terminal: int, prompt: str, answer: str) -> str:
    """Wait for the prompt, and answer; what stood there."""
    seen = ""
    while prompt not in seen:
        ready, _, _ = select.select([terminal], [], [], 60)
        assert ready, f"no {prompt} in {seen!r}"
        seen += os.read(terminal, 1024).decode()
    os.write(terminal, f"{answer}\n".encode())
    return seen
