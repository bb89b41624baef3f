"""Artifacts of other servers' workers: brought when somebody asks for them."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from nodegraph.core.digests import Digest
from nodegraph.server.content.artifacts.catalogue import FileLocation
from nodegraph.server.content.files.confined import ConfinedFolder
from nodegraph.server.content.files.shared import FilePool, FilesUnreachable
from nodegraph.server.http.errors import Unavailable
from nodegraph.server.http.sending import OpenFile

_AT_ONCE = 200
_GONE = 30 * 86_400
"""Seconds after which nobody waits for a server any more that was to delete a file."""
SHARED = ""
"""In place of a path: what was shared of a file."""


_UNSHARED = f"""
SELECT digest, number, path, stamp FROM files
WHERE shared = 0 AND (CAST(:before AS BIGINT) IS NULL OR number < :before)
ORDER BY number DESC LIMIT {_AT_ONCE}
"""  # noqa: S608
_REMOVALS = f"""
SELECT digest, path, asked, EXISTS (
    SELECT 1 FROM files WHERE files.digest = removals.digest
        AND (files.path = removals.path OR removals.path = '{SHARED}')
), asked < extract(epoch FROM clock_timestamp()) - {_GONE}
FROM removals WHERE (path, digest) > (?, ?) AND left(path, 8) <> 'uploads/'
ORDER BY path, digest LIMIT {_AT_ONCE}
"""  # noqa: S608


class FileComing(Unavailable):
    """A file that the server which has it hasn't shared yet."""

    code = "file-coming"


@dataclass(frozen=True, slots=True)
class Removal:
    """A file that is to be deleted.

    Attributes:
        requested_at: Unix time at which it was asked for.
        is_needed: Whether a job gave it once more.
        is_given_up: Whether it was asked for so long ago that the server which has it is gone.
    """

    digest: Digest
    path: str
    requested_at: float
    is_needed: bool
    is_given_up: bool


class SharedArtifacts:
    """The bytes of artifacts, as several servers share them; safe to use from several threads.

    Args:
        cache: Folder of what was brought here; made if it isn't there. All in it may be deleted.
        held: Bytes that it may take; what nobody asked for the longest goes first.
    """

    def __init__(self, shared: FilePool, cache: Path, *, held: int = 2 << 30) -> None:
        self.tables = shared.tables
        self._files = shared.files
        self._cache = ConfinedFolder(cache)
        self._most = held
        self._shrinking = Lock()

    # What a server does for the others.

    def unshared(self, before: int | None = None) -> list[tuple[Digest, FileLocation]]:
        """Files that only those have who wrote them, the last entered first.

        Args:
            before: Number of one, after which the list goes on.
        """
        with self.tables.explaining(), self.tables.reading() as connection:
            rows = connection.execute(_UNSHARED, {"before": before}).fetchall()
        return [(digest, FileLocation(*columns)) for digest, *columns in rows]

    def share(self, digest: Digest, path: Path) -> None:
        """Put a file where the others find it.

        Raises:
            FilesUnreachable: That is impossible now.
        """
        self._files.put(_name(digest), path)
        self._mark(digest, True)

    def removals(self, after: Removal | None = None) -> list[Removal]:
        """Files that are to be deleted by whoever has them; those at `SHARED` by anybody.

        Args:
            after: One, after which the list goes on.
        """
        path, digest = ("", "") if after is None else (after.path, after.digest)
        with self.tables.explaining(), self.tables.reading() as connection:
            rows = connection.execute(_REMOVALS, (path, digest)).fetchall()
        return [Removal(*row) for row in rows]

    def confirm_removal(self, digest: Digest, path: str) -> None:
        """A file was deleted, or is needed once more."""
        with self.tables.explaining(), self.tables.writing() as connection:
            connection.execute("DELETE FROM removals WHERE path = ? AND digest = ?", (path, digest))

    # What it has of the others.

    def open(self, digest: Digest) -> OpenFile | None:
        """A file, brought from where they share it; None if it can't be had.

        Raises:
            FileComing: Its server is about to share it.
            FilesUnreachable: It can't be brought now.
        """
        opened = self._opened(digest)
        # Asked before it is looked for: it may come between the two.
        is_coming = opened is None and self._is_unshared(digest)
        if opened is None and self._files.download(_name(digest), digest, self._cache, digest):
            opened = self._opened(digest)
            self._shrink()
        if opened is None and is_coming:
            raise FileComing(
                "this file is still on its way from the server whose worker wrote it",
                given=digest,
                hint="Ask again in a moment; if it stays so, that server isn't there any more.",
            )
        if opened is None:
            self._mark(digest, False)  # for whoever has it
        return opened

    def remove(self, digest: Digest) -> None:
        """Delete what nothing in the catalogue names any more, later if it is impossible now."""
        self._cache.remove(digest)
        try:
            self._files.remove(_name(digest))
        except FilesUnreachable:
            self.request_removal(digest, SHARED)
            return
        # Another server may have entered it meanwhile, and found it there.
        self._mark(digest, False)

    def request_removal(self, digest: Digest, path: str) -> None:
        """Have a file deleted by the server that has it."""
        add = (
            "INSERT INTO removals (path, digest) VALUES (?, ?) ON CONFLICT (path, digest) DO UPDATE"
            " SET asked = extract(epoch FROM clock_timestamp())"
        )
        with self.tables.explaining(), self.tables.writing() as connection:
            connection.execute(add, (path, digest))

    def _mark(self, digest: Digest, is_shared: bool) -> None:
        with self.tables.explaining(), self.tables.writing() as connection:
            connection.execute(
                "UPDATE files SET shared = ? WHERE digest = ?", (int(is_shared), digest)
            )

    def _is_unshared(self, digest: Digest) -> bool:
        query = "SELECT 1 FROM files WHERE digest = ? AND shared = 0 LIMIT 1"
        with self.tables.explaining(), self.tables.reading() as connection:
            return connection.execute(query, (digest,)).fetchone() is not None

    def _opened(self, digest: Digest) -> OpenFile | None:
        try:
            file = self._cache.open(digest)
        except OSError:
            return None
        with suppress(OSError):
            os.utime(self._cache.root / digest)
        return OpenFile(file, os.fstat(file.fileno()).st_size, digest)

    def _shrink(self) -> None:
        with self._shrinking:
            statuses = [(self._cache.status(name), name) for name in self._cache.names()]
            files = sorted(
                (s.st_mtime_ns, s.st_size, name) for s, name in statuses if s is not None
            )
            held = sum(size for _, size, _ in files)
            for _, size, name in files:
                if held <= self._most:
                    return
                with suppress(OSError):
                    self._cache.remove(name)
                    held -= size


def _name(digest: Digest) -> str:
    return f"artifacts/{digest[:2]}/{digest}"
