"""Where it was; ask `sqlite/store.py`."""

from __future__ import annotations

from watchword_server.adapters.sql.sqlite.store import Store, open_store

__all__ = ["Store", "open_store"]
