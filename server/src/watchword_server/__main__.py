"""`python -m watchword_server` is the command `watchword`."""

from __future__ import annotations

from watchword_server.main import main

main()
