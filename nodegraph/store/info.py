"""What lies in a store: counts, sizes, and a list of its entries."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nodegraph.core.keys import Key
from nodegraph.store.entries import StoredOutput, leaves, unpack_outputs
from nodegraph.store.index import Index
from nodegraph.store.store import Store

if TYPE_CHECKING:
    from nodegraph.store.remote.tier import RemoteInfo

EntryOrder = Literal["newest", "oldest", "largest", "slowest"]

_AT_ONCE = 1000
"""Rows that are read with one query, so that a long list keeps nobody else from reading."""
_SELECT = "SELECT rowid, key, outputs, node_type, seconds, created, used, run FROM entries WHERE"
_BY_NUMBER = f"""
{_SELECT} rowid > ? AND node_type GLOB ? AND created < ? ORDER BY rowid LIMIT {_AT_ONCE}
"""
_BY_TIME: Mapping[EntryOrder, str] = {
    "newest": f"{_SELECT} node_type GLOB ? AND created < ? ORDER BY created DESC LIMIT ?",
    "oldest": f"{_SELECT} node_type GLOB ? AND created < ? ORDER BY created LIMIT ?",
}
_LARGEST: Mapping[EntryOrder, str] = {"largest": "bytes", "slowest": "seconds"}


@dataclass(frozen=True, slots=True)
class EntryInfo:
    """What is kept of one call.

    Attributes:
        size: Bytes that its outputs take in memory, about.
        bytes: That they take on disk, in files and in the index.
        seconds: That computing it took.
        created, used: Unix time.
        run: Id of the run that computed it.
        is_whole: Whether every output can be loaded; else only its digest is known.
    """

    key: Key
    node_type: str
    size: int
    bytes: int
    seconds: float
    created: float
    used: float
    run: str
    is_whole: bool


@dataclass(frozen=True, slots=True)
class TypeUsage:
    """All that is kept of a node type's calls.

    Attributes:
        bytes: On disk; what several entries share counts once, for the first of them.
        seconds: That computing those took that can be loaded.
    """

    node_type: str
    entries: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """A store in numbers; sizes in bytes.

    Attributes:
        budget: What artifacts may take.
        artifacts, artifact_bytes: Files of results.
        entries: Calls that are known.
        whole: How many of them can be loaded.
        seconds: That computing those took.
        oldest, newest: When entries were computed, in Unix time; None without any.
        types: The most bytes first.
        remote: What is shared with other machines, as far as it is known here.
    """

    folder: Path
    budget: int
    artifacts: int
    artifact_bytes: int
    entries: int
    whole: int
    seconds: float
    oldest: float | None
    newest: float | None
    types: Sequence[TypeUsage]
    runs: int
    checkpoints: int
    checkpoint_bytes: int
    index_bytes: int
    quarantined: int
    quarantine_bytes: int
    remote: RemoteInfo | None


def describe(store: Store) -> StoreInfo:
    """A store in numbers. Takes a few seconds for a million entries."""
    index = store.index
    artifacts, artifact_bytes = index.fetch_one(
        "SELECT count(*), coalesce(sum(bytes), 0) FROM (SELECT DISTINCT file, bytes FROM artifacts)"
    )
    checkpoints, checkpoint_bytes = index.fetch_one(
        "SELECT count(*), coalesce(sum(bytes), 0) FROM checkpoints"
    )
    entries, oldest, newest = index.fetch_one(
        "SELECT count(*), min(created), max(created) FROM entries"
    )
    types, whole = _types(index)
    quarantined = _sizes(store.folder / "quarantine")
    return StoreInfo(
        folder=store.folder,
        budget=store.budget,
        artifacts=artifacts,
        artifact_bytes=artifact_bytes,
        entries=entries,
        whole=whole,
        seconds=sum(each.seconds for each in types),
        oldest=oldest,
        newest=newest,
        types=types,
        runs=index.fetch_one("SELECT count(*) FROM runs")[0],
        checkpoints=checkpoints,
        checkpoint_bytes=checkpoint_bytes,
        index_bytes=sum(_sizes(store.folder, "index.sqlite*")),
        quarantined=len(quarantined),
        quarantine_bytes=sum(quarantined),
        remote=None if store.remote is None else store.remote.info(),
    )


def list_entries(
    store: Store,
    *,
    node_type: str = "*",
    before: float | None = None,
    order: EntryOrder = "newest",
    limit: int = 50,
) -> list[EntryInfo]:
    """Some of the entries.

    Args:
        node_type: A name, or a pattern with ``*`` and ``?``.
        before: Only what was computed before this Unix time.
        order: What comes first.
        limit: How many at most.
    """
    moment = float("inf") if before is None else before
    sizes = _ArtifactSizes(store.index)
    if order in _BY_TIME:
        with store.index.reading() as connection:
            rows = connection.execute(_BY_TIME[order], (node_type, moment, limit)).fetchall()
        return [_entry(row, sizes) for row in rows]
    entries = (_entry(row, sizes) for row in _entries(store.index, node_type, moment))
    return heapq.nlargest(limit, entries, key=attrgetter(_LARGEST[order]))


class _ArtifactSizes:
    """Bytes of artifacts' files, by digest."""

    def __init__(self, index: Index) -> None:
        with index.reading() as connection:
            rows = connection.execute("SELECT digest, bytes FROM artifacts").fetchall()
        self._known: dict[str, int] = {digest.hex(): size for digest, size in rows}

    def of(self, output: StoredOutput) -> int | None:
        """Bytes on disk of an output that is no list; None if it isn't there."""
        return self._known.get(output.digest) if output.inline is None else len(output.inline)


