"""A queue on a PostgreSQL server, which several servers of nodegraph change at a time.

Nothing here is imported before a queue is opened at such a place: psycopg is an extra.
"""
