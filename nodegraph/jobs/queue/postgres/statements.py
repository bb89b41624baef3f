"""The queue's statements as PostgreSQL's client takes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import psycopg

from nodegraph.jobs.queue.connection import Rows

_PLACE = re.compile(r"'[^']*'|\?|(?<![:\w]):(\w+)|%")


@lru_cache(maxsize=512)
def translated(query: str) -> bytes:
    """A statement with its places for values written as psycopg has them."""
    return _PLACE.sub(_written, query).encode()


def _written(found: re.Match[str]) -> str:
    text = found[0]
    if text == "?":
        return "%s"
    if found[1] is not None:
        return f"%({found[1]})s"
    return text.replace("%", "%%")


class PostgresConnection:
    """A connection that understands the queue's statements."""

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self.raw = raw

    def execute(self, query: str, values: Any = (), /) -> Rows:
        """Run a statement."""
        return self.raw.execute(translated(query), values)

    def executemany(self, query: str, values: Iterable[Sequence[Any]], /) -> None:
        """Run a statement with each of some lists of values."""
        self.raw.cursor().executemany(translated(query), list(values))
