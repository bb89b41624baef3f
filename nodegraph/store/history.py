"""What was computed before, and what it was made of: to compare with what is to be computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nodegraph.core.keys import Key
from nodegraph.store.index import Index
from nodegraph.store.packing import unpack

_COLUMNS = "key, node_type, seconds, created, run, parts"


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A result of earlier, without its outputs.

    Attributes:
        seconds: That computing it took.
        created: Unix time.
        run: Id of the run that computed it.
        parts: What the key was made of, see `nodegraph.engine.key_parts`; None if that isn't known.
    """

    key: Key
    node_type: str
    seconds: float
    created: float
    run: str
    parts: Mapping[str, Any] | None


class History:
    """Reads entries of the index; safe to use from several threads."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def of(self, key: Key) -> StoredResult | None:
        """The result of a key."""
        with self._index.reading() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM entries WHERE key = ? AND outputs IS NOT NULL",  # noqa: S608 - a constant
                (bytes.fromhex(key),),
            ).fetchone()
        return None if row is None else _earlier(row)

    def knows(self, node_type: str) -> bool:
        """Whether there is any result of a node type."""
        with self._index.reading() as connection:
            query = "SELECT 1 FROM entries WHERE node_type = ? LIMIT 1"
            return connection.execute(query, (node_type,)).fetchone() is not None

    def latest(self, node_type: str, limit: int) -> list[StoredResult]:
        """The latest results of a node type, the last one first."""
        with self._index.reading() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM entries WHERE node_type = ? AND outputs IS NOT NULL"  # noqa: S608 - a constant
                " ORDER BY created DESC LIMIT ?",
                (node_type, limit),
            ).fetchall()
        return [_earlier(row) for row in rows]


def _earlier(row: tuple[Any, ...]) -> StoredResult:
    key, node_type, seconds, created, run, parts = row
    return StoredResult(key.hex(), node_type, seconds, created, run, _unpacked(parts))


def _unpacked(parts: bytes | None) -> Mapping[str, Any] | None:
    if parts is None:
        return None
    try:
        unpacked = unpack(parts)
    except ValueError:
        return None  # damaged: nothing can be said about it
    return unpacked if isinstance(unpacked, Mapping) else None
