"""The files of clients and jobs at a place that several servers share, each by its digest."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from blake3 import blake3

from nodegraph.core.digests import Digest
from nodegraph.errors import OutputError
from nodegraph.jobs.queue.connection import Tables
from nodegraph.server.content.files.confined import ConfinedFolder
from nodegraph.server.content.files.place_calls import CircuitBreaker, ReportProgress
from nodegraph.store.remote.place import ObjectStorage, Unreachable

_LOG = logging.getLogger(__name__)
T = TypeVar("T")
_OWNER = "queue"
"""Object that says whose files they are."""
_SLOWEST = 1 << 20
"""Bytes a second; what is slower counts as no answer."""
_LISTING = 600.0
"""Seconds that a list of all files may take."""


class FilesUnreachable(OutputError):
    """The place of shared files can't be asked now; what it holds is safe."""

    code = "files-unreachable"


class FilesOfOthers(FilesUnreachable):
    """The place of shared files is another queue's, whose servers delete what they don't know."""


class SharedFiles:
    """Puts files there, and brings them; safe to use from several threads.

    Whatever is brought is compared with its digest. Nobody waits for a place that hangs for longer
    than a moment, so any thread may ask. Why a place can't be asked the log says: where it is is
    nobody's business who reads a file.

    Args:
        place: A folder that all servers have mounted, or a bucket.
        owner: The queue whose files they are: tells it from any other.
        calls: How the place is asked.
    """

    def __init__(
        self, store: ObjectStorage, owner: str, calls: CircuitBreaker | None = None
    ) -> None:
        self._store = store
        self._owner = owner
        self._calls = calls or CircuitBreaker()
        self._is_ours = False
        self._fault = ""

    def check(self) -> None:
        """See that the place is this queue's, as it becomes with the first server that asks.

        Raises:
            FilesOfOthers: It is another's.
            FilesUnreachable: It can't be told now; it is seen to before anything else then.
        """
        self._call(lambda _: None)

    def has(self, name: str) -> bool:
        """Whether a file is there.

        Raises:
            FilesUnreachable: It can't be told.
        """
        return self._call(lambda _: self._store.size(name)) is not None

    def put(self, name: str, path: Path) -> None:
        """Put a file there, unless it is there already.

        Raises:
            FilesUnreachable: That is impossible now.
            OutputError: There is no such file here any more.
        """
        if self.has(name):
            return
        try:
            seconds = path.stat().st_size / _SLOWEST
            self._call(lambda _: self._store.upload(name, path), seconds)
        except FileNotFoundError as error:
            raise OutputError(
                "the file was deleted while it was brought", hint="Bring it again."
            ) from error

    def names(self, folder: str) -> set[str]:
        """Of all files in a folder.

        Raises:
            FilesUnreachable: They can't be told.
        """
        return self._call(lambda _: {name for name, _ in self._store.list(folder)}, _LISTING)

    def download(self, name: str, digest: Digest, into: ConfinedFolder, file: str) -> bool:
        """Bring a file; whether it was there.

        Args:
            digest: Of its bytes.
            into, file: Where it is put, and under which name.
        Raises:
            FilesUnreachable: It can't be told.
            OutputError: It can't be written here.
        """
        return self._call(lambda goes_on: self._bring(name, digest, into, file, goes_on))

    def _bring(
        self, name: str, digest: Digest, into: ConfinedFolder, file: str, goes_on: ReportProgress
    ) -> bool:
        with into.new() as made:
            hasher = blake3()
            try:
                size = self._store.size(name)
                if size is None:
                    return False
                for chunk in self._store.chunks(name, size):
                    goes_on()
                    made.write(chunk)
                    hasher.update(chunk)
            except FileNotFoundError:
                return False
            if hasher.hexdigest() == digest:
                made.commit(file, synced=False)
                return True
            # Whoever still has the file puts it there anew.
            self._store.remove(name)
        _LOG.warning("%s of the shared files was damaged, and is removed", name)
        return False

    def remove(self, name: str) -> None:
        """Remove a file, if it is there.

        Raises:
            FilesUnreachable: That is impossible now.
        """
        self._call(lambda _: self._store.remove(name))

    def _call(self, call: Callable[[ReportProgress], T], seconds: float = 0.0) -> T:
        def made(goes_on: ReportProgress) -> T:
            self._check_owner()
            return call(goes_on)

        try:
            answer = self._calls.call(made, seconds)
        except Unreachable as error:
            self._is_ours = False  # something else may be mounted there next
            if str(error) != self._fault:
                self._fault = str(error)
                _LOG.warning("the shared files %s can't be reached: %s", self._store.url, error)
            raise FilesUnreachable(
                "the shared files can't be reached now",
                hint="They are asked for again by themselves; the server's log says what is wrong.",
            ) from error
        if self._fault:
            self._fault = ""
            _LOG.warning("the shared files %s are back", self._store.url)
        return answer

    def _check_owner(self) -> None:
        if self._is_ours:
            return
        try:
            owner = self._store.read(_OWNER)
        except FileNotFoundError:
            self._store.create(_OWNER, self._owner.encode())
            owner = self._store.read(_OWNER)
        if owner != self._owner.encode():
            raise FilesOfOthers(
                "the place of the shared files is another queue's",
                given=owner[:80].decode(errors="replace"),
                expected=self._owner,
                hint="Name a folder of its own as `shared_files`, as servers of two queues delete "
                f"each other's files; if that queue is gone for good, remove `{_OWNER}` there.",
            )
        self._is_ours = True


@dataclass(frozen=True, slots=True)
class FilePool:
    """What several servers have in common of files: the bytes, and what is known of them."""

    files: SharedFiles
    tables: Tables
