"""What the runs of one engine share, and the interfaces between the parts of a run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import msgpack

from nodegraph.core.context import Environment, Merging, Nesting, Numerics, Weights
from nodegraph.core.digests import Digest, digest_value
from nodegraph.core.events import EventStream
from nodegraph.core.graph import CheckedGraph, GraphNode
from nodegraph.core.keys import Key, base_key
from nodegraph.core.links import Expand
from nodegraph.core.spec import NodeSpec
from nodegraph.engine.cache import Cache, CallOutputs
from nodegraph.engine.checkpointing import Saver
from nodegraph.engine.external_reads import LocalReads, extend_key, fact_read
from nodegraph.engine.lanes import Lanes, Share
from nodegraph.engine.options import DEFAULT_OPTIONS, CancelToken, RunOptions
from nodegraph.engine.product import Product
from nodegraph.engine.result import CacheSource, WrittenFile
from nodegraph.engine.states import Call, NodeState
from nodegraph.packs.registry import Registry
from nodegraph.store.costs import Costs
from nodegraph.store.file_records import SinkFiles
from nodegraph.store.history import CodeModules


@dataclass(frozen=True, slots=True)
class FunctionResult:
    """What a function gave: outputs, or more graph.

    Attributes:
        memory: Highest peak in bytes, where it was measured.
        loading: Of the seconds, those that it waited for weights.
    """

    seconds: float
    products: tuple[Product, ...] = ()
    expansion: Expand | None = None
    memory: int | None = None
    loading: float = 0.0


class RunCalls(Protocol):
    """The calls of a run. All of it is for the event loop's thread."""

    def begin(self, call: Call) -> None:
        """Answer a call from the cache, join an equal one in flight, or run it."""

    def release_followers(self, call: Call) -> None:
        """Nobody waits any more for a call whose inputs have to be computed again first."""

    def answer_from_cache(self, call: Call, *, is_shared: bool = False) -> bool:
        """Complete a call with what is known under its key, if anything is."""

    def answer_with(self, call: Call, entry: CallOutputs, *, is_shared: bool = False) -> None:
        """Complete a call with what was computed earlier."""

    def run(self, call: Call, act: Callable[[Call], None] | None = None) -> None:
        """Run a call once the values of its inputs are in memory.

        Args:
            act: What runs it, if not its lane or task.
        """

    def restart(self, call: Call) -> None:
        """Begin a call anew, as one of its inputs had to be computed again and may differ."""

    def answer(self, call: Call, answer: FunctionResult) -> None:
        """A call's function has returned."""

    def keep(self, call: Call, products: tuple[Product, ...], seconds: float) -> None:
        """Keep a call's outputs, in memory and on disk."""

    def complete(
        self,
        call: Call,
        products: tuple[Product, ...],
        *,
        source: CacheSource = "",
        saved: float = 0.0,
    ) -> None:
        """A call has its outputs."""

    def fail(self, call: Call, error: BaseException) -> None:
        """A call has raised."""

    def abandon(self, call: Call) -> None:
        """A call ends without outputs, as something that it needs has none."""

    def spawn(self, call: Call, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a part of a call as a task, which ends with the run."""

    def failing(self, call: Call) -> AbstractContextManager[None]:
        """What an async node raises inside the `with` is its call's failure."""


class RunScheduler(Protocol):
    """A run, as its parts see it. All of it is for the event loop's thread."""

    shared: EngineState
    events: EventStream
    cancel: CancelToken
    share: Share
    files: list[WrittenFile]
    states: dict[str, NodeState]
    id: str
    nesting: Nesting
    pin: Callable[[Iterable[Product]], None]
    check_mutation: bool
    alone: AbstractContextManager[object]

    @property
    def calls(self) -> RunCalls:
        """The calls of this run."""

    def add(self, graph: CheckedGraph, *, within: NodeState | None = None) -> None:
        """Take a graph's nodes in; its targets' outputs stay until `release_outputs`.

        Args:
            within: The node that expanded into the graph.
        """

    def demand(self, name: str) -> NodeState:
        """See to it that a node and what it needs are run."""

    def revive(self, name: str) -> NodeState:
        """See to it that a node's values are there again; it has ended, and they are gone."""

    def linked(self, state: NodeState, port: str) -> Product:
        """The value of a linked input whose source has ended, as the link hands it on."""

    def inputs_of(self, call: Call) -> dict[str, Product]:
        """The linked inputs of a call, as their sources give them now."""

    def reads_of(self, state: NodeState) -> LocalReads | None:
        """Fingerprints of what a node reads of the graph; None if its function can't read it."""

    def release_outputs(self, states: Sequence[NodeState]) -> None:
        """Somebody outside the graph who kept these nodes' outputs needs them no more."""

    def call_ended(self, call: Call) -> None:
        """A call has outputs, or never will."""

    def pumping(self) -> AbstractContextManager[None]:
        """What becomes ready inside the `with` begins at its end, in this turn of the loop."""

    def end_on_fault(self) -> AbstractContextManager[None]:
        """A fault of the scheduler's own ends the run with it, rather than let it wait for ever."""


class PumpedRun(Protocol):
    """What `Pumping` needs of a run."""

    def plan_pump(self) -> bool:
        """Note that a pump is to come; whether none was planned yet."""

    def pump(self) -> None:
        """Begin what is ready, for as long as a turn may last."""


class Pumping:
    """See `RunScheduler.pumping`; entered for each call, so it is no generator."""

    __slots__ = ("_is_outermost", "_run")

    def __init__(self, run: PumpedRun) -> None:
        self._run = run

    def __enter__(self) -> None:
        self._is_outermost = self._run.plan_pump()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._is_outermost and error is None:
            self._run.pump()


class FaultGuard:
    """See `RunScheduler.end_on_fault`; entered for each call, so it is no generator."""

    __slots__ = ("_over",)

    def __init__(self, over: asyncio.Future[None]) -> None:
        self._over = over

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        if not self._over.done():
            self._over.set_exception(error)
        return True


_MOST_BASES = 1 << 14
_LONGEST_GIVEN = 256
"""Bytes of packed literals that are remembered."""
_BINARY = (b"\xc4", b"\xc5", b"\xc6")


class Claiming(Protocol):
    """Who works on what, across processes."""

    def try_claim(self, name: str) -> bool:
        """Take a name, unless somebody has it."""

    def release(self, name: str) -> None:
        """Give a name back."""

    def is_held(self, name: str) -> bool:
        """Whether anybody has a name."""


TextReader: TypeAlias = Callable[[Path], Mapping[str, str] | None]
"""Returns the texts that a file carries, by name; None for a file of no known form."""
ModelFinder: TypeAlias = Callable[[str, Sequence[Path]], Path]
"""Returns the file or folder that a model's name means in the models folders."""


@dataclass
class EngineState:
    """See `nodegraph.engine.engine.Engine` for the fields.

    Attributes:
        in_flight: Calls that are running, by key: an equal one waits for its result.
        document: Makes the document of the run, for nodes whose keys contain it.
        ingredients: Digests of the manifests in input files, by the digest of the file.
    """

    registry: Registry
    environment: Environment
    cache: Cache
    lanes: Lanes
    weights: Weights | None = None
    numerics: Numerics | None = None
    costs: Costs | None = None
    claims: Claiming | None = None
    written: SinkFiles | None = None
    codes: CodeModules | None = None
    saver: Saver = field(default_factory=Saver)
    merging: Merging | None = None
    in_flight: dict[Key, Call] = field(default_factory=dict)
    document: Callable[[], Mapping[str, Any]] = dict
    texts_of: TextReader | None = None
    model_path: ModelFinder | None = None
    ingredients: dict[Digest, Digest] = field(default_factory=dict)
    _facts: dict[str, Digest] = field(default_factory=dict)
    _identities: dict[str, Identity] = field(default_factory=dict)
    _bases: dict[tuple[str, int, Digest, str, bytes | None], Digest] = field(default_factory=dict)

    def for_run(
        self, options: RunOptions = DEFAULT_OPTIONS, precision: str = "", *, measures: bool = False
    ) -> EngineState:
        """The same for one run; all that is shared stays so.

        Args:
            options: Uploads that it may read, and what its files carry.
            precision, measures: See `CpuDevice.for_run`.
        """
        environment = self.environment.with_granted(options.granted)
        environment = environment.with_texts(
            options.metadata, options.metadata_prompts, options.sidecar
        )
        environment = environment.with_precision(precision, measures=measures)
        return self if environment is self.environment else replace(self, environment=environment)

    def with_document(self, document: Callable[[], Mapping[str, Any]]) -> EngineState:
        """The same for one run of a document, which is made if a key contains it."""
        return replace(self, document=document, _facts={})

    def base_of(self, node: GraphNode) -> Digest:
        """The part of a node's key that is known before it runs."""
        if node.spec.hidden:
            return extend_key(self._base(node, self.identity(node.spec)), self.facts_of(node))
        identity = self.identity(node.spec)
        known = node.memo.get("base")
        if known is not None and known[0] == identity:
            base: Digest = known[1]
            return base
        base = self._base(node, identity)
        node.memo["base"] = (identity, base)
        return base

    def facts_of(self, node: GraphNode) -> tuple[tuple[str, Digest], ...]:
        """What a node asks of its run and what is known before that, with digests."""
        facts = sorted({fact for fact in node.spec.hidden.values() if fact != "graph"})
        return tuple([(fact_read(fact), self._fact_digest(fact, node)) for fact in facts])

    def _fact_digest(self, fact: str, node: GraphNode) -> Digest:
        if fact == "node":
            return digest_value(node.name)
        if fact not in self._facts:
            document = self.document()
            content = document if fact == "workflow" else document.get("metadata", {})
            self._facts[fact] = digest_value(dict(content), self.registry.digesters)
        return self._facts[fact]

    def _base(self, node: GraphNode, identity: Identity) -> Digest:
        """The same, remembered for graphs that are built again with most of them unchanged."""
        packed = _packed(node.literals)
        key = (node.spec.type, node.spec.version, identity.code, identity.profile, packed)
        base = self._bases.get(key) if packed is not None else None
        if base is None:
            base = base_key(
                node.spec,
                node.literals,
                code=identity.code,
                profile=identity.profile,
                digesters=self.registry.digesters,
            )
            if packed is not None:
                if len(self._bases) >= _MOST_BASES:
                    self._bases.clear()
                self._bases[key] = base
        return base

    def forget_calls(self) -> None:
        """Drop the calls that were in flight on an event loop that is gone."""
        for call in self.in_flight.values():
            if call.is_claimed and self.claims is not None:
                call.is_claimed = False
                self.claims.release(call.key)
        self.in_flight.clear()

    def forget_identities(self) -> None:
        """Look at the code behind node types anew: that of a notebook may have changed."""
        self._identities.clear()
        self.registry.refresh_functions()

    def identify(self, graph: CheckedGraph, *, is_growing: bool = False) -> None:
        """Look at the code behind a graph's nodes before any of them runs and may change it.

        Args:
            is_growing: Whether there are subgraphs of which nodes will be added as it runs.
        """
        nodes = [node for name, node in graph.nodes.items() if name not in graph.values]
        for spec in {id(node.spec): node.spec for node in nodes}.values():
            self.identity(spec)
        self.registry.digest_added_functions(is_growing=is_growing)

    def identity(self, spec: NodeSpec) -> Identity:
        """What enters the keys of all nodes of a type."""
        known = self._identities.get(spec.type)
        if known is None or known.spec is not spec:
            known = Identity(spec, self.registry.code_digest(spec.type), self._profile(spec))
            self._identities[spec.type] = known
        return known

    def _profile(self, spec: NodeSpec) -> str:
        if not spec.numerics or self.numerics is None:
            return ""
        return self.numerics.profile(self.device_of(spec))

    def matches_profile(self, spec: NodeSpec) -> bool:
        """Whether nodes of a type compute as their keys say: a function may set threads anew."""
        return not spec.numerics or self._profile(spec) == self.identity(spec).profile

    def device_of(self, spec: NodeSpec) -> str:
        """Where nodes of a type compute."""
        return self.lanes.device if spec.lane == "gpu" else "cpu"

    def expected_seconds(self, spec: NodeSpec) -> float:
        """What a call of a node type takes, whatever its shape; 0 if unknown."""
        if self.costs is None:
            return 0.0
        cost = self.costs.expected(spec.type, "", self.device_of(spec))
        return cost.seconds if cost is not None else 0.0


@dataclass(frozen=True, slots=True)
class Identity:
    """A node type's code and the numerics that its results depend on."""

    spec: NodeSpec
    code: Digest
    profile: str

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Identity)
            and self.spec is other.spec
            and self.code == other.code
            and self.profile == other.profile
        )

    __hash__ = None  # type: ignore[assignment]


def _packed(literals: Mapping[str, Any]) -> bytes | None:
    """Literals in a form that tells all plain values apart; None for others, and for long ones."""
    try:
        packed: bytes = msgpack.packb(
            literals, strict_types=True, use_bin_type=True, unicode_errors="surrogatepass"
        )
    except (TypeError, ValueError, OverflowError):
        return None
    # Bytes and what else is made of them are packed alike; what stands before them is also in some
    # texts, which costs these no more than time.
    is_told_apart = not any(map(packed.__contains__, _BINARY))
    return packed if is_told_apart and len(packed) <= _LONGEST_GIVEN else None
