"""How many may be connected."""

from __future__ import annotations

import resource
from pathlib import Path

from tests.server.web.served import served
from watchword_server.web.serving import FILES


def test_a_node_may_hold_more_connections_than_a_shell_usually_allows(tmp_path: Path) -> None:
    """Every verifier keeps one open; what the system allows at most is not gone beyond."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))
    try:
        with served(tmp_path) as server:
            allowed, _ = resource.prlimit(server.program.process.pid, resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert allowed == (FILES if hard == resource.RLIM_INFINITY else min(FILES, hard))
