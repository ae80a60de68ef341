"""No room for a server: no file of its may grow beyond a size, whatever the disk has.

The kernel refuses such a write (EFBIG) as it refuses one to a full disk (ENOSPC), and PostgreSQL treats both alike.
This needs neither a disk nor rights, and takes effect in the midst: only the soft limit changes.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.servers.keeper import as_user, children
from tests.servers.running import Running, user


def limit(server: Running, size: int | None) -> None:
    """Let the files of a server, and of all that it starts, grow to `size` bytes and no further; None: for ever."""
    soft = "unlimited" if size is None else str(size)
    # Its own user may always change a soft limit; even root may not everywhere.
    for process in (server.pid, *children(server.pid)):  # the parent first: who is born meanwhile inherits it
        command = ["prlimit", "--pid", str(process), f"--fsize={soft}:"]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False, **as_user(user()))
        assert ran.returncode == 0 or not Path(f"/proc/{process}").exists(), ran.stderr
