"""The modules behind code digests, so that it can be told later which of them changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgpack

from nodegraph.core.digests import Digest
from nodegraph.store.index import Index


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