def _entries(index: Index, node_type: str, before: float) -> Iterator[Any]:
    """Rows of entries, in the order in which they were first put."""
    number = -1
    while True:
        with index.reading() as connection:
            rows = connection.execute(_BY_NUMBER, (number, node_type, before)).fetchall()
        yield from rows
        if len(rows) < _AT_ONCE:
            return
        number = rows[-1][0]


def _entry(row: Any, sizes: _ArtifactSizes) -> EntryInfo:
    _, key, packed, node_type, seconds, created, used, run = row
    outputs = _outputs(packed)
    known = [sizes.of(leaf) for leaf in leaves(outputs or ())]
    return EntryInfo(
        key=key.hex(),
        node_type=node_type,
        size=sum(output.size for output in outputs or ()),
        bytes=sum(size or 0 for size in known),
        seconds=seconds,
        created=created,
        used=used,
        run=run,
        is_whole=outputs is not None and None not in known,
    )


def _outputs(packed: bytes | None) -> Sequence[StoredOutput] | None:
    """The outputs of an entry; None if they are damaged."""
    try:
        return () if packed is None else unpack_outputs(packed)
    except ValueError:
        return None


def _types(index: Index) -> tuple[list[TypeUsage], int]:
    """What is kept of each type, and how many entries are whole."""
    sizes = _ArtifactSizes(index)
    sums: dict[str, _Sum] = {}
    counted: set[str] = set()
    whole = 0
    for _, _, packed, node_type, seconds, *_ in _entries(index, "*", float("inf")):
        total = sums.setdefault(node_type, _Sum())
        total.entries += 1
        outputs = _outputs(packed)
        is_whole = outputs is not None
        for leaf in leaves(outputs or ()):
            size = sizes.of(leaf)
            is_whole = is_whole and size is not None
            if leaf.inline is None:
                if leaf.digest in counted:
                    continue
                counted.add(leaf.digest)
            total.bytes += size or 0
        if is_whole:
            whole += 1
            total.seconds += seconds
    types = [
        TypeUsage(node_type, total.entries, total.bytes, total.seconds)
        for node_type, total in sums.items()
    ]
    return sorted(types, key=lambda each: (-each.bytes, each.node_type)), whole


@dataclass(slots=True)
class _Sum:
    entries: int = 0
    bytes: int = 0
    seconds: float = 0.0


def _sizes(folder: Path, pattern: str = "*") -> list[int]:
    sizes = []
    for path in folder.glob(pattern):
        # It may go in the meantime.
        with suppress(FileNotFoundError):
            sizes.append(path.stat().st_size)
    return sizes
