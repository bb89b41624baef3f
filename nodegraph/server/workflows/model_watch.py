"""Watches of model folders and remote model stores, which report changes to clients."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodegraph.errors import NodegraphError
from nodegraph.weights.attached_models import ListedModel, RemoteStore

OffLoop = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Calls what waits for the place without keeping the event loop from others."""

_LOG = logging.getLogger(__name__)
_REMOTE_SECONDS = 5.0
_AT_ONCE = 4
"""Models between two times that somebody is told."""


class RemoteModelWatch:
    """Asks a place which models there are, and has outlines laid of a few at a time. Used on one
    event loop.

    Args:
        model_store: Its own answers are kept for seconds, so being asked costs it little.
        on_change: Is called when lists would tell something else.
        is_wanted: Whether there is anybody to tell.
    """

    def __init__(
        self,
        model_store: RemoteStore,
        off_loop: OffLoop,
        on_change: Callable[[], None],
        is_wanted: Callable[[], bool],
    ) -> None:
        self._place = model_store
        self._off_loop = off_loop
        self._tell = on_change
        self._is_wanted = is_wanted
        self._is_asked = True
        self._fault: str | None = None

    def request_update(self) -> None:
        """Somebody has listed models: look, whether or not anybody follows what happens."""
        self._is_asked = True

    async def run(self) -> None:
        """Look as long as there is something new, and now and then, until it is cancelled."""
        while True:
            if self._is_asked or self._is_wanted():
                self._is_asked = False
                while await self._off_loop(self._poll):
                    self._tell()
            await asyncio.sleep(_REMOTE_SECONDS)

    def _poll(self) -> bool:
        """Look at some; whether lists tell something else now."""
        before = self._listed_models()
        try:
            self._place.refresh(_AT_ONCE)
            self._fault = None
        except NodegraphError as error:
            if str(error) != self._fault:
                self._fault = str(error)
                _LOG.warning("%s", error)
        return self._listed_models() != before

    def _listed_models(self) -> list[ListedModel]:
        return list(self._place.list_models())


_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class _FolderSnapshot:
    """What lay under the models folders.

    Attributes:
        folders: The times at which something came into each of them, or went.
        files: Their sizes and times.
    """

    folders: Mapping[str, int]
    files: Mapping[str, tuple[int, int, int]]

    def is_past(self) -> bool:
        """Whether something has come since, or gone."""
        return any(_time(folder) != time for folder, time in self.folders.items())


class ModelWatch:
    """Tells when something comes into the models folders, or goes. Used on one event loop.

    Trees of models are large and may lie on another machine, so mostly only the times of the
    folders are looked at, of which there are few. All is looked at after one of those has changed,
    and until nothing does: a file that is being copied grows for minutes.

    Args:
        folders: Those that are searched for models.
        off_loop: Calls what reads a disk.
        on_change: Is called when there is something else.
        is_wanted: Whether there is anybody to tell.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        off_loop: OffLoop,
        on_change: Callable[[], None],
        is_wanted: Callable[[], bool],
    ) -> None:
        self._folders = folders
        self._off_loop = off_loop
        self._tell = on_change
        self._is_wanted = is_wanted
        self._seen: _FolderSnapshot | None = None
        self._is_settled = True

    async def run(self) -> None:
        """Look now and then, until it is cancelled."""
        await self.poll()
        while True:
            await asyncio.sleep(_SECONDS)
            if self._is_wanted():
                await self.poll()

    async def poll(self) -> None:
        """Look once."""
        former = self._seen
        if former is not None and self._is_settled and not await self._off_loop(former.is_past):
            return
        current = await self._off_loop(lambda: _scan(self._folders))
        self._is_settled = current == former
        self._seen = current
        if former is not None and current.files != former.files:
            self._tell()


def _scan(roots: Sequence[Path]) -> _FolderSnapshot:
    folders: dict[str, int] = {}
    files: dict[str, tuple[int, int, int]] = {}
    known: set[str] = set()
    waiting = [str(root) for root in roots]
    while waiting:
        folder = waiting.pop()
        real = os.path.realpath(folder)
        if real in known:
            continue  # a link back to where we have been
        known.add(real)
        # Before it is read, so that what comes meanwhile is noticed the next time.
        folders[folder] = _time(folder)
        inner, inner_files = _in(folder)
        waiting += inner
        files.update(inner_files)
    return _FolderSnapshot(folders, files)


def _in(folder: str) -> tuple[list[str], dict[str, tuple[int, int, int]]]:
    """The folders in a folder, and its files; nothing of one that can't be read."""
    inner: list[str] = []
    files: dict[str, tuple[int, int, int]] = {}
    try:
        with os.scandir(folder) as scan:
            entries = [entry for entry in scan if not entry.name.startswith(".")]
    except OSError:
        return inner, files
    for entry in entries:
        with suppress(OSError):  # it went meanwhile, or is a link to nothing
            if entry.is_dir():
                inner.append(entry.path)
            else:
                status = entry.stat()
                files[entry.path] = status.st_size, status.st_mtime_ns, status.st_ctime_ns
    return inner, files


def _time(folder: str) -> int:
    """When something came into a folder or went; -1 if there is none."""
    try:
        return os.stat(folder).st_mtime_ns  # noqa: PTH116 - of a name from scandir
    except OSError:
        return -1
