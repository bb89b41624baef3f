"""Short ways to put values into a store and to get them back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nodegraph.core.digests import digest_value
from nodegraph.core.keys import Key
from nodegraph.core.summary import size_in_bytes
from nodegraph.store.entries import NewEntry, StoredOutput, UnsavedOutput
from nodegraph.store.store import Store
from tests.store.values import DIGESTERS, SERIALIZERS


def key_of(name: object) -> Key:
    """A key that stands for anything."""
    return digest_value(["key", str(name)])


def unsaved(value: Any) -> UnsavedOutput:
    return UnsavedOutput(digest_value(value, DIGESTERS), size_in_bytes(value), value)


def new_entry(*values: Any, seconds: float = 100.0) -> NewEntry:
    """What a call gave; it took so long that everything is worth a file."""
    return NewEntry(tuple(map(unsaved, values)), None, "Test", seconds, "run-1", worth=seconds)


def open_at(folder: Path, **options: Any) -> Store:
    return Store(folder, serializers=lambda: SERIALIZERS, **options)


def output(store: Store, name: object, at: int = 0) -> StoredOutput:
    """An output of what was put under a name."""
    entry = store.entry(key_of(name))
    assert entry is not None
    assert entry.outputs is not None
    return entry.outputs[at]


def put(store: Store, name: object, *values: Any, seconds: float = 100.0) -> None:
    """Put values and wait until they are committed."""
    store.put(key_of(name), new_entry(*values, seconds=seconds))
    store.flush()


def files(folder: Path, kind: str = "artifacts") -> list[Path]:
    return sorted(path for path in (folder / kind).rglob("*") if path.is_file())
