"""State of a run's nodes and calls: mapping over lists, outputs, failures."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from nodegraph.core.digests import Digest
from nodegraph.core.graph import GraphNode
from nodegraph.core.keys import Key
from nodegraph.core.summary import summarize
from nodegraph.core.text_format import to_well_formed
from nodegraph.engine.cache import CallOutputs, Entry, get_tier
from nodegraph.engine.external_reads import ExternalReads, extend_key
from nodegraph.engine.mutation import InputGuard
from nodegraph.engine.product import Product, listed
from nodegraph.engine.result import CacheSource, NodeReport, NodeStatus
from nodegraph.errors import NodeFailed, NodegraphError
from nodegraph.store.entries import CallWarning

T = TypeVar("T")


@dataclass(slots=True)
class Nested(Generic[T]):
    """A leaf, or a list of such; the shape of a mapped node's calls."""

    leaf: T | None = None
    branches: tuple[Nested[T], ...] | None = None

    def leaves(self) -> tuple[T, ...]:
        if self.branches is None:
            assert self.leaf is not None
            return (self.leaf,)
        return tuple([leaf for branch in self.branches for leaf in branch.leaves()])


def spread(inputs: Mapping[str, Product], depths: Mapping[str, int]) -> Nested[dict[str, Product]]:
    """The inputs of every call.

    The inputs with the deepest lists are taken apart first, zipped; a shorter list repeats its
    last item; an empty one makes no calls.

    Args:
        depths: Levels of list to take apart, by input.
    """
    depth = max(depths.values(), default=0)
    if depth == 0:
        return Nested(dict(inputs))
    if any(inputs[port].is_blocked for port, own in depths.items() if own == depth):
        return Nested(dict(inputs))  # a blocked list: what comes of it is blocked as a whole
    mapped = {port: _items(inputs[port]) for port, own in depths.items() if own == depth}
    lengths = [len(items) for items in mapped.values()]
    count = max(lengths) if all(lengths) else 0
    left = {port: own - (port in mapped) for port, own in depths.items()}
    branches = []
    for at in range(count):
        taken = {port: items[min(at, len(items) - 1)] for port, items in mapped.items()}
        branches.append(spread({**inputs, **taken}, left))
    return Nested(branches=tuple(branches))


def _items(product: Product) -> tuple[Product, ...]:
    if product.items is None:
        raise TypeError(f"expected a list to map over, got {type(product.value).__name__}")
    return product.items


def gather(outputs: Nested[tuple[Product, ...]], count: int) -> tuple[Product, ...]:
    """One product for each of `count` output ports: lists in the shape of the calls."""
    if outputs.branches is None:
        assert outputs.leaf is not None
        return outputs.leaf
    columns = [gather(branch, count) for branch in outputs.branches]
    return tuple(listed([column[port] for column in columns]) for port in range(count))


_ENGINE = str(Path(__file__).parent)


def node_failure(call: Call, error: BaseException) -> NodeFailed:
    """The error for a call that raised; the original is its cause."""
    if isinstance(error, NodeFailed):
        return error
    spec = call.state.node.spec
    inputs = {port: summarize(value) for port, value in call.state.node.literals.items()}
    inputs |= {port: _summary_of(product) for port, product in call.inputs.items()}
    failed = NodeFailed(
        error,
        node=call.name,
        node_type=spec.type,
        inputs=inputs,
        trace="" if isinstance(error, NodegraphError) else _trace(error),
    )
    failed.__cause__ = error
    return failed


def _summary_of(product: Product) -> str:
    # As it came, where a link's conversion is what failed; and nothing is loaded for a message.
    while product.base is not None:
        product = product.base
    return summarize(product.value) if product.is_loaded else "(not in memory)"


