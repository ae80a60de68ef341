"""Profiles as rows: what took the time is named, what did not count is left out, and all of it adds up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import shares
from bench.own_profile import PROFILED

SCRIPT = """
import os, signal, threading

def early(): return sum(i * i for i in range(200_000))
def late(): return sum(i * i for i in range(200_000))
def beside(): return sum(i * i for i in range(200_000))

early()
os.kill(os.getpid(), signal.SIGUSR1)
late()
thread = threading.Thread(target=beside)
thread.start()
thread.join()
"""


def test_a_profile_has_every_thread_and_nothing_from_before_it_was_told_to_forget(tmp_path: Path) -> None:
    """What a server does to start is no part of what a request costs."""
    script, file = tmp_path / "program.py", tmp_path / "profile"
    script.write_text(SCRIPT)
    subprocess.run([sys.executable, "-P", str(PROFILED), str(file), str(script)], check=True, timeout=60)
    names = {name.rpartition(": ")[2] for name in shares.of_python(file)}
    assert {"`late`", "`beside`"} <= names
    assert "`early`" not in names


def test_a_profile_is_written_for_a_program_that_leaves_by_itself(tmp_path: Path) -> None:
    """A server ends with `sys.exit`."""
    script, file = tmp_path / "program.py", tmp_path / "profile"
    script.write_text("import sys\nsum(range(10))\nsys.exit(3)\n")
    ran = subprocess.run([sys.executable, "-P", str(PROFILED), str(file), str(script)], timeout=60)
    assert ran.returncode == 3
    assert "`builtins.sum`" in shares.of_python(file)


def test_samples_of_node_are_summed_by_function_and_idle_time_is_none(tmp_path: Path) -> None:
    """One function may stand at several places of the tree."""
    url = "file:///anywhere/node_modules/koa/lib/application.js"
    frames = [("handle", url), ("(idle)", ""), ("handle", url), ("(garbage collector)", "")]
    nodes = [
        {"id": number, "callFrame": {"functionName": name, "url": where}}
        for number, (name, where) in enumerate(frames, 1)
    ]
    file = tmp_path / "profile"
    profile = {"nodes": nodes, "samples": [1, 2, 3, 4], "timeDeltas": [1000, 50_000, 2000, 500]}
    file.write_text(json.dumps(profile))
    times = shares.of_node(file)
    assert times == pytest.approx({"`koa/lib/application.js`: `handle`": 0.003, "(garbage collector)": 0.0005})
    assert sum(shares.scaled(times, 0.007).values()) == pytest.approx(0.007)


def test_rows_name_the_dearest_and_add_up_the_others() -> None:
    """Shares of all of it, and microseconds of each code."""
    times = {f"f{number}": 0.001 * number for number in range(1, shares.SHOWN + 3)}
    first, *_, others, everything = shares.rows(times, 1000)
    total = sum(times.values())
    assert first == (f"f{shares.SHOWN + 2}", f"{0.027 / total:.1%}", "27")
    assert others == ("2 others", f"{0.003 / total:.1%}", "3")
    assert everything == ("all", "100.0%", f"{total * 1000:,.0f}")


@pytest.mark.parametrize(
    ("path", "name", "shown"),
    [
        ("~", "<method 'execute' of 'sqlite3.Connection' objects>", "`Connection.execute`"),
        ("~", "<built-in method builtins.len>", "`builtins.len`"),
        (
            "/home/x/server/src/watchword_server/flows/redeem.py",
            "_tokens",
            "`watchword_server/flows/redeem.py`: `_tokens`",
        ),
        ("/x/lib/python3.11/site-packages/uvicorn/a.py", "send", "`uvicorn/a.py`: `send`"),
        ("/x/sdk/src/watchword/jose/algorithms.py", "<lambda>", "`watchword/jose/algorithms.py`: line 7"),
    ],
)
def test_no_row_says_where_on_a_machine_something_lies(path: str, name: str, shown: str) -> None:
    """Pages are for everybody."""
    assert shares._python_name(path, 7, name) == shown
