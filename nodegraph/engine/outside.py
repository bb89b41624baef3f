"""What nodes read outside by `ctx.file` and `ctx.env`: which that is shows only as they run.

A deterministic function that is given the same inputs reads the same thing first; given what that
holds, the same second one, and so on. So the cache keeps each step, as it does for lazy inputs: a
result counts while all that was read for it is still what it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Lock

from nodegraph.core.digests import Digest, digest_bytes
from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.keys import Key, lazy_key
from nodegraph.engine.memory_cache import Asked, Entry
from nodegraph.errors import InvalidFile

_FILE, _VARIABLE = "file:", "variable:"
_GONE = "none"
"""Stands for a file that isn't there and for a variable that isn't set."""


class Readings:
    """What one call has read, in order, with a fingerprint of each; from any thread."""

    def __init__(self) -> None:
        self._read: dict[str, str] = {}
        self._lock = Lock()

    def file(self, path: Path) -> None:
        """Note that a file is about to be read."""
        self._note(f"{_FILE}{path}")

    def variable(self, name: str) -> None:
        """Note that an environment variable is about to be read."""
        self._note(f"{_VARIABLE}{name}")

    def _note(self, name: str) -> None:
        with self._lock:
            if name not in self._read:
                self._read[name] = fingerprint(name)

    @property
    def steps(self) -> tuple[tuple[str, str], ...]:
        """Names and fingerprints."""
        with self._lock:
            return tuple(self._read.items())

    def are_still_so(self) -> bool:
        """Whether all of it is what it was when it was noted."""
        return all(fingerprint(name) == found for name, found in self.steps)


def fingerprint(name: str) -> Digest:
    """Changes with what a step's name stands for."""
    if name.startswith(_VARIABLE):
        value = os.environ.get(name.removeprefix(_VARIABLE))
        return _GONE if value is None else digest_bytes(os.fsencode(value))
    try:
        return FILE_DIGESTS.digest(Path(name.removeprefix(_FILE)))
    except InvalidFile:
        return _GONE


def shown(name: str) -> str:
    """A step's name as people read it."""
    if name.startswith(_VARIABLE):
        return f"variable {name.removeprefix(_VARIABLE)}"
    return f"file {name.removeprefix(_FILE)}"


def is_outside(entry: Entry | None) -> bool:
    """Whether an entry says what a node read next."""
    return isinstance(entry, Asked) and entry.port.startswith((_FILE, _VARIABLE))


def after(key: Key, steps: Iterable[tuple[str, str]]) -> Key:
    """The key once these were read."""
    for name, found in steps:
        key = lazy_key(key, name, found)
    return key


def looked_up(
    key: Key, get: Callable[[Key], Entry | None], passed: list[Key] | None = None
) -> tuple[Key, Entry | None]:
    """What a key leads to with all that is read outside as it is now, and the key of that.

    Args:
        passed: Is given the keys on the way there.
    """
    entry = get(key)
    while isinstance(entry, Asked) and is_outside(entry):
        if passed is not None:
            passed.append(key)
        key = lazy_key(key, entry.port, fingerprint(entry.port))
        entry = get(key)
    return key, entry
