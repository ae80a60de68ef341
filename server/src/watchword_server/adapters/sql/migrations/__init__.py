"""Alembic's revisions: expand and contract only, so that two neighbouring versions run on one schema."""