def _trace(error: BaseException) -> str:
    """The traceback from the pack's first frame on."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(_ENGINE)]
    return "".join(traceback.format_list(own))


@dataclass(eq=False, slots=True)
class NodeState:
    """One node of a run.

    Attributes:
        depth: Longest way to a target, in expected seconds: the critical path goes first.
        waiting: How many inputs are still to come.
        consumers: How many nodes may still use the outputs; at 0 they leave memory.
        followers: Nodes that wait for this one.
        watchers: Called once it has ended, whatever way.
        level: How deep in expansions it stands.
        within: The node that expanded into it.
        is_repeatable: False if it expanded into something that must run each time.
        is_closed: See `Call.is_closed`; of all its calls.
        is_blocked: It was skipped, as an input stood for a blocked output.
        needs_values: Its outputs' values are needed, so that knowing their digests isn't enough.
        is_released: Nobody needs it any more, and what it would have used was told so.
        is_nondeterministic: It stands behind something that differs from run to run, or holds it.
        relinked: Its calls by position, with the inputs that computing sources once more gave, and
            the sources' outputs that these were made of.
        frees: Bytes that its end lets leave memory, once they are known.
        told: Warnings that were told in this run, and whether that was of a result in the cache.
        warnings: What its calls said of their results.
        queue: Calls that begin once the one before has ended.
        sources: Names of all nodes that it is linked from.
        lazy_ports: Linked inputs that are evaluated on demand; one that is mapped over never is.
        eager_sources: Names of the nodes that must have ended before this one starts.
    """

    node: GraphNode
    depth: float = 0.0
    level: int = 0
    within: NodeState | None = None
    demanded: bool = False
    waiting: int = 0
    consumers: int = 0
    status: NodeStatus | None = None
    products: tuple[Product, ...] | None = None
    base: Digest | None = None
    calls: Nested[Call] | None = None
    relinked: tuple[Sequence[object], Mapping[tuple[int, ...], Call]] | None = None
    frees: int | None = None
    open_calls: int = 0
    call_count: int = 0
    cached_count: int = 0
    seconds: float = 0.0
    loading: float = 0.0
    saved: float = 0.0
    memory: int | None = None
    source: CacheSource = ""
    key: Key = ""
    error: NodeFailed | None = None
    is_repeatable: bool = True
    is_closed: bool = True
    is_blocked: bool = False
    needs_values: bool = False
    is_released: bool = False
    is_nondeterministic: bool = False
    emitted_warnings: dict[CallWarning, bool] = field(default_factory=dict)
    warnings: tuple[CallWarning, ...] = ()
    queue: deque[Call] | None = None
    followers: list[NodeState] = field(default_factory=list)
    watchers: list[Callable[[], None]] = field(default_factory=list)

    sources: tuple[str, ...] = field(init=False)
    lazy_ports: frozenset[str] = field(init=False)
    eager_sources: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        links = self.node.links
        lazy = self.node.lazy_links
        self.sources = tuple(dict.fromkeys([source.node for source in links.values()]))
        self.lazy_ports = lazy
        self.eager_sources = self.sources
        if lazy:
            eager = [source.node for port, source in links.items() if port not in lazy]
            self.eager_sources = tuple(dict.fromkeys(eager))

    def output(self, port: str) -> Product:
        """One of the outputs, by its port's name; the node must have ended well."""
        assert self.products is not None, (
            f"the outputs of {self.node.name} were removed from memory too early"
        )
        return self.products[self.node.spec.output_indices[port]]

    def used(self) -> None:
        """One of those who may use the outputs has done so; the last one lets them go."""
        self.consumers -= 1
        if not self.consumers:
            self.release_values()

    def release_values(self) -> None:
        """Let the outputs leave memory; their digests stay, and where the values may be had."""
        if self.products is not None:
            self.products = tuple([product.stub() for product in self.products])

    def again(self) -> None:
        """Be as before it ran, as the values of its outputs are gone and somebody needs them."""
        self.status = None
        self.calls = None
        self.error = None
        self.is_blocked = False
        self.needs_values = True

    @property
    def has_outputs(self) -> bool:
        """Whether it ended well and others may use what it gave."""
        return self.status in ("ran", "cached")

    def depends_on(self, source: NodeState) -> None:
        """Take note of what stands before it.

        What comes of something that differs each time needs its value at once: to have it later,
        that would have to run again, and differ from what others have of it in the same run.
        """
        if source.is_nondeterministic or not source.node.spec.deterministic:
            self.is_nondeterministic = self.needs_values = True

    def mark_nondeterministic(self) -> None:
        """Take note that it expanded into something that differs from run to run."""
        state: NodeState | None = self
        while state is not None and not state.is_nondeterministic:
            state.is_nondeterministic = True
            state = state.within

    @property
    def is_loaded(self) -> bool:
        """Whether all its outputs' values are in memory."""
        return all(product.is_loaded for product in self.products or ())

    def forget_calls(self) -> None:
        """Let go of the calls with their inputs and outputs; the report keeps what they were."""
        calls = self.calls.leaves() if self.calls is not None else ()
        self.call_count = len(calls)
        self.cached_count, self.source, self.saved = 0, "", 0.0
        self.calls = self.relinked = self.frees = None
        self.warnings = tuple(
            [
                warning._replace(inner=call.name[len(self.node.name) :] + warning.inner)
                for call in calls
                for warning in call.kept_warnings
            ]
        )
        for call in calls:
            if call.cached_from:
                self.cached_count += 1
                self.source = call.cached_from
                self.saved += call.saved
            # The lane's thread may hold on to the call a moment longer than the run does.
            call.inputs, call.outputs, call.input_guard = {}, None, None
        self.key = calls[0].result_key if len(calls) == 1 else ""

    def report(self) -> NodeReport:
        """How it fared, for the run's result."""
        ports = self.node.spec.outputs
        return NodeReport(
            self.status or "skipped",
            self.seconds,
            self.call_count,
            self.cached_count,
            self.source,
            self.saved,
            self.memory,
            self.node.spec.lane,
            self.key,
            {port.name: out.digest for port, out in zip(ports, self.products or (), strict=False)},
            self.node.spec.type,
            tuple(dict.fromkeys(warning.message for warning in self.warnings)),
        )


