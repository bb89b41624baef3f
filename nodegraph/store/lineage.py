"""Lineage: which result files were made from which inputs, models, adapters, packs and seeds.

The manifests in the files state it. This index answers the reverse questions: what was made from a
file, and which results share a model. It can be made again from the files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any, Literal

from nodegraph.core.digests import Digest
from nodegraph.core.text_format import to_well_formed
from nodegraph.errors import InvalidValue
from nodegraph.store.index import Index

SourceRole = Literal["input", "model", "adapter", "pack", "seed"]
ROLES: tuple[SourceRole, ...] = ("input", "model", "adapter", "pack", "seed")
_KEPT = 200_000
"""Result files that are kept; beyond, the oldest go."""
_SHORTEST = 4
"""Digits of the beginning of a digest."""
_HEX = re.compile(r"[0-9a-f]{1,64}")
_AFTER_HEX = "g"
_FILE_COLUMNS = "digest, name, path, kind, node, title, content, run, created"
_PUT_FILE = f"""
INSERT OR REPLACE INTO lineage_files ({_FILE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""  # noqa: S608 - constants
_PUT_SOURCE = """
INSERT OR REPLACE INTO lineage_sources (file, role, key, name, detail) VALUES (?, ?, ?, ?, ?)
"""
_USERS = f"""
SELECT {", ".join(f"f.{name}" for name in _FILE_COLUMNS.split(", "))}
FROM lineage_files f JOIN
    (SELECT DISTINCT file FROM lineage_sources WHERE role = ? AND key = ?) s ON s.file = f.digest
ORDER BY f.created DESC, f.digest LIMIT ?
"""  # noqa: S608 - constants
_MATCHES = """
SELECT DISTINCT key FROM (
    SELECT digest AS key FROM lineage_files WHERE digest >= ? AND digest < ?
    UNION SELECT key FROM lineage_sources
        WHERE role IN ('input', 'model', 'adapter') AND key >= ? AND key < ?
) LIMIT ?
"""
_CONTENT = "SELECT digest FROM lineage_files WHERE content >= ? AND content < ? LIMIT ?"


@dataclass(frozen=True, slots=True)
class LineageFile:
    """A result file.

    Attributes:
        digest: blake3 of its bytes.
        name: Its name without folders.
        path: Where it was when it was indexed.
        kind: Such as ``image``.
        node: Name of the node that wrote it.
        title: Title of the workflow.
        content: Digest of the value that was saved; empty if it is not known.
        run: Id of the run that wrote it; empty if it is not known.
        created: Unix time.
    """

    digest: Digest
    name: str
    path: str = ""
    kind: str = ""
    node: str = ""
    title: str = ""
    content: Digest = ""
    run: str = ""
    created: float = 0.0


@dataclass(frozen=True, slots=True)
class LineageSource:
    """Something that a result file was made from.

    Attributes:
        role: What it is.
        key: Digest of the file or of the pack's code; of a seed, the number.
        name: Name of the file, pack or input.
        detail: Kind of the model component, or version of the pack.
    """

    role: SourceRole
    key: str
    name: str = ""
    detail: str = ""


class Lineage:
    """The lineage of result files; safe to use from several threads."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def add(self, file: LineageFile, sources: Iterable[LineageSource]) -> None:
        """Note what a file was made from, in place of what was noted of the same bytes.

        Raises:
            sqlite3.Error: The index cannot be written.
        """
        # Names of files need not be UTF-8, and JSON of anybody can hold half a surrogate pair.
        row = to_well_formed([getattr(file, name) for name in _FILE_COLUMNS.split(", ")])
        known_sources = {(each.role, each.key, each.name): each for each in sources}
        rows = [
            to_well_formed((file.digest, each.role, each.key, each.name, each.detail))
            for each in known_sources.values()
        ]
        with self._index.writing() as connection:
            known = connection.execute(
                "SELECT created, run FROM lineage_files WHERE digest = ?", (file.digest,)
            ).fetchone()
            if known is not None:
                # The same bytes were written before: that is when they were made.
                row[-1] = min(known[0], file.created)
                row[-2] = known[1] or file.run
            connection.execute(_PUT_FILE, row)
            connection.execute("DELETE FROM lineage_sources WHERE file = ?", (file.digest,))
            connection.executemany(_PUT_SOURCE, rows)
            if known is None:
                _prune(connection)

    def file(self, digest: Digest) -> LineageFile | None:
        """The result file of certain bytes; None if it is not known."""
        query = f"SELECT {_FILE_COLUMNS} FROM lineage_files WHERE digest = ?"  # noqa: S608
        row = self._index.fetch_one(query, (digest,))
        return None if row is None else LineageFile(*row)

    def sources(self, digest: Digest) -> list[LineageSource]:
        """What a result file was made from, by role and name."""
        query = "SELECT role, key, name, detail FROM lineage_sources WHERE file = ?"
        with self._index.reading() as connection:
            rows = connection.execute(query, (digest,)).fetchall()
        sources = [LineageSource(*row) for row in rows]
        return sorted(sources, key=lambda each: (ROLES.index(each.role), each.name, each.key))

    def source(self, key: Digest) -> LineageSource | None:
        """A file that results were made from; None if no result was."""
        query = "SELECT role, key, name, detail FROM lineage_sources WHERE key = ? ORDER BY role"
        row = self._index.fetch_one(query, (key,))
        return None if row is None else LineageSource(*row)

    def users(self, role: SourceRole, key: str, limit: int) -> list[LineageFile]:
        """The result files that were made from something, the newest first."""
        with self._index.reading() as connection:
            return [LineageFile(*row) for row in connection.execute(_USERS, (role, key, limit))]

    def resolve(self, text: str) -> Digest:
        """The digest that begins with some digits: of a file, or of the value that it holds.

        Raises:
            InvalidValue: They are no digits of a digest, or there is none, or more than one.
        """
        prefix = text.strip().lower()
        if len(prefix) < _SHORTEST or not _HEX.fullmatch(prefix):
            raise InvalidValue(
                "this is not a file, nor the beginning of a digest",
                given=text[:80],
                expected=f"a file's path, or at least {_SHORTEST} hexadecimal digits",
            )
        end = f"{prefix}{_AFTER_HEX}"
        most = 9
        with self._index.reading() as connection:
            rows = connection.execute(_MATCHES, (prefix, end, prefix, end, most)).fetchall()
            rows = rows or connection.execute(_CONTENT, (prefix, end, most)).fetchall()
        digests: Sequence[str] = [digest for (digest,) in rows]
        if not digests:
            raise InvalidValue(
                "no known result has this digest, or was made from it",
                given=text[:80],
                hint="Add results from elsewhere with `nodegraph lineage --scan FOLDER`.",
            )
        if len(digests) > 1:
            shown = ", ".join(digest[: len(prefix) + 8] for digest in digests[: most - 1])
            raise InvalidValue("several digests begin so", given=text[:80], expected=shown)
        return digests[0]

    def count(self) -> int:
        """Number of result files that are known."""
        return int(self._index.fetch_one("SELECT count(*) FROM lineage_files")[0])


def _prune(connection: Connection) -> None:
    """Forget the oldest files beyond `_KEPT`; some more, so that this happens rarely."""
    count: Any = connection.execute("SELECT count(*) FROM lineage_files").fetchone()[0]
    if count <= _KEPT:
        return
    old = "SELECT digest FROM lineage_files ORDER BY created LIMIT ?"
    gone = connection.execute(old, (count - _KEPT + _KEPT // 100,)).fetchall()
    connection.executemany("DELETE FROM lineage_sources WHERE file = ?", gone)
    connection.executemany("DELETE FROM lineage_files WHERE digest = ?", gone)
