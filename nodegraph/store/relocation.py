"""Files that were moved along with a store: of a home folder that lies elsewhere than before.

Values name files by where they lie, such as recipes those of weights that were trained. Where the
store was before is noted in it, so what lay beside it is found where it lies now.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from nodegraph.store.index import Index

_LOG = logging.getLogger(__name__)
_MOST = 16
"""Places that are remembered."""
_GET = "SELECT value FROM meta WHERE name = 'folders'"
_PUT = "INSERT OR REPLACE INTO meta VALUES ('folders', ?)"


class Relocation:
    """Where files lie by now.

    Args:
        before: Folders that the store was in.
        now: That it is in.
    """

    def __init__(self, before: Iterable[Path], now: Path) -> None:
        self._moves = tuple(dict.fromkeys(_moved(folder, now) for folder in before))

    def __call__(self, path: str) -> str | None:
        """Where the file of a path lies that was moved; None if there is none."""
        for before, after in self._moves:
            if Path(path).is_relative_to(before):
                found = after / Path(path).relative_to(before)
                if found.exists():
                    return str(found)
        return None


def relocation_of(index: Index, folder: Path) -> Relocation:
    """What was moved with a store, whose folder is noted for the next time."""
    now = folder.absolute()
    try:
        before = _folders(index)
        if not index.read_only and str(now) not in before[-1:]:
            kept = [each for each in before if each != str(now)][1 - _MOST :]
            with index.writing() as connection:
                connection.execute(_PUT, (json.dumps([*kept, str(now)]),))
    except (sqlite3.Error, ValueError) as error:
        _LOG.warning("can't look up where the store %s was before: %s", folder, error)
        before = []
    return Relocation([Path(each) for each in before if each != str(now)], now)


def _folders(index: Index) -> list[str]:
    row = index.one(_GET)
    return [] if row is None else [str(each) for each in json.loads(row[0])]


def _moved(before: Path, now: Path) -> tuple[Path, Path]:
    """The folders that stand for each other: above all that the two paths end in alike."""
    while before.name and before.name == now.name:
        before, now = before.parent, now.parent
    return before, now
