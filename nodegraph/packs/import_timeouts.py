"""Packs that hang where they are imported: all processes know of them by a note on disk.

A process that finds the note of one that is at it, or gave the pack up, leaves the pack out for as
long as its files stay as they are.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import time
from typing import Any

from nodegraph.core.digests import digest_bytes, with_checksum, without_checksum
from nodegraph.core.files import write_file
from nodegraph.core.pack_faults import WATCHDOG
from nodegraph.errors import OutputError, PackError
from nodegraph.packs.pack import Pack
from nodegraph.packs.snapshot import Stamp, stamp_of

_YIELDS_AFTER = 12.0
"""Seconds after which a process that others wait for leaves a pack to one that is at it, too."""
_FORGOTTEN_AFTER = 3600.0
"""Seconds after which a pack that was given up is tried again: what it waited for may be there."""


class ImportOverdue(PackError):
    """The import of a pack in its process took too long, and the process was ended."""


@dataclass(frozen=True)
class _Note:
    """What a process wrote of a pack.

    Attributes:
        process, born: Number and start of the process.
        at: When it was written, in seconds of Unix time.
        most: Seconds after which it was given up; None while the process is at it.
    """

    stamp: str
    text: str
    process: int
    born: float | None
    at: float
    most: float | None = None

    @property
    def is_given_up(self) -> bool:
        return self.most is not None

    @property
    def is_of_another(self) -> bool:
        """Whether another process is at it just now."""
        if self.is_given_up or self.process == os.getpid() or self.born is None:
            return False
        return self.born == _born(self.process)

    def counts(self, patience: float = math.inf) -> bool:
        """Whether the pack is to be left out for it.

        Args:
            patience: Seconds that an import of it may take now; infinite is not known.
        """
        if self.most is None:
            return self.is_of_another
        has_more_patience = self.most < min(patience, WATCHDOG.import_limit) < math.inf
        return not has_more_patience and abs(time() - self.at) < _FORGOTTEN_AFTER


class ImportTimeouts:
    """Packs that hang, as far as this installation knows.

    Args:
        folder: Where the notes lie; None keeps none.
        patience: Seconds that the import of a pack in a process of its own may take.
    """

    def __init__(self, folder: Path | None, patience: float = math.inf) -> None:
        self._folder = folder
        self._patience = patience
        self._relied: dict[Path, tuple[Stamp | None, _Note]] = {}

    def problem(self, pack: Pack) -> str | None:
        """Why a pack isn't to be imported now; None if it may be."""
        if self._folder is None:
            return None
        path = self._path(pack)
        note_stamp = stamp_of(path)
        note = None if note_stamp is None else _read(path)
        patience = self._patience_with(pack)
        if note is None or not note.counts(patience) or note.stamp != pack.import_stamp():
            self._relied.pop(path, None)
            return None
        self._relied[path] = note_stamp, note
        until = _until(pack) if note.is_given_up else "meanwhile"
        return f"{note.text.rstrip('.')}. The pack is not loaded {until}"

    def _patience_with(self, pack: Pack) -> float:
        return math.inf if pack.isolation is None else self._patience

    def is_importing(self, pack: Pack) -> bool:
        """Whether a process is still at a pack, as `problem` told last."""
        _, note = self._relied.get(self._path(pack), (None, None))
        return note is not None and not note.is_given_up

    def is_current(self) -> bool:
        """Whether all that was told is so still; cheap."""
        return all(
            stamp_of(path) == note_stamp and note.counts()
            for path, (note_stamp, note) in self._relied.copy().items()
        )

    @contextmanager
    def importing(self, pack: Pack, stamp: str) -> Iterator[None]:
        """Inside, a pack is imported whose files have this stamp.

        A process that takes part in a server leaves it to the planner, which reads packs for all,
        and ends; the planner gives it up in the end.
        """
        written: list[_Note] = []

        def is_over(seconds: float, text: str) -> bool:
            if self._folder is None:
                return seconds > WATCHDOG.import_limit
            there = _read(self._path(pack))
            if not WATCHDOG.is_planner and there and there.stamp == stamp and there.is_of_another:
                return seconds > _YIELDS_AFTER
            is_given_up = WATCHDOG.end is not None and seconds > WATCHDOG.import_limit
            if is_given_up or not written:
                written.append(_note(stamp, text, is_given_up=is_given_up))
                self._write(pack, written[-1])
            return is_given_up

        name = pack.name or pack.package
        try:
            with WATCHDOG.watch(f"pack `{name}`: importing it", pack.root, is_over):
                yield
        finally:
            if written and _read(self._path(pack)) == written[-1]:
                self._path(pack).unlink(missing_ok=True)

    def give_up(self, pack: Pack, error: ImportOverdue) -> None:
        """Remember that the process of a pack took too long."""
        if self._folder is not None:
            most = min(self._patience, WATCHDOG.import_limit)
            note = _note(pack.import_stamp(), error.problem.message, is_given_up=True)
            self._write(pack, replace(note, most=most if most < math.inf else 0.0))

    def _path(self, pack: Pack) -> Path:
        assert self._folder is not None
        root_digest = digest_bytes(str(pack.root).encode("utf-8", "surrogateescape"))[:16]
        return self._folder / f"{pack.package}-{root_digest}.hangs"

    def _write(self, pack: Pack, note: _Note) -> None:
        path = self._path(pack)
        with suppress(OSError, OutputError):  # others find out by themselves then
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, with_checksum(json.dumps(asdict(note)).encode()), durable=False)


def _until(pack: Pack) -> str:
    """What has a pack that was given up tried again, in words."""
    until = "until it is edited or `import_seconds` is increased; it is tried again after an hour"
    if pack.isolation is None or not pack.distribution:
        return until
    return f"{until}, or by `nodegraph pack update {pack.distribution}`"


def _note(stamp: str, text: str, *, is_given_up: bool) -> _Note:
    return _Note(
        stamp=stamp,
        text=text,
        process=os.getpid(),
        born=_born(os.getpid()),
        at=time(),
        most=WATCHDOG.import_limit if is_given_up else None,
    )


def _read(path: Path) -> _Note | None:
    """The note in a file; None if there is none, or no valid one."""
    try:
        return _note_of(json.loads(without_checksum(path.read_bytes())))
    except OSError:
        return None
    except (ValueError, TypeError, RecursionError) as error:
        from logging import getLogger  # hardly any process has something to tell here

        # Half written, or by another version: packs that hang are noticed anew.
        getLogger(__name__).warning("%s is ignored: it is no valid note (%s)", path, error)
        return None


def _note_of(document: Any) -> _Note:
    """The note of a document.

    Raises:
        TypeError: It has other fields, or values of other types.
    """
    note = _Note(**document)
    numbers = [value for value in (note.born, note.most) if value is not None]
    valid_types = isinstance(note.stamp, str) and isinstance(note.text, str)
    valid_types = valid_types and isinstance(note.process, int)
    if not valid_types or not all(isinstance(each, float | int) for each in [note.at, *numbers]):
        raise TypeError("values of other types")
    return note


def _born(process: int) -> float | None:
    """When a process was started, as its number is given to another one later."""
    import psutil  # only where something hangs

    try:
        return float(psutil.Process(process).create_time())
    except psutil.Error:
        return None
