"""The server, but an idle connection stays open for one second."""

from __future__ import annotations

from watchword_server.web import connection

connection.KEEP_ALIVE = 1  # type: ignore[misc]  # before anybody takes it over

from watchword_server.main import main  # noqa: E402  # it has to come after that

main()
