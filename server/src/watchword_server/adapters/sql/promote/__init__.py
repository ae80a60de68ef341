"""Moves a deployment from SQLite to PostgreSQL while it is in use.

    shapes.py       every table of the schema, as both databases hold it
    marker.py       what a promotion leaves in either database, and what every process makes of it
    origin.py       SQLite: watches what changes, is read, and is closed
    destination.py  PostgreSQL: claimed, filled, compared, completed
    promotion.py    the story: the order in which all this happens, and what becomes of a failure

Only `marker.py` is loaded by others, so all else may load SQLAlchemy.
"""
