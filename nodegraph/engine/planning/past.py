"""What stores remember of earlier runs, as `why` takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache

from nodegraph.core.digests import Digest
from nodegraph.core.keys import Key
from nodegraph.engine.planning.why import LOOKED_AT, EarlierRun, RunHistory
from nodegraph.errors import NodegraphError
from nodegraph.store.codes import CodeModules
from nodegraph.store.history import History, StoredResult
from nodegraph.store.index import Index
from nodegraph.store.records import Runs


def past_in(indexes: Sequence[Index], runs: Runs | None = None) -> RunHistory:
    """What some stores remember; read when it is asked for.

    Args:
        indexes: Of the stores, those that are asked first before the others.
        runs: Records of runs.
    """
    stores = _Stores(indexes)
    earlier = _earlier(runs) if runs is not None else ()
    return RunHistory(stores, earlier, stores.modules, known_types(indexes))


def known_types(indexes: Sequence[Index]) -> Callable[[str], bool]:
    """Tells whether some stores have any result of a node type."""
    histories = [History(index) for index in indexes]

    @cache
    def is_known(node_type: str) -> bool:
        return any(history.knows(node_type) for history in histories)

    return is_known


class _Stores:
    """Several stores as one."""

    def __init__(self, indexes: Sequence[Index]) -> None:
        self._histories = [History(index) for index in indexes]
        self._codes = [CodeModules(index) for index in indexes]

    def of(self, key: Key) -> StoredResult | None:
        """The result of a key."""
        results = (history.of(key) for history in self._histories)
        return next((earlier for earlier in results if earlier is not None), None)

    def latest(self, node_type: str, limit: int) -> list[StoredResult]:
        """The latest results of a node type, the last one first."""
        results = [item for history in self._histories for item in history.latest(node_type, limit)]
        return sorted(results, key=lambda item: -item.created)[:limit]

    def modules(self, digest: Digest) -> Mapping[str, Digest] | None:
        """The modules behind a code digest."""
        by_store = (codes.modules(digest) for codes in self._codes)
        return next((modules for modules in by_store if modules is not None), None)


def _earlier(runs: Runs) -> Iterator[EarlierRun]:
    for summary in runs.list(LOOKED_AT):
        try:
            record = runs.get(summary.id).record
        except NodegraphError:
            continue  # damaged, or forgotten a moment ago
        nodes = record.get("nodes")
        if nodes:
            yield EarlierRun(summary.id, summary.started, nodes)
