"""Search for files by the digest of their content, whatever their names and folders are now."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from nodegraph.core.digests import Digest
from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.weight_files import file_suffix
from nodegraph.errors import InvalidFile

OnRead: TypeAlias = Callable[[Path], object]
"""Called with each file before it is read to compute its digest."""


def find_by_digest(
    wanted: Mapping[Digest, int | None],
    files: Iterable[Path],
    *,
    names: Collection[str] = (),
    on_read: OnRead = lambda _: None,
    budget: int | None = None,
) -> dict[Digest, Path]:
    """Return the files that have the wanted contents, as far as they are here.

    Digests that are known cost nothing. Otherwise files are read, smallest first, until all are
    found. If all sizes are known, only files of these sizes are read.

    Args:
        wanted: Size in bytes of each content, by its digest; None if it is not known.
        files: Files to search.
        names: Names of files that are read before the others.
        budget: Bytes that may be read. None for any number.
    """
    sizes = set(wanted.values())
    located: dict[Digest, Path] = {}
    unread: list[tuple[bool, int, Path]] = []
    for path in files if wanted else ():
        known = FILE_DIGESTS.known(path)
        if known is not None:
            if known in wanted:
                located.setdefault(known, path)
        else:
            with suppress(OSError):  # it is gone since it was listed
                size = path.stat().st_size
                if None in sizes or size in sizes:
                    unread.append((path.name not in names, size, path))
    for _, size, path in sorted(unread):
        missing = {each for digest, each in wanted.items() if digest not in located}
        if not missing:
            break
        if None not in missing and size not in missing:
            continue
        if budget is not None:
            if size > budget:
                continue
            budget -= size
        on_read(path)
        with suppress(InvalidFile):  # it cannot be read, so it stands for none
            digest = FILE_DIGESTS.digest(path)
            if digest in wanted:
                located.setdefault(digest, path)
    return located


def files_below(
    folders: Sequence[Path], suffixes: Collection[str] = (), most: int | None = None
) -> Iterator[Path]:
    """Yield the regular files below some folders, without hidden ones.

    A link back to a folder that was visited is not followed.

    Args:
        suffixes: Endings of names in lower case. Empty for all.
        most: Number of files. None for all.
    """
    yield from islice(_files_below(folders, suffixes), most)


def _files_below(folders: Sequence[Path], suffixes: Collection[str]) -> Iterator[Path]:
    visited: set[str] = set()
    for folder in folders:
        for root, inner, files in os.walk(folder, followlinks=True):
            real = os.path.realpath(root)
            if real in visited:
                inner.clear()
                continue
            visited.add(real)
            inner[:] = sorted(each for each in inner if not each.startswith("."))
            for name in sorted(files):
                path = Path(root) / name
                is_of_kind = not suffixes or file_suffix(path) in suffixes
                if is_of_kind and not name.startswith(".") and path.is_file():
                    yield path
