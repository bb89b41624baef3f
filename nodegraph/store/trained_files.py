"""Files of what was taught that no value kept on disk and no run refers to any more."""

from __future__ import annotations

import base64
import mmap
import re
import zlib
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import NamedTuple

from nodegraph.errors import OutputError
from nodegraph.store.codec import MSGPACK
from nodegraph.store.pruning import needed_since
from nodegraph.store.store import Store
from nodegraph.store.tensors import TensorReader

_DIGEST = re.compile(r"[0-9a-f]{64}")
_SKELETON = re.compile(rb'"skeleton":"([A-Za-z0-9+/=]*)"')
"""What a small value with tensors says beside them, in the header that comes before."""


class UnusedTrainedFiles(NamedTuple):
    """What was taught, and isn't referred to.

    Attributes:
        folder: Named by the digest of its weights.
        bytes: Of its files.
    """

    folder: Path
    bytes: int


def unused_trained_files(store: Store, folder: Path) -> list[UnusedTrainedFiles]:
    """What was taught, lies in a folder, and is named by no value and no run in a store.

    What is newer than the oldest run that goes on isn't among it.

    Raises:
        OutputError: The store can't be written, so it isn't known who else uses it.
    """
    moment = needed_since(store)
    with suppress(FileNotFoundError):
        lying = {path.name: path for path in folder.iterdir() if _is_trained_folder(path)}
        named = _named(store, lying) if lying else set()
        return [
            UnusedTrainedFiles(path, sum(file.stat().st_size for file in path.iterdir()))
            for name, path in sorted(lying.items())
            if name not in named and path.stat().st_mtime < moment
        ]
    return []


def remove_trained_files(unused: list[UnusedTrainedFiles]) -> None:
    """Remove it.

    Raises:
        OutputError: It can't be removed.
    """
    for item in unused:
        try:
            rmtree(item.folder)
        except OSError as error:
            raise OutputError(f"can't remove {item.folder}: {error}") from error


def _is_trained_folder(path: Path) -> bool:
    return path.is_dir() and _DIGEST.fullmatch(path.name) is not None


def _named(store: Store, names: Collection[str]) -> set[str]:
    """Those names that are spoken of anywhere."""
    missing = {name.encode() for name in names}
    for data in _stored_texts(store):
        if not missing:
            break
        inner = [base64.b64decode(encoded) for encoded in _SKELETON.findall(data)]
        missing -= {name for name in missing if any(name in text for text in (data, *inner))}
    return set(names) - {name.decode() for name in missing}


def _stored_texts(store: Store) -> Iterator[bytes]:
    """All that values and runs say in text."""
    with store.index.reading() as connection:
        small = connection.execute("SELECT outputs FROM entries WHERE outputs IS NOT NULL")
        yield from (bytes(row[0]) for row in small)
        records = connection.execute("SELECT record FROM runs WHERE record IS NOT NULL")
        yield from (zlib.decompress(row[0]) for row in records)
        files = connection.execute("SELECT DISTINCT file, suffix FROM artifacts").fetchall()
    for file, suffix in files:
        with suppress(FileNotFoundError):
            yield _text_of(store.blobs.path(bytes(file).hex(), suffix), suffix)


def _text_of(path: Path, suffix: str) -> bytes:
    """What a value's file says beside its tensors.

    Raises:
        FileNotFoundError: Another process has removed it.
    """
    if suffix == MSGPACK:
        return path.read_bytes()
    with path.open("rb") as file:
        if not path.stat().st_size:
            return b""
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            view = memoryview(data)
            try:
                return bytes(TensorReader(view).skeleton())
            except (ValueError, KeyError, TypeError):
                return b""  # damaged: nobody can read it
            finally:
                view.release()
