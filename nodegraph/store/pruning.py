"""Prune results, checkpoints and trained files that nothing uses any more."""

from __future__ import annotations

import base64
import mmap
import re
import sqlite3
import zlib
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import NamedTuple

from nodegraph.errors import OutputError
from nodegraph.store.artifacts import bytes_on_disk, is_unused
from nodegraph.store.checkpoints import Checkpoints
from nodegraph.store.codec import MSGPACK, TensorReader
from nodegraph.store.history import Runs
from nodegraph.store.store import Store
from nodegraph.store.writer import to_store_error

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
            raise OutputError(f"cannot remove {item.folder}: {error}") from error


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


_AT_ONCE = 512
"""Files that go in one transaction, so that other processes get their turn."""


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What was removed, or would be.

    Attributes:
        artifacts: How many values.
        bytes: Of their files.
        entries: How many calls are forgotten.
        checkpoints: How many unfinished calls will start afresh.
        checkpoint_bytes: Of their files.
    """

    artifacts: int = 0
    bytes: int = 0
    entries: int = 0
    checkpoints: int = 0
    checkpoint_bytes: int = 0


def prune(store: Store, unused_since: float, *, dry_run: bool = False) -> PruneReport:
    """Remove what wasn't used since a moment: values, what is known of calls, checkpoints.

    What a run may need that goes on in any process stays.

    Args:
        unused_since: Unix time; infinity removes everything.
        dry_run: Remove nothing, only count.
    Raises:
        OutputError: The store can't be written.
    """
    moment = min(unused_since, needed_since(store))
    if dry_run:
        return _counted(store, moment)
    store.flush()
    try:
        artifacts, freed = _remove_artifacts(store, moment)
        checkpoints, checkpoint_bytes = _remove_checkpoints(store, moment)
        return PruneReport(
            artifacts, freed, _remove_entries(store, moment), checkpoints, checkpoint_bytes
        )
    except (sqlite3.Error, OSError) as error:
        raise to_store_error(error) from error


def preview_trim(store: Store, budget: int) -> PruneReport:
    """What `Store.trim` would remove to fit a budget, as things are now."""
    needed = needed_since(store)
    with store.index.reading() as connection:
        excess = bytes_on_disk(connection) - budget
        rows = connection.execute(
            "SELECT file, bytes FROM artifacts WHERE used < ? ORDER BY score", (needed,)
        )
        return _whole_files(connection, rows, excess)


def _whole_files(
    connection: sqlite3.Connection, rows: Iterator[tuple[bytes, int]], excess: int
) -> PruneReport:
    shared = {
        bytes(file): count
        for file, count in connection.execute(
            "SELECT file, count(*) FROM artifacts GROUP BY file HAVING count(*) > 1"
        )
    }
    artifacts = freed = 0
    for file, size in rows:
        if freed >= excess:
            break
        artifacts += 1
        left = shared[file] = shared.get(file, 1) - 1
        freed += 0 if left else size
    return PruneReport(artifacts, freed)


def needed_since(store: Store) -> float:
    """What was used since then may be in use, in any process; infinity if nothing is.

    Raises:
        OutputError: The store is only read here.
    """
    if store.claims is None:
        raise store.read_only_error()
    oldest = Runs(store.index, store.claims).oldest_live_start()
    return float("inf") if oldest is None else oldest


def _counted(store: Store, moment: float) -> PruneReport:
    index = store.index
    entries = index.fetch_one("SELECT count(*) FROM entries WHERE used < ?", (moment,))[0]
    checkpoints, checkpoint_bytes = index.fetch_one(
        "SELECT count(*), coalesce(sum(bytes), 0) FROM checkpoints WHERE created < ?", (moment,)
    )
    with index.reading() as connection:
        rows = connection.execute("SELECT file, bytes FROM artifacts WHERE used < ?", (moment,))
        pruned = _whole_files(connection, rows, 1 << 62)
    return PruneReport(pruned.artifacts, pruned.bytes, entries, checkpoints, checkpoint_bytes)


def _remove_artifacts(store: Store, moment: float) -> tuple[int, int]:
    count = freed = 0
    while True:
        with store.index.writing() as connection:
            rows = connection.execute(
                "SELECT digest, file, suffix, bytes FROM artifacts WHERE used < ? LIMIT ?",
                (moment, _AT_ONCE),
            ).fetchall()
            for digest, file, suffix, size in rows:
                connection.execute("DELETE FROM artifacts WHERE digest = ?", (digest,))
                if is_unused(connection, file.hex()):
                    store.blobs.remove(file.hex(), suffix)
                    freed += size
        count += len(rows)
        if len(rows) < _AT_ONCE:
            return count, freed


def _remove_checkpoints(store: Store, moment: float) -> tuple[int, int]:
    checkpoints = Checkpoints(store)
    rows = [row for row in checkpoints.rows() if row.created < moment]
    for row in rows:
        checkpoints.remove(row.key)
    return len(rows), sum(row.bytes for row in rows)


def _remove_entries(store: Store, moment: float) -> int:
    with store.index.writing() as connection:
        connection.execute("DELETE FROM written WHERE used < ?", (moment,))
        return connection.execute("DELETE FROM entries WHERE used < ?", (moment,)).rowcount
