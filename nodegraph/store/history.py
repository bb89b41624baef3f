"""Earlier results and the code behind them, to explain why a call is computed again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgpack

from nodegraph.core.digests import Digest
from nodegraph.core.keys import Key
from nodegraph.store.index import Index
from nodegraph.store.packing import unpack


class CodeModules:
    """Modules by code digest; safe to use from several threads."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._noted: set[Digest] = set()

    def remember(self, digest: Digest, modules: Callable[[], Mapping[str, Digest]]) -> None:
        """Remember what is behind a code digest; at once if that was done before.

        Args:
            modules: Gives the modules' digests by name; not called if they are known.
        Raises:
            sqlite3.Error: The index can't be written.
        """
        if digest in self._noted:
            return
        self._noted.add(digest)
        if self.modules(digest) is not None:
            return
        packed = msgpack.packb({name: bytes.fromhex(text) for name, text in modules().items()})
        with self._index.writing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO codes (digest, modules) VALUES (?, ?)",
                (bytes.fromhex(digest), packed),
            )

    def modules(self, digest: Digest) -> Mapping[str, Digest] | None:
        """The modules' digests by name; None if nobody noted them."""
        with self._index.reading() as connection:
            row = connection.execute(
                "SELECT modules FROM codes WHERE digest = ?", (bytes.fromhex(digest),)
            ).fetchone()
        if row is None:
            return None
        return {name: text.hex() for name, text in msgpack.unpackb(row[0]).items()}


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
