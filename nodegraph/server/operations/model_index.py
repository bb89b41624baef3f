"""What the server finds out about its models in the background: hashes, duplicates, last uses.

One thread of low priority does it, after lists of models and jobs change. It reads each file once.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread, get_native_id
from time import monotonic
from typing import Any

from nodegraph.errors import NodegraphError
from nodegraph.jobs.queue.job_queries import SubmittedRequest
from nodegraph.models.model_hashes import ModelHashCache, ModelHashes
from nodegraph.models.model_sources import FoundModel
from nodegraph.models.remote.declared_models import ModelNames

_LOG = logging.getLogger(__name__)
_NICE = 19
_REST = 1.0
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
class _Seen:
    """The jobs that were looked at.

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
        self._seen = _Seen()
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
        return self._seen.last

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
        told, is_new = monotonic(), False
        known = self.hashes(models)
        for model in models:
            if model.name in known or not _is_hashed(model):
                continue
            self._check()
            is_new = self._hash(model.path) or is_new
            if is_new and monotonic() - told > _TELL_SECONDS:
                told, is_new = monotonic(), False
                self._tell()
        if is_new:
            self._tell()

    def _hash(self, path: Path) -> bool:
        """Compute the hashes of a file; whether it could be read, and stays as it is."""
        began = monotonic()

        def rest(_: int) -> None:
            nonlocal began
            self._check()
            self._stop.wait((monotonic() - began) * _REST)
            began = monotonic()

        try:
            # A file that changes all the time is not read again and again.
            mark = path, path.stat().st_mtime_ns
            if mark in self._failed:
                return False
            self._cache.hashes(path, rest)
            if self._cache.known(path) is None:
                self._failed.add(mark)
                return False
        except OSError as error:
            _LOG.info("the hashes of %s are not computed: %s", path, error)
            return False
        return True

    def _check(self) -> None:
        if self._stop.is_set():
            raise _Stopping

    def _look_at_jobs(self, models: Sequence[FoundModel]) -> bool:
        """Look at the jobs that have come; whether a model was used that was not before."""
        names = tuple(model.name for model in models)
        former = self._seen
        # A text means something else if there are other models.
        seen = former if former.names == names else _Seen(names)
        last, number = dict(seen.last), seen.number
        finder, known = ModelNames(names), dict[str, set[str]]()
        for request in self._all_requests(number):
            self._check()
            number = request.number
            for name in self._named(request, finder, known):
                last[name] = max(last.get(name, 0.0), request.created)
        self._seen = _Seen(names, number, last)
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


def duplicates(hashes: Mapping[str, ModelHashes]) -> dict[str, tuple[str, ...]]:
    """The other models with the same bytes, by the names of models."""
    names: dict[str, list[str]] = {}
    for name, each in hashes.items():
        names.setdefault(each.sha256, []).append(name)
    return {
        name: tuple(other for other in names[each.sha256] if other != name)
        for name, each in hashes.items()
    }
