"""The stores on a database: SQLAlchemy Core writes every statement, the driver itself runs them.

    schema.py, queries.py, commands.py  what is said, in SQLAlchemy
    compile.py                          turns it into SQL: `make sql`, checked in
    statements.sqlite.json              that SQL, one file a dialect
    statements.py                       loads it for the rest, which runs it

So a process imports SQLAlchemy and Alembic only when there is something to migrate.
"""
