"""Whether a shared place holds what the names of its objects promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from blake3 import blake3

from nodegraph.errors import InvalidFile
from nodegraph.store.remote.objects import (
    ARTIFACTS,
    ENTRIES,
    digest_of_artifact,
    key_of_entry,
    unpack_entry,
)
from nodegraph.store.remote.place import ObjectStorage, Unreachable

Progress = Callable[[int, int], None]
"""Is told how many bytes of how many were checked."""


@dataclass(slots=True)
class RemoteReport:
    """What was found.

    Attributes:
        entries, files: That were read.
        bytes: Of them all.
        damaged: Names of objects that don't hold what they should.
        missing: Files that entries tell of and that aren't there: these are computed again.
        repaired: Whether what is damaged was removed.
    """

    url: str
    entries: int = 0
    files: int = 0
    bytes: int = 0
    damaged: list[str] = field(default_factory=list)
    missing: int = 0
    repaired: bool = False

    @property
    def is_sound(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damaged


def verify_storage(
    storage: ObjectStorage, *, repair: bool = False, progress: Progress | None = None
) -> RemoteReport:
    """Read everything that lies at a place. Others may go on with it meanwhile.

    Args:
        repair: Remove what is damaged: it will be computed again.
        progress: Called after each object.
    Raises:
        InvalidFile: The place can't be asked.
    """
    try:
        return _Checking(storage, progress or _no_progress, repair=repair).report()
    except Unreachable as error:
        raise InvalidFile(f"the remote store {storage.url} can't be reached: {error}") from error


def _no_progress(done: int, total: int) -> None:
    pass


class _Checking:
    """One check of a place."""

    def __init__(self, storage: ObjectStorage, progress: Progress, *, repair: bool) -> None:
        self._storage = storage
        self._progress = progress
        self._repair = repair
        self._report = RemoteReport(storage.url, repaired=repair)
        self._referenced: set[str] = set()

    def report(self) -> RemoteReport:
        entries, files = dict(self._storage.list(ENTRIES)), dict(self._storage.list(ARTIFACTS))
        total = sum(entries.values()) + sum(files.values())
        for name, size in entries.items():
            self._report.entries += 1
            self._check(name, size, self._is_whole_entry)
            self._progress(self._report.bytes, total)
        for name, size in files.items():
            self._report.files += 1
            self._check(name, size, self._is_whole_file)
            self._progress(self._report.bytes, total)
        self._report.missing = len(self._referenced - files.keys())
        return self._report

    def _check(self, name: str, size: int, is_whole: Callable[[str, int], bool]) -> None:
        try:
            is_intact = is_whole(name, size)
        except FileNotFoundError:
            return  # somebody removed it meanwhile
        self._report.bytes += size
        if not is_intact:
            self._report.damaged.append(name)
            if self._repair:
                self._storage.remove(name)

    def _is_whole_entry(self, name: str, size: int) -> bool:
        key = key_of_entry(name)
        if key is None:
            return False
        try:
            entry = unpack_entry(self._storage.read(name), key)
        except ValueError:
            return False
        self._referenced.update(each.name for each in entry.files)
        return True

    def _is_whole_file(self, name: str, size: int) -> bool:
        hasher = blake3()
        for chunk in self._storage.chunks(name, size):
            hasher.update(chunk)
        return hasher.hexdigest() == digest_of_artifact(name)
