"""The queue's statements as PostgreSQL's client takes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import psycopg

from nodegraph.jobs.queue.connection import Rows

_PLACEHOLDER = re.compile(r"'[^']*'|\?|(?<![:\w]):(\w+)|%")


@lru_cache(maxsize=512)
def translated(query: str) -> bytes:
    """A statement with its places for values written as psycopg has them."""
    return _PLACEHOLDER.sub(_written, query).encode()


def _written(match: re.Match[str]) -> str:
    text = match[0]
    if text == "?":
        return "%s"
    if match[1] is not None:
        return f"%({match[1]})s"
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
