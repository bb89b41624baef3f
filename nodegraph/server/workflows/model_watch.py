"""Watches of model folders and remote model stores, and what is found out in the background.

One thread of low priority finds hashes, duplicates and last uses of models, after lists of models
and jobs change. It reads each file once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread, get_native_id
from time import monotonic
from typing import Any

from nodegraph.core.file_digests import FileStamp
from nodegraph.errors import NodegraphError
from nodegraph.jobs.queue.job_queries import SubmittedRequest
from nodegraph.models.model_hashes import ModelHashCache, ModelHashes
from nodegraph.models.model_sources import FoundModel
from nodegraph.models.remote.declared_models import ModelNames
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
        folders: Returns those that are searched for models.
        off_loop: Calls what reads a disk.
        on_change: Is called when there is something else.
        is_wanted: Whether there is anybody to tell.
    """

    def __init__(
        self,
        folders: Callable[[], Sequence[Path]],
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
        current = await self._off_loop(lambda: _scan(self._folders()))
        self._is_settled = current == former
        self._seen = current
        # Also where the files are the same: others were there in between, and may be in a list.
        if former is not None and current != former:
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


_NICE = 19
_PAUSE = 1.0
"""Seconds of rest for each second of reading, so that jobs keep most of the disk."""
_SETTLE_SECONDS = 1.0
"""After a change, as files are mostly copied for a while."""
_TELL_SECONDS = 10.0


class _Stopping(Exception):
    """The server stops while a file is read."""


@dataclass(frozen=True, slots=True)
class JobUses:
    """Jobs that name a model.

    Attributes:
        last: Unix time of the newest one.
    """

    jobs: int = 0
    last: float = 0.0


@dataclass
class _ReadJobs:
    """The jobs that were read.

    Attributes:
        names: Of the models that they were searched for.
        number: Of the last job.
        last: Unix times of the newest jobs by the names of models.
    """

    names: tuple[str, ...] = ()
    number: int = 0
    last: dict[str, float] = field(default_factory=dict)


Requests = Callable[[int], Sequence[SubmittedRequest]]
"""Returns what was submitted with some jobs after one, the oldest first."""


class ModelIndex:
    """Hashes and last uses of models. Safe to use from several threads.

    Args:
        models: Lists the models.
        cache: Keeps the hashes.
        requests: See `Requests`.
        workflow: Returns the JSON text of a workflow by its digest; raises KeyError if it is gone.
        on_change: Is called when lists would show something else.
    """

    def __init__(
        self,
        models: Callable[[], Sequence[FoundModel]],
        cache: ModelHashCache,
        requests: Requests,
        workflow: Callable[[str], str],
        on_change: Callable[[], None],
    ) -> None:
        self._models = models
        self._cache = cache
        self._requests = requests
        self._workflow = workflow
        self._tell = on_change
        self._jobs = _ReadJobs()
        self._failed: set[tuple[Path, int]] = set()
        self._wake, self._stop = Event(), Event()
        self._thread = Thread(target=self._run, name="nodegraph-models", daemon=True)
        self._thread.start()

    def request_update(self) -> None:
        """Look for new files and jobs, soon."""
        self._wake.set()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def hashes(self, models: Iterable[FoundModel]) -> dict[str, ModelHashes]:
        """The hashes of models, as far as they are known, by their names."""
        files = {model.name: model.path for model in models if _is_hashed(model)}
        known = self._cache.known_all(files.values())
        return {name: known[path] for name, path in files.items() if path in known}

    def last_uses(self) -> Mapping[str, float]:
        """Unix times of the newest jobs that name a model, by its name."""
        return self._jobs.last

    def jobs_naming(self, name: str, names: Iterable[str]) -> JobUses:
        """The jobs of the queue that name a model, all of them read now.

        Args:
            names: Those of all models, which decide what a text means.
        """
        finder, known = ModelNames(names), dict[str, set[str]]()
        uses = JobUses()
        for request in self._all_requests(0):
            if name in self._named(request, finder, known):
                uses = JobUses(uses.jobs + 1, request.created)
        return uses

    # In the thread

    def _run(self) -> None:
        if sys.platform == "linux":
            with suppress(OSError):  # there, each thread has a priority of its own
                os.setpriority(os.PRIO_PROCESS, get_native_id(), _NICE)
        while True:
            self._wake.wait()
            if self._stop.wait(_SETTLE_SECONDS):
                return
            self._wake.clear()
            if self._stop.is_set():
                return  # `close` may have set both just before: nobody would set `_wake` again
            try:
                self._update()
            except _Stopping:
                return
            except (NodegraphError, OSError) as error:
                _LOG.warning("models are not looked at: %s", error)
            except Exception:  # noqa: BLE001 - nobody waits for the thread's result
                _LOG.exception("models are not looked at")

    def _update(self) -> None:
        models = self._models()
        if self._look_at_jobs(models):
            self._tell()
        notified, is_new, is_growing = monotonic(), False, False
        known = self.hashes(models)
        for model in models:
            if model.name in known or not _is_hashed(model):
                continue
            self._check()
            if not _is_settled(model.path):
                is_growing = True
                continue
            is_new = self._hash(model.path) or is_new
            if is_new and monotonic() - notified > _TELL_SECONDS:
                notified, is_new = monotonic(), False
                self._tell()
        if is_new:
            self._tell()
        if is_growing:
            self._wake.set()

    def _hash(self, path: Path) -> bool:
        """Compute the hashes of a file; whether it could be read, and stays as it is."""
        began = monotonic()

        def pause(_: int) -> None:
            nonlocal began
            self._check()
            self._stop.wait((monotonic() - began) * _PAUSE)
            began = monotonic()

        try:
            # Where nothing can be kept, a file is not read again and again.
            mark = path, path.stat().st_mtime_ns
            if mark in self._failed:
                return False
            self._failed.add(mark)
            self._cache.hashes(path, pause)
        except OSError as error:
            _LOG.info("the hashes of %s are not computed: %s", path, error)
        return self._cache.known(path) is not None

    def _check(self) -> None:
        if self._stop.is_set():
            raise _Stopping

    def _look_at_jobs(self, models: Sequence[FoundModel]) -> bool:
        """Look at the jobs that have come; whether a model was used that was not before."""
        names = tuple(model.name for model in models)
        former = self._jobs
        # A text means something else if there are other models.
        jobs = former if former.names == names else _ReadJobs(names)
        last, number = dict(jobs.last), jobs.number
        finder, known = ModelNames(names), dict[str, set[str]]()
        for request in self._all_requests(number):
            self._check()
            number = request.number
            for name in self._named(request, finder, known):
                last[name] = max(last.get(name, 0.0), request.created)
        self._jobs = _ReadJobs(names, number, last)
        return last.keys() != former.last.keys()

    def _all_requests(self, number: int) -> Iterator[SubmittedRequest]:
        while page := self._requests(number):
            yield from page
            number = page[-1].number

    def _named(
        self, request: SubmittedRequest, finder: ModelNames, known: dict[str, set[str]]
    ) -> set[str]:
        """The models that a job names.

        Args:
            known: Those that workflows name, by their digests.
        """
        if request.workflow not in known:
            try:
                text = self._workflow(request.workflow)
            except KeyError:
                text = "{}"  # its jobs were deleted meanwhile
            known[request.workflow] = finder.find(_document(text))
        parameters = _document(request.content)
        return known[request.workflow] | finder.find(parameters.get("parameters"))


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _is_hashed(model: FoundModel) -> bool:
    """Whether it is a single file on this machine, which others know by its hash."""
    return model.remote_url is None and model.kind == "checkpoint"


def _is_settled(path: Path) -> bool:
    """Whether a file was not changed a moment ago: it may still be copied."""
    try:
        return FileStamp.of(path).is_settled
    except OSError:
        return True  # it is gone, or its hashing says why not


def duplicates(hashes: Mapping[str, ModelHashes]) -> dict[str, tuple[str, ...]]:
    """The other models with the same bytes, by the names of models."""
    names: dict[str, list[str]] = {}
    for name, each in hashes.items():
        names.setdefault(each.sha256, []).append(name)
    return {
        name: tuple(other for other in names[each.sha256] if other != name)
        for name, each in hashes.items()
    }
