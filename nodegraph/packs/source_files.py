"""What was read from source files, remembered from one process to the next.

Reading the imports of all modules behind a pack takes long enough to be felt in a run that finds
everything else in the cache.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack

from nodegraph.core.digests import Digest, digest_bytes
from nodegraph.core.files import write_file
from nodegraph.errors import OutputError
from nodegraph.packs.snapshot import Stamp, stamp_of

FORMAT = 5
"""Raised when what is read from a source file, or how it is written down, changes."""

NAME = "sources.msgpack"
_CHECKSUM = 64
_ANY = Stamp(-1, 0, 0, 0)
"""Of no file: what is remembered counts by its digest alone."""


@dataclass(frozen=True, slots=True)
class Import:
    """``from module import name`` (name "" for ``import module``)."""

    module: str
    name: str
    bound: str


@dataclass(frozen=True, slots=True)
class ModuleSource:
    """A module's text.

    Attributes:
        rebound: Those of the names it imports that it also binds in other ways, at whatever level.
        used: Those of the names it imports that it reads itself.
        variables: Environment variables that it reads by a name that stands in it.
        texts: Of a module that uses `Expand`: those that may name node types.
    """

    digest: Digest
    imports: tuple[Import, ...]
    rebound: frozenset[str]
    used: frozenset[str] = frozenset()
    variables: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()


_Key = tuple[str, str]
"""Path, and the package that relative imports start from."""
_Known = tuple[Stamp, ModuleSource]


class SourceFiles:
    """Reads source files that it doesn't remember from an earlier process.

    Args:
        folder: Where it remembers; None reads each file anew. A folder that can't be written and
            a file there that is damaged cost time, not results.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / NAME if folder is not None else None
        self._rows: dict[_Key, list[Any]] | None = None
        self._known: dict[_Key, _Known] = {}
        """New, or made of a row: a session asks for few of those that are remembered."""
        self._has_news = False

    def parsed(
        self, path: Path, package: str, digest: Digest, read: Callable[[], ModuleSource]
    ) -> ModuleSource:
        """What the bytes of a file say that have this digest; other arguments as for `source`."""
        if self._path is None:
            return read()
        known = self._remembered((str(path), package), self._path)
        if known is not None and known[1].digest == digest:
            return known[1]
        module_text = read()
        self._known[str(path), package] = _ANY, module_text
        self._has_news = True
        return module_text

    def source(self, path: Path, package: str, read: Callable[[], ModuleSource]) -> ModuleSource:
        """What a file says.

        Args:
            package: Where its relative imports start.
            read: Reads it, if it isn't remembered or has changed.
        """
        if self._path is None:
            return read()
        stamp = stamp_of(path)
        key = str(path), package
        known = self._remembered(key, self._path)
        if known is not None and known[0] == stamp:
            return known[1]
        # The stamp is older than what is read: a change in between makes it worthless, not wrong.
        module_text = read()
        if stamp is not None and stamp.is_settled:
            self._known[key] = stamp, module_text
            self._has_news = True
        return module_text

    def _remembered(self, key: _Key, file: Path) -> _Known | None:
        known = self._known.get(key)
        if known is not None:
            return known
        if self._rows is None:
            self._rows = _read(file)
        row = self._rows.get(key)
        if row is not None:
            known = self._known[key] = _of_row(row)
        return known

    def save(self) -> None:
        """Write down what is new."""
        if not self._has_news or self._path is None:
            return
        self._has_news = False
        rows = (self._rows or {}).items()
        # Others may read more meanwhile.
        known = {key: _of_row(row) for key, row in rows} | self._known.copy()
        there = {key: item for key, item in known.items() if Path(key[0]).exists()}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_file(self._path, _packed(there), durable=False)
        except (OSError, OutputError, ValueError):
            return


def _heading() -> list[int]:
    # Another Python may read the same text differently.
    return [FORMAT, *sys.version_info[:2]]


def _packed(known: dict[_Key, _Known]) -> bytes:
    rows = [
        (
            key,
            stamp,
            source.digest,
            [_row(item) for item in source.imports],
            *map(sorted, (source.rebound, source.used, source.variables, source.texts)),
        )
        for key, (stamp, source) in known.items()
    ]
    payload: bytes = msgpack.packb([_heading(), rows], unicode_errors="surrogateescape")
    return digest_bytes(payload).encode() + payload


def _row(item: Import) -> tuple[str, str, str]:
    return item.module, item.name, item.bound


def _read(file: Path) -> dict[_Key, list[Any]]:
    try:
        data = file.read_bytes()
    except OSError:
        return {}
    payload = data[_CHECKSUM:]
    if digest_bytes(payload).encode() != data[:_CHECKSUM]:
        return {}
    heading, rows = msgpack.unpackb(payload, unicode_errors="surrogateescape")
    return {(row[0][0], row[0][1]): row for row in rows} if heading == _heading() else {}


def _of_row(row: list[Any]) -> _Known:
    _, stamp, digest, imports, *names = row
    source = ModuleSource(digest, tuple(Import(*item) for item in imports), *map(frozenset, names))
    return Stamp(*stamp), source
