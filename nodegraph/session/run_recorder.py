"""Record in the store when each run of a session begins and ends."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

from nodegraph.core.garbage_collection import PausedGC
from nodegraph.engine.options import RunOptions
from nodegraph.engine.result import RunResult
from nodegraph.observe.record import record_of
from nodegraph.store.run_records import Runs


@dataclass
class RecordedRun:
    """A run that goes on: its id in the store, if it has one, and then its result."""

    id: str = ""
    result: RunResult | None = None


class RunRecorder:
    """Notes runs. A fault of the store costs the record of a run, and not the run.

    Args:
        runs: None if nothing is noted.
        environment: Tells what runs depend on; see `describe_environment`.
        problems: Takes up what couldn't be noted.
    """

    def __init__(
        self, runs: Runs | None, environment: Callable[[], Mapping[str, Any]], problems: list[str]
    ) -> None:
        self._runs = runs
        self._environment = environment
        self._problems = problems

    @contextmanager
    def record(self, document: Mapping[str, Any], options: RunOptions) -> Iterator[RecordedRun]:
        """Note that a run begins and, after the `with`, how it ended.

        Args:
            document: The workflow, with its values set.
        """
        run = RecordedRun()
        if self._runs is None:
            yield run
            return
        with self._collect_faults():
            run.id = self._runs.begin(str(document.get("title", "")))
        record: Mapping[str, Any] = {}
        start = monotonic()
        try:
            yield run
            if run.result is not None:
                environment = self._environment()
                with PausedGC():
                    record = record_of(
                        run.result,
                        document,
                        environment,
                        targets=options.targets,
                        client=options.share.client if options.share is not None else "",
                    )
        finally:
            status = run.result.status if run.result is not None else "failed"
            if run.id:
                with self._collect_faults():
                    self._runs.finish(run.id, status, monotonic() - start, record)

    @contextmanager
    def _collect_faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            self._problems.append(f"the run could not be recorded in the store's index: {error}")
