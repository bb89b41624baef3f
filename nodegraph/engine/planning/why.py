"""Explain why a node would run, or which earlier run its result comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from itertools import islice
from typing import Any, Protocol

from nodegraph.core.digests import Digest
from nodegraph.core.graph import CheckedGraph, GraphNode
from nodegraph.core.keys import Key
from nodegraph.engine.external_reads import IN_RUN, fingerprint
from nodegraph.engine.key_parts import Difference, Parts, compare_parts, key_parts
from nodegraph.engine.planning.plan import NodePlan, Plan
from nodegraph.engine.planning.prediction import PlannedCall, may_run
from nodegraph.engine.product import Product
from nodegraph.engine.runtime import EngineState
from nodegraph.errors import NodegraphError
from nodegraph.store.history import CodeModules, History, Runs, StoredResult
from nodegraph.store.index import Index


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


COMPARED = 200
"""Latest results of a node's type that it is compared with, if no run had a node of its name."""
LOOKED_AT = 50
"""Latest runs that are searched for a node."""


class EarlierResult(Protocol):
    """A result of earlier; see `nodegraph.store.history.StoredResult`."""

    @property
    def key(self) -> Key: ...
    @property
    def node_type(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def created(self) -> float: ...
    @property
    def run(self) -> str: ...
    @property
    def parts(self) -> Parts | None: ...


class EarlierResults(Protocol):
    """Finds results of earlier; see `nodegraph.store.history.History`."""

    def of(self, key: Key) -> EarlierResult | None:
        """The result of a key."""

    def latest(self, node_type: str, limit: int) -> Sequence[EarlierResult]:
        """The latest results of a node type, the last one first."""


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """A run of earlier.

    Attributes:
        started: Unix time.
        nodes: Of its record, by name: ``type``, ``key``, ``status``, ``seconds``.
    """

    id: str
    started: float
    nodes: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class RunHistory:
    """What is remembered of earlier runs; nothing, if nothing is kept.

    Attributes:
        runs: The last one first.
        modules: Finds the modules behind a code digest.
        is_known: Tells whether a node of a type has ever run here.
    """

    results: EarlierResults | None = None
    runs: Iterable[EarlierRun] = ()
    modules: Callable[[Digest], Mapping[str, Digest] | None] | None = None
    is_known: Callable[[str], bool] | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """The earlier result that a node is answered from, or was compared with.

    Attributes:
        created: Unix time.
    """

    run: str
    created: float
    seconds: float
    key: Key


@dataclass(frozen=True, slots=True)
class NodeWhy:
    """Why a node would run, or would not.

    Attributes:
        plan: What it would do.
        reasons: In plain words; empty for a result that is there, of which `origin` tells.
        differences: From the nearest earlier result, for programs.
        origin: That result; for a hit, the one that answers it.
        waits_for: Nodes linked to it that run, or may run, first.
    """

    plan: NodePlan
    reasons: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    origin: Origin | None = None
    waits_for: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        node = self.plan
        return {
            "name": node.name,
            "type": node.type,
            "status": node.status,
            "certain": node.certain,
            "reason": node.reason,
            "place": node.place,
            "why": list(self.reasons),
            "differences": [asdict(item) for item in self.differences],
            "origin": None if self.origin is None else asdict(self.origin),
            "waits_for": list(self.waits_for),
        }


def why(
    plan: Plan,
    graph: CheckedGraph,
    shared: EngineState,
    past: RunHistory,
    *,
    nodes: Sequence[str] | None = None,
) -> list[NodeWhy]:
    """Why nodes would run, in an order in which they can.

    Args:
        nodes: Tell of these, and of the nodes before them that make them run; of all nodes that
            would or may run if not given.
    """
    explained = _Explained(plan, graph, shared, past)
    if nodes is None:
        wanted = {name for name, item in plan.nodes.items() if item.status in ("run", "lazy")}
    else:
        wanted = _with_causes(plan, nodes)
    return [explained.of(name) for name in plan.nodes if name in wanted]


def _with_causes(plan: Plan, nodes: Sequence[str]) -> set[str]:
    """Nodes and all before them that they wait for."""
    reached = set(nodes)
    waiting = list(nodes)
    while waiting:
        for name in plan.nodes[waiting.pop()].needs:
            if name not in reached:
                reached.add(name)
                waiting.append(name)
    return reached


@dataclass
class _Known:
    """What the latest runs say of nodes: the last run of each name, and of each key."""

    by_name: dict[str, tuple[EarlierRun, Mapping[str, Any]]] = field(default_factory=dict)
    by_key: dict[Key, tuple[EarlierRun, Mapping[str, Any]]] = field(default_factory=dict)


class _Explained:
    def __init__(
        self, plan: Plan, graph: CheckedGraph, shared: EngineState, past: RunHistory
    ) -> None:
        self._plan = plan
        self._graph = graph
        self._shared = shared
        self._past = past
        self._known = _Known()
        self._latest: dict[str, list[EarlierResult]] = {}
        for run in islice(past.runs, LOOKED_AT):
            for name, item in run.nodes.items():
                self._known.by_name.setdefault(name, (run, item))
                if item.get("key") and item.get("status") == "ran":
                    self._known.by_key.setdefault(item["key"], (run, item))

    def of(self, name: str) -> NodeWhy:
        """Why a node would run, or where its result comes from."""
        planned = self._plan.nodes[name]
        waits = planned.needs if planned.status in ("run", "lazy") else ()
        if planned.status == "skip":
            return NodeWhy(planned, (self._skipped(planned),))
        if planned.status == "hit":
            return self._hit(planned)
        if planned.calls == 0:
            return NodeWhy(
                planned, ("a list that it maps over is empty, so there is nothing to do",)
            )
        call = self._telling_call(name)
        reasons, changes, origin = self._own_reasons(planned, call)
        if planned.status == "lazy":
            reasons.insert(0, "whether it is needed is known only during the run")
        return NodeWhy(planned, tuple(reasons), tuple(changes), origin, waits)

    # What is there

    def _hit(self, planned: NodePlan) -> NodeWhy:
        if planned.place == "files":
            origin = self._origin_in_runs(planned.key)
            return NodeWhy(planned, ("the files that it wrote exist, unchanged",), (), origin)
        if planned.place == "shared":
            return NodeWhy(planned, ("an identical node runs instead",))
        if planned.place == "blocked":
            return NodeWhy(planned, ("an input has no value this time",))
        calls = self._plan.predicted[planned.name].each_call()
        key = planned.key or next((call.key for call in calls if call.key), "")
        earlier = self._past.results.of(key) if self._past.results and key else None
        origin = _origin(earlier) if earlier is not None else self._origin_in_runs(key)
        return NodeWhy(planned, (), (), origin)

    def _origin_in_runs(self, key: Key) -> Origin | None:
        earlier = self._known.by_key.get(key) if key else None
        if earlier is None:
            return None
        run, item = earlier
        return Origin(run.id, run.started, float(item.get("seconds") or 0.0), key)

    def _skipped(self, planned: NodePlan) -> str:
        if planned.reason == "blocked":
            return "an input has no value this time, so the node is skipped"
        return "no node needs it this time"

    # What runs

    def _telling_call(self, name: str) -> PlannedCall | None:
        """The call whose reason stands for the node's: the first that is sure to run."""
        calls = [call for call in self._plan.predicted[name].each_call() if call.verdict != "hit"]
        sure = [call for call in calls if call.verdict == "run"]
        return next(iter(sure or calls), None)

    def _own_reasons(
        self, planned: NodePlan, call: PlannedCall | None
    ) -> tuple[list[str], list[Difference], Origin | None]:
        node = self._graph.nodes[planned.name]
        if planned.reason == "fault":
            return (
                [f"its cache key cannot be computed: {self._plan.predicted[node.name].fault}"],
                [],
                None,
            )
        if planned.reason == "always":
            return ["the workflow sets it to run each time"], [], None
        if planned.reason == "random":
            return ["its results differ from run to run, so they are not kept"], [], None
        if planned.reason == "gone":
            return self._gone(planned, call)
        waiting = self._waiting(node, call)
        if node.spec.output:
            return [self._sink(node, call), *waiting], [], None
        if planned.reason == "state":
            waiting.append(
                "the external data that it reads is not known before its inputs are computed"
            )
        changes, origin, words = self._compared(planned, node, call)
        return [*words, *map(str, changes), *waiting], changes, origin

    def _sink(self, node: GraphNode, call: PlannedCall | None) -> str:
        if not node.spec.output_files or self._shared.written is None:
            return "it has an effect outside the workflow, so it runs each time"
        key = call.key if call is not None else None
        if key is None:
            return "it is not known yet whether it has written this before"
        if key in self._known.by_key:
            return "the files that it wrote are missing or changed"
        return "it has not written this before"

    def _gone(
        self, planned: NodePlan, call: PlannedCall | None
    ) -> tuple[list[str], list[Difference], Origin | None]:
        users = [
            name
            for name, other in self._graph.nodes.items()
            if may_run(self._plan.predicted[name])
            and any(source.node == planned.name for source in other.links.values())
        ]
        needed = f", and {_names(users)} needs it" if users else ""
        key = call.key if call is not None else None
        earlier = self._past.results.of(key) if self._past.results and key else None
        origin = None if earlier is None else _origin(earlier)
        return [f"its result is no longer kept, only its digest{needed}"], [], origin

    def _waiting(self, node: GraphNode, call: PlannedCall | None) -> list[str]:
        reasons = []
        for port, source in node.links.items():
            value = None if call is None else call.inputs.get(port)
            if not isinstance(value, Product) and may_run(self._plan.predicted[source.node]):
                reasons.append(f"input {port}: `{source.node}` runs first")
        return reasons

    def _compared(
        self, planned: NodePlan, node: GraphNode, call: PlannedCall | None
    ) -> tuple[list[Difference], Origin | None, list[str]]:
        """Differences from the nearest earlier result, that result, and what else is to say."""
        key = call.key if call is not None else None
        record = self._record(node)
        if record is not None and key and record[1].get("key") == key:
            return [], None, [_same_key(*record)]
        now = self._parts(node, call)
        unknown = frozenset(port for port in node.links if port not in now["links"])
        nearest = self._nearest(node, record, now, unknown)
        if nearest is None or nearest.parts is None:
            known = self._past.results is not None and record is None
            return [], None, ["no earlier result to compare with"] if known else []
        read = nearest.parts.get("readings", {})
        inputs = self._shared.environment.inputs
        # What is read of the graph can't be told apart here: it would be the key that differs.
        facts = {**read, **dict(self._shared.facts_of(node))}
        readings = {
            name: facts[name] if name.startswith(IN_RUN) else fingerprint(name, inputs)
            for name in read
        }
        now = {**now, "readings": readings}
        changes = compare_parts(nearest.parts, now, unknown, self._modules(node))
        words = []
        if not changes and key is not None:
            words.append("the difference from the earlier run is not known")
        return changes, _origin(nearest), words

    def _record(self, node: GraphNode) -> tuple[EarlierRun, Mapping[str, Any]] | None:
        record = self._known.by_name.get(node.name)
        return record if record is not None and record[1].get("type") == node.spec.type else None

    def _nearest(
        self,
        node: GraphNode,
        record: tuple[EarlierRun, Mapping[str, Any]] | None,
        now: Parts,
        unknown: frozenset[str],
    ) -> EarlierResult | None:
        results = self._past.results
        if results is None:
            return None
        if record is not None and record[1].get("key"):
            earlier = results.of(record[1]["key"])
            if earlier is not None and earlier.parts is not None:
                return earlier
        candidates = self._latest.get(node.spec.type)
        if candidates is None:
            latest = results.latest(node.spec.type, COMPARED)
            candidates = [item for item in latest if item.parts is not None]
            self._latest[node.spec.type] = candidates
        return min(
            candidates,
            key=lambda item: len(compare_parts(item.parts or {}, now, unknown)),
            default=None,
        )

    def _parts(self, node: GraphNode, call: PlannedCall | None) -> Parts:
        links = {}
        if call is not None:
            links = {
                port: value.digest
                for port, value in call.inputs.items()
                if isinstance(value, Product)
            }
        identity = self._shared.identity(node.spec)
        return key_parts(
            node,
            links,
            code=identity.code,
            profile=identity.profile,
            fingerprint=call.fingerprint if call is not None else "",
        )

    def _modules(self, node: GraphNode) -> Callable[[Digest], Mapping[str, Digest] | None]:
        def find(digest: Digest) -> Mapping[str, Digest] | None:
            if digest == self._shared.identity(node.spec).code:
                return self._shared.registry.code_modules(node.spec.type)
            return self._past.modules(digest) if self._past.modules else None

        return find


def _origin(earlier: EarlierResult) -> Origin:
    return Origin(earlier.run, earlier.created, earlier.seconds, earlier.key)


def _same_key(run: EarlierRun, item: Mapping[str, Any]) -> str:
    if item.get("status") == "failed":
        return f"it failed in run {run.id}, with the same inputs"
    if item.get("status") in ("ran", "cached"):
        return f"nothing has changed since run {run.id}, but its result is no longer kept"
    return f"run {run.id} did not reach this node"


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
