"""Holds the database's one write lock, until its standard input closes."""

from __future__ import annotations

import os
import sqlite3
import sys

ADAPTER, WHERE = sys.argv[1:]

connection = sqlite3.connect(WHERE, isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
os.write(1, b"held\n")
sys.stdin.read()
connection.execute("ROLLBACK")
connection.close()