MOST_WARNINGS = 50
"""That are kept with a result."""
_LONGEST_WARNING = 4000
"""Letters."""


@dataclass(eq=False, slots=True)
class Call:
    """One invocation of a node's function; a mapped node has several.

    Attributes:
        name: The node's name, with the place in the list where it is mapped: ``decode[2]``.
        position: That place alone: ``(2,)``.
        inputs: Linked inputs that are evaluated, as the function gets them.
        fingerprint: State of the world outside that the node reads.
        requested: Digests of the lazy inputs that the function asked for, in that order.
        cached_from: Where the result came from, if the function didn't run.
        saved: Seconds that computing it had taken then.
        is_shared: An equal one elsewhere may be waited for.
        is_claimed: Other processes wait for its result.
        is_stored: The result is on its way to the store.
        is_exact: False if it had to make do with less memory: the result isn't stored.
        is_sound: False if what it read outside may not be what its key tells of: the result
            is kept nowhere.
        readings: What its function has read outside.
        was_open: Its result was computed with what was read outside.
        answer_key: The key that its result was found under, where that isn't `key`.
        is_repeatable: False if it expanded into something that must run each time.
        followers: Calls, maybe of other runs, that wait for the same key.
        input_guard: What its function was handed, once it runs.
        batch_label: See `LaneSlot`.
        warnings: What was said of its result, in that order.
    """

    state: NodeState
    name: str
    inputs: dict[str, Product]
    position: tuple[int, ...] = ()
    key: Key = ""
    fingerprint: str = ""
    requested: dict[str, Digest] = field(default_factory=dict)
    outputs: tuple[Product, ...] | None = None
    cached_from: CacheSource = ""
    saved: float = 0.0
    is_shared: bool = False
    is_claimed: bool = False
    is_stored: bool = False
    is_exact: bool = True
    is_sound: bool = True
    readings: ExternalReads = field(default_factory=ExternalReads)
    was_open: bool = False
    answer_key: Key = ""
    has_ended: bool = False
    is_repeatable: bool = True
    followers: dict[Call, Follower] = field(default_factory=dict)
    input_guard: InputGuard | None = None
    batch_label: str = ""
    warnings: dict[CallWarning, None] = field(default_factory=dict)

    def warn(self, message: object, level: str) -> bool:
        """Note what its function says of its result; from any thread.

        Returns:
            Whether it is news: in this run it may have been told of the result in the cache, whose
            value is gone, so that it is computed once more.
        """
        text = to_well_formed(str(message))
        if len(text) > _LONGEST_WARNING:
            text = f"{text[: _LONGEST_WARNING - 1]}…"
        warning = CallWarning(text, level)
        self.warnings[warning] = None
        return not self.state.emitted_warnings.setdefault(warning, False)

    def warn_again(self, warning: CallWarning) -> bool:
        """Note what was said of its result when that was computed.

        Returns:
            Whether it is news: items of a list may all have it to say.
        """
        self.warnings[warning] = None
        if warning in self.state.emitted_warnings:
            return False
        self.state.emitted_warnings[warning] = True
        return True

    @property
    def kept_warnings(self) -> tuple[CallWarning, ...]:
        """What is said again wherever the result is used."""
        warnings = tuple(self.warnings) if self.warnings else ()
        if len(warnings) <= MOST_WARNINGS:
            return warnings
        more = f"{len(warnings) - MOST_WARNINGS + 1} more warnings, shown when it was computed"
        return (*warnings[: MOST_WARNINGS - 1], CallWarning(more))

    @property
    def result_key(self) -> Key:
        """The key of its result: `key`, and then what was read outside."""
        pending = self.readings.pending
        return self.answer_key or (extend_key(self.key, pending) if pending else self.key)

    @property
    def is_closed(self) -> bool:
        """Whether its outputs follow from its inputs alone."""
        return self.is_sound and self.is_exact and not (self.was_open or self.readings.steps)


Follower = Callable[[Call, Call, BaseException | None], None]
"""Told that the call it waited for has ended: itself, that call, its error."""


def usable(entry: Entry | None, state: NodeState) -> CallOutputs | None:
    """An entry that may stand for a node's call: with its values, where those are needed."""
    if not isinstance(entry, CallOutputs):
        return None
    is_short = state.needs_values and get_tier(entry) == "digest"
    return None if is_short else entry
