"""What a session keeps on disk, joined: results, costs, claims, runs, checkpoints, file digests."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.garbage_collection import PausedGC
from nodegraph.engine.options import RunOptions
from nodegraph.engine.result import RunResult
from nodegraph.errors import NodegraphError
from nodegraph.observe.record import record_of
from nodegraph.session.settings import Settings
from nodegraph.store.checkpoints import Checkpoints
from nodegraph.store.claims import Claims
from nodegraph.store.costs import Costs
from nodegraph.store.file_records import SinkFiles, StoredFileDigests
from nodegraph.store.history import CodeModules, Runs
from nodegraph.store.lineage import Lineage
from nodegraph.store.store import Store, open_store

if TYPE_CHECKING:
    from nodegraph.store.codec import Serializers
    from nodegraph.store.remote.object_storage import ObjectStorage
    from nodegraph.store.remote.tier import LeasedClaims

_LOG = logging.getLogger(__name__)


@dataclass
class Persistence:
    """The parts of one store, and the stores that are only read.

    Of a store that can be read only, those are None that are nothing without writing.

    Attributes:
        problems: Stores that could not be opened; the others still count.
    """

    store: Store
    costs: Costs
    claims: Claims | LeasedClaims | None
    runs: Runs | None
    checkpoints: Checkpoints | None
    written: SinkFiles | None
    codes: CodeModules
    file_digests: StoredFileDigests
    lineage: Lineage | None = None
    read_only_stores: tuple[Store, ...] = ()
    problems: tuple[str, ...] = ()

    def close(self) -> None:
        """Write what waits, and let go of the files."""
        FILE_DIGESTS.detach(self.file_digests)
        try:
            self.costs.flush()
        except sqlite3.Error as error:
            _LOG.warning("cannot record the cost of calls: %s", error)
        for store in (self.store, *self.read_only_stores):
            store.close()


def open_persistence(settings: Settings, serializers: Callable[[], Serializers]) -> Persistence:
    """Open the store that the settings name, and all that lies in it.

    Args:
        serializers: How values of packs' port types become bytes.
    Raises:
        NodegraphError: The store can't be opened.
    """
    remote, fault = _open_remote(settings.remote_store)
    store = open_store(
        settings.store_folder,
        budget=settings.disk_cache,
        keep_cheap=settings.keep_cheap,
        serializers=serializers,
        storage=remote,
    )
    others, problems = _open_read_only(settings.stores, serializers)
    problems += fault
    if store.refusal is not None:
        problems.insert(0, f"results are read from disk, but not stored there: {store.refusal}")
    digests = StoredFileDigests(store.index)
    FILE_DIGESTS.attach(digests)
    claims = store.claims
    return Persistence(
        store,
        Costs(store.index),
        _shared_claims(store),
        None if claims is None else Runs(store.index, claims, owner=store.owner),
        None if claims is None else Checkpoints(store),
        None if claims is None else SinkFiles(store.index),
        CodeModules(store.index),
        digests,
        None if claims is None else Lineage(store.index),
        tuple(others),
        tuple(problems),
    )


def _shared_claims(store: Store) -> Claims | LeasedClaims | None:
    """Claims that the machines respect, too, which the store shares results with."""
    if store.claims is None or store.remote is None:
        return store.claims
    from nodegraph.store.remote.tier import LeasedClaims

    return LeasedClaims(store.claims, store.remote)


def _open_remote(url: str) -> tuple[ObjectStorage | None, list[str]]:
    """What is shared with other machines, and why it can't be, if so."""
    if not url:
        return None, []
    from nodegraph.store.remote.object_storage import open_storage

    try:
        return open_storage(url), []
    except NodegraphError as error:
        return None, [f"results are not shared with other machines: {error}"]


def _open_read_only(
    folders: Sequence[Path], serializers: Callable[[], Serializers]
) -> tuple[list[Store], list[str]]:
    """Stores that are only read, and what is wrong with those that can't be opened."""
    stores, problems = [], []
    for folder in folders:
        try:
            stores.append(Store(folder, read_only=True, serializers=serializers))
        except NodegraphError as error:
            problems.append(f"the store {folder} is not used: {error}")
    return stores, problems


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
        lineage: Where it is noted what files were made from; None if it is not noted.
    """

    def __init__(
        self,
        runs: Runs | None,
        environment: Callable[[], Mapping[str, Any]],
        problems: list[str],
        lineage: Lineage | None = None,
    ) -> None:
        self._lineage = lineage
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
                with self._collect_faults():
                    self._index_files(run)
        finally:
            status = run.result.status if run.result is not None else "failed"
            if run.id:
                with self._collect_faults():
                    self._runs.finish(run.id, status, monotonic() - start, record)

    def _index_files(self, run: RecordedRun) -> None:
        """Note what the files of a run were made from."""
        if self._lineage is None or run.result is None or not run.result.files:
            return
        from nodegraph.session.lineage.indexing import index_run  # most runs write few files

        files = ((file.path, file.kind) for file in run.result.files)
        self._problems += index_run(self._lineage, files, run.id)

    @contextmanager
    def _collect_faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            self._problems.append(f"the run could not be recorded in the store's index: {error}")
