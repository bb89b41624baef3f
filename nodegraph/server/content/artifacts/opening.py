"""Opening the file of an artifact, if it still holds what it did."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import BinaryIO

from blake3 import blake3

from nodegraph.errors import OutputError
from nodegraph.server.content.artifacts.catalogue import FileLocation
from nodegraph.server.content.files.confined import ConfinedFolder, UnsafePath
from nodegraph.server.http.errors import FileGone
from nodegraph.server.http.sending import OpenFile

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
                reasons.append("it was changed since")
            except BaseException:
                file.close()
                raise
            file.close()
    raise FileGone(
        f"the file of this artifact can't be had any more: {reasons[0]}",
        given=digest,
        hint="Submit its job's workflow once more; what is still in the store isn't computed anew.",
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
        raise OutputError(f"the file can't be deleted: {reason}", given=path.name) from error


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
    raise _Missing("it lies outside of the folders that this server gives files from")


def _opened_below(base: Path, inner: PurePath) -> BinaryIO:
    try:
        return ConfinedFolder(base).open(*inner.parts or ("",))
    except FileNotFoundError:
        raise _Missing("it was moved or deleted") from None
    except UnsafePath:
        raise _Missing("a link stands in its place") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise _Missing(f"it can't be read ({reason or 'its path is none'})") from None


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
