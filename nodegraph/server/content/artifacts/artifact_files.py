"""Open, delete and share the files of artifacts."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from threading import Lock
from time import monotonic
from typing import BinaryIO

from blake3 import blake3

from nodegraph.core.digests import Digest
from nodegraph.errors import NodegraphError, OutputError
from nodegraph.jobs.queue import JobEvent
from nodegraph.server.content.artifacts.catalogue import FileLocation
from nodegraph.server.content.files.safe_files import ConfinedFolder, UnsafePath
from nodegraph.server.content.files.shared_files import FilePool, FilesUnreachable
from nodegraph.server.http.errors import FileGone, Unavailable
from nodegraph.server.http.responses import OpenFile

_LOG = logging.getLogger(__name__)
_STEP = 4 << 20
_UNSETTLED = 2_000_000_000
"""Nanoseconds for which a file counts as just written: a second change within one tick of a file
system's clock leaves the same time behind."""


class _Missing(Exception):
    """Why a file can't stand for its bytes."""


def open_artifact(
    digest: str,
    locations: Sequence[FileLocation],
    roots: Sequence[Path],
    mark: Callable[[FileLocation, str], None],
) -> OpenFile:
    """The first of some files that holds certain bytes, open.

    Args:
        locations: Where the bytes lay.
        roots: Folders outside of which nothing is opened.
        mark: Notes that a file was seen to hold them, by its stamp.
    Raises:
        FileGone: None of them does any more; it says what became of the first.
    """
    reasons = []
    for location in locations:
        for path in (Path(location.path), *_moved(Path(location.path), roots)):
            try:
                file = _opened(path, roots)
            except _Missing as missing:
                reasons.append(str(missing))
                continue
            try:
                if _has_digest(file, digest, location, mark):
                    return OpenFile(file, os.fstat(file.fileno()).st_size, digest)
                reasons.append("it has changed since then")
            except BaseException:
                file.close()
                raise
            file.close()
    raise FileGone(
        f"the file of this artifact is no longer available: {reasons[0]}",
        given=digest,
        hint="Submit the workflow of its job again. Results that are still in the store are not "
        "computed again.",
    )


def remove_artifact(
    digest: str, location: FileLocation, roots: Sequence[Path], *, written_before: float = math.inf
) -> bool:
    """Delete a file, if it holds certain bytes and lies where files are handed out from.

    Args:
        written_before: Unix time; one that was written since then is another job's.
    Returns:
        Whether there was one.
    """
    path = Path(location.path)
    try:
        return any(
            _removed(digest, location, each, roots, written_before)
            for each in (path, *_moved(path, roots))
        )
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"the file cannot be deleted: {reason}", given=path.name) from error


def _removed(
    digest: str, location: FileLocation, path: Path, roots: Sequence[Path], written_before: float
) -> bool:
    try:
        base = _base(path, roots)
        with _opened(path, roots) as file:
            is_ours = os.fstat(file.fileno()).st_mtime < written_before and _has_digest(
                file, digest, location, lambda *_: None
            )
        if is_ours:
            ConfinedFolder(base).remove(*path.relative_to(base).parts)
        return is_ours
    except _Missing:
        return False  # nothing to delete, or not ours to delete


def _moved(path: Path, roots: Sequence[Path]) -> Iterator[Path]:
    """Where a file may lie by now: below a folder of the same name, as the home was moved."""
    for root in roots:
        if path.is_relative_to(root.absolute()) or path.is_relative_to(root.resolve()):
            continue
        for at in range(len(path.parts) - 2, 0, -1):
            if path.parts[at] == root.name:
                yield root.absolute().joinpath(*path.parts[at + 1 :])


def _opened(path: Path, roots: Sequence[Path]) -> BinaryIO:
    base = _base(path, roots)
    return _opened_below(base, path.relative_to(base))


def _base(path: Path, roots: Sequence[Path]) -> Path:
    for root in roots:
        # A worker may tell of a folder by its own path or by that which links lead to.
        for base in dict.fromkeys((root.absolute(), root.resolve())):
            if path.is_relative_to(base):
                return base
    raise _Missing("it is outside the folders from which this server sends files")


def _opened_below(base: Path, inner: PurePath) -> BinaryIO:
    try:
        return ConfinedFolder(base).open(*inner.parts or ("",))
    except FileNotFoundError:
        raise _Missing("it was moved or deleted") from None
    except UnsafePath:
        raise _Missing("a link has replaced it") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise _Missing(f"it cannot be read ({reason or 'its path is not valid'})") from None


def _has_digest(
    file: BinaryIO, digest: str, location: FileLocation, mark: Callable[[FileLocation, str], None]
) -> bool:
    """Whether a file has the bytes; they are read only if it was written since it was last seen."""
    status = os.fstat(file.fileno())
    times = status.st_mtime_ns, status.st_ctime_ns
    stamp = json.dumps([status.st_size, *times, status.st_ino])
    if stamp == location.stamp:
        return True
    is_settled = time.time_ns() - max(times) > _UNSETTLED
    hasher = blake3()
    while chunk := file.read(_STEP):
        hasher.update(chunk)
    file.seek(0)
    if hasher.hexdigest() != digest:
        return False
    if is_settled:
        mark(location, stamp)
    return True


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
                "this file is not yet copied from the server whose worker wrote it",
                given=digest,
                hint="Try again in a moment. If the error stays, that server no longer runs.",
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


_OUTPUT_EVENTS = frozenset({"node.wrote", "job.finished"})
_EVERY = 60.0
"""Seconds after which it is looked again without a reason."""
_AGAIN = 3.0
"""Seconds after which what went wrong is tried again."""


class ArtifactSharing:
    """Shares files as soon as it is told of them, for an event loop.

    A server that was killed in between, or couldn't reach the place, does so later: what isn't
    shared yet stands in the catalogue.

    Args:
        share, retry_missing: See `Artifacts`.
    """

    def __init__(self, share: Callable[[], None], retry_missing: Callable[[], None]) -> None:
        self._share = share
        self._retry_missing = retry_missing
        self._wanted = asyncio.Event()

    def handle_events(self, events: Sequence[JobEvent]) -> None:
        """Look at what happened in the queue."""
        if any(event.kind in _OUTPUT_EVENTS for event in events):
            self._wanted.set()

    async def run(self) -> None:
        """Do so until it is cancelled."""
        is_well = True
        looked = monotonic()
        while True:
            self._wanted.clear()
            try:
                await asyncio.to_thread(self._share)
                is_well = True
            except (NodegraphError, OSError) as error:
                if is_well:
                    _LOG.warning("output files of jobs cannot be shared now: %s", error)
                is_well = False
            is_due = monotonic() - looked >= _EVERY  # however much happens meanwhile
            # Not `asyncio.wait_for`: before Python 3.12 it ignores a cancellation where what it
            # waits for happens at the same moment, and this would go on for ever.
            waiting = asyncio.ensure_future(self._wanted.wait())
            try:
                done, _ = await asyncio.wait({waiting}, timeout=_EVERY if is_well else _AGAIN)
            finally:
                waiting.cancel()
            is_due = is_due or not done
            if is_due:
                self._retry_missing()
                looked = monotonic()
