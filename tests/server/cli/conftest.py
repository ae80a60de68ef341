"""A deployment that nobody serves: the command line works on the data folder alone.

The commands run in this process, which is twenty times as fast; `test_frame.py` and the stories run the real one.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stories.processes import Ran, Site, deployment, environ
from watchword_server.main import main


def in_process(*arguments: str, stdin: str = "", cwd: Path | None = None) -> Ran:
    """What `watchword` does, from its arguments to its exit code."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        contextlib.chdir(cwd or Path.cwd()),
        pytest.MonkeyPatch.context() as patch,
    ):
        for name in set(os.environ) - set(environ()):
            patch.delenv(name)
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        patch.setattr(sys, "argv", ["watchword", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    return Ran(int(ended.value.code or 0), out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Settings, a data folder, and one API registered in it."""
    with deployment(tmp_path_factory.mktemp("deployment"), running=False, command=in_process) as found:
        yield found


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Site]:
    """A deployment to break."""
    with deployment(tmp_path, running=False, command=in_process) as found:
        yield found
