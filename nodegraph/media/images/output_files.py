"""Numbered files of results: ``apple_00001.png``, ``apple_00002.png``, …"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nodegraph.core.digests import digest_bytes
from nodegraph.errors import InvalidValue, OutputError
from nodegraph.media.images.output_names import check_name
from nodegraph.media.images.output_numbers import (
    NumberIndex,
    NumberReservation,
    delete_index,
    file_name,
    open_number_index,
)

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A result on disk.

    Attributes:
        existed: A file with these bytes was there already and was left as it is.
    """

    path: Path
    existed: bool


def save_numbered(
    folder: Path, name: str, suffix: str, contents: Sequence[bytes], *, index: Path | None = None
) -> list[SavedFile]:
    """Put files under the next free numbers; files of that name with the same bytes are reused.

    Nothing that exists is ever overwritten, also if others write there at the same time.

    Args:
        folder: Everything stays inside; it is made if need be.
        name: What the file names begin with; may have sub-folders, as in ``fruit/apple``.
        suffix: Such as ``.png``.
        index: Database that remembers what is in such folders, which needn't be looked through
            each time then; made if it isn't there.
    Returns:
        One entry for each of `contents`.
    Raises:
        InvalidValue: The name leads out of the folder or can't be a file's.
        OutputError: No permission, no space.
    """
    check_name(name)
    stem = folder / name
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        check_inside(folder, stem)
        try:
            return _saved(stem, suffix, contents, index)
        except sqlite3.Error as error:
            _LOG.warning("%s can't be used, so %s is looked through: %s", index, folder, error)
            if index is not None and not isinstance(error, sqlite3.OperationalError):
                delete_index(index)
            return _saved(stem, suffix, contents, None)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"can't write to {stem.parent}: {reason}") from error


def _saved(
    stem: Path, suffix: str, contents: Sequence[bytes], index: Path | None
) -> list[SavedFile]:
    saved: list[SavedFile] = []
    with open_number_index(index, stem.parent) as numbers:
        for content in contents:
            taken = [item.path for item in saved]
            paths = (
                stem.with_name(file_name(stem.name, number, suffix))
                for number in numbers.find_same_content(stem.name, suffix, content)
            )
            # A file doesn't stand for two of the results.
            known = next(
                (path for path in paths if path not in taken and _has_content(path, content)), None
            )
            path = known or _write_new(stem, suffix, numbers, content)
            saved.append(SavedFile(path, existed=known is not None))
    return saved


def save_by_content(folder: Path, suffix: str, content: bytes) -> SavedFile:
    """Put a file into a folder under a name made of its content; equal content is reused.

    Raises:
        OutputError: No permission, no space.
    """
    path = folder / f"{digest_bytes(content)[:16]}{suffix}"
    if _has_content(path, content):
        return SavedFile(path, existed=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"can't make the folder {folder}: {error.strerror or error}") from error
    _write(path, content)
    return SavedFile(path, existed=False)


def check_inside(folder: Path, stem: Path) -> None:
    """Refuse a name whose folder is a link that leads elsewhere.

    Raises:
        InvalidValue: It is.
    """
    if not stem.parent.resolve().is_relative_to(folder.resolve()):
        raise InvalidValue(
            "this can't be the name of a result: a link leads it out of the output folder",
            port="name",
            given=str(stem),
        )


def _has_content(path: Path, content: bytes) -> bool:
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError:
        # Gone or unreadable: then it can't be reused.
        return False


def _write_new(stem: Path, suffix: str, numbers: NumberIndex, content: bytes) -> Path:
    """Write under the first free number."""
    descriptor = _open_unnamed(stem.parent, content)
    if descriptor is not None:
        try:
            with numbers.reserve(stem.name, suffix, content) as adding:
                return _claim_path(stem, suffix, adding, partial(_link_open, descriptor))
        except OSError as error:
            _LOG.debug("a file without a name can't be given one at %s: %s", stem, error)
        finally:
            os.close(descriptor)
    temporary = stem.with_name(f".{os.urandom(8).hex()}{suffix}")
    with numbers.reserve(stem.name, suffix, content) as adding:
        _write(temporary, content)
        try:
            return _claim_path(stem, suffix, adding, partial(_claim, temporary))
        except OSError as error:
            raise OutputError(f"can't write {stem}: {error.strerror or error}") from error
        finally:
            temporary.unlink(missing_ok=True)


def _claim_path(
    stem: Path, suffix: str, adding: NumberReservation, claim: Callable[[Path], bool]
) -> Path:
    """Try one number after the other until one is free."""
    while True:
        path = stem.with_name(file_name(stem.name, adding.number, suffix))
        if claim(path):
            return path
        adding.number += 1


def _open_unnamed(folder: Path, content: bytes) -> int | None:
    """An open file that has no name yet; None where there are none, or it can't be written.

    Of a process that is killed before it has given it one, nothing is left.
    """
    if not hasattr(os, "O_TMPFILE"):
        return None
    descriptor: int | None = None
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o666)
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    except OSError:
        # The way with a name says what is wrong, if anything is.
        if descriptor is not None:
            os.close(descriptor)
        return None
    return descriptor


def _link_open(descriptor: int, path: Path) -> bool:
    """Give an open file without a name its name, unless that is taken."""
    try:
        # With a folder's descriptor, which isn't used, the system follows the link in /proc.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
    except FileExistsError:
        return False
    return True


def _write(path: Path, content: bytes) -> None:
    # Names are checked before a run, when numpy and Pillow aren't needed yet.
    from nodegraph.media.images.images import write_atomically

    write_atomically(path, content)


def _claim(temporary: Path, path: Path) -> bool:
    """Give a written file its name, unless that is taken."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:
        # A file system without hard links: the check and the rename are two steps there.
        if path.exists():
            return False
        temporary.rename(path)
    return True
