"""State of a run's nodes and calls: mapping over lists, outputs, failures."""

from __future__ import annotations

import json
import re
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from nodegraph.core.digests import Digest
from nodegraph.core.graph import GraphNode
from nodegraph.core.keys import Key
from nodegraph.core.links import plain_value
from nodegraph.core.manifest import ManifestInput
from nodegraph.core.spec import OutputSpec
from nodegraph.core.summary import summarize
from nodegraph.core.text_format import to_well_formed
from nodegraph.engine.cache import CallOutputs, Entry, get_tier
from nodegraph.engine.external_reads import ExternalReads, extend_key
from nodegraph.engine.mutation import InputGuard
from nodegraph.engine.product import Product, listed
from nodegraph.engine.result import CacheSource, NodeReport, NodeStatus
from nodegraph.errors import InvalidValue, NodeFailed, NodegraphError
from nodegraph.store.entries import UI, CallWarning

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


def gather(
    outputs: Nested[tuple[Product, ...]], ports: Sequence[OutputSpec]
) -> tuple[Product, ...]:
    """One product for each output: lists in the shape of the calls, or the calls' own joined."""
    if outputs.branches is None:
        assert outputs.leaf is not None
        return outputs.leaf
    columns = [gather(branch, ports) for branch in outputs.branches]
    is_last = all(branch.branches is None for branch in outputs.branches)
    return tuple(
        listed(_joined([column[at] for column in columns], is_joined=is_last and port.is_joined))
        for at, port in enumerate(ports)
    )


def _joined(products: Sequence[Product], *, is_joined: bool) -> list[Product]:
    """Products, or the items of those that are lists: a call that is blocked gives one item."""
    if not is_joined:
        return list(products)
    return [item for product in products for item in _items_of(product)]


def _items_of(product: Product) -> tuple[Product, ...]:
    return (product,) if product.items is None else product.items


def gather_calls(calls: Nested[Call], ports: Sequence[OutputSpec]) -> tuple[Product, ...]:
    """The same of calls that all have outputs."""
    return gather(_outputs(calls), ports)


def _outputs(calls: Nested[Call]) -> Nested[tuple[Product, ...]]:
    if calls.branches is not None:
        return Nested(branches=tuple(_outputs(branch) for branch in calls.branches))
    assert calls.leaf is not None
    assert calls.leaf.outputs is not None
    return Nested(calls.leaf.outputs)


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
    elsewhere: str = getattr(error, "pack_trace", "")  # of an isolated pack
    if elsewhere:
        return elsewhere
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
        origin: The node of the workflow that it is a copy of, if it is one.
        is_repeatable: False if it expanded into something that must run each time.
        is_closed: See `Call.is_closed`; of all its calls.
        is_blocked: It was skipped, as an input stood for a blocked output.
        blocker: The message of that output, which may be one that an earlier node got; empty for a
            silent one.
        needs_values: Its outputs' values are needed, so that knowing their digests isn't enough.
        is_released: Nobody needs it any more, and what it would have used was told so.
        is_nondeterministic: It stands behind something that differs from run to run, or holds it.
        relinked: Its calls by position, with the inputs that computing sources once more gave, and
            the sources' outputs that these were made of.
        frees: Bytes that its end lets leave memory, once they are known.
        requested: Lazy inputs that its calls requested, also those of cached results.
        brought_weights: Weights that come with its pack and that it read, once that is known.
        folder_inputs: Files that it read from folders, as manifests name them, once that is known.
        reads_outside: Whether its key depends on files or variables that its calls read, which
            includes where these are on this machine. Known once it has ended.
        told: Warnings that were told in this run, and whether that was of a result in the cache.
        warnings: What its calls said of their results.
        queue: Calls that begin once the one before has ended.
        sources: Names of all nodes that it is linked from; of all nodes before it, if it may read
            the graph: what it returns may be linked to any.
        lazy_ports: Linked inputs that are evaluated on demand; one that is mapped over never is.
        deferred_ports: These, and inputs that are received as links.
        eager_sources: Names of the nodes that must have ended before this one starts.
    """

    node: GraphNode
    depth: float = 0.0
    level: int = 0
    within: NodeState | None = None
    origin: str = ""
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
    blocker: str = ""
    needs_values: bool = False
    is_released: bool = False
    is_nondeterministic: bool = False
    requested: set[str] = field(default_factory=set)
    brought_weights: tuple[Path, ...] | None = None
    folder_inputs: tuple[ManifestInput, ...] | None = None
    reads_outside: bool = False
    emitted_warnings: dict[CallWarning, bool] = field(default_factory=dict)
    warnings: tuple[CallWarning, ...] = ()
    queue: deque[Call] | None = None
    followers: list[NodeState] = field(default_factory=list)
    watchers: list[Callable[[], None]] = field(default_factory=list)

    sources: tuple[str, ...] = field(init=False)
    lazy_ports: frozenset[str] = field(init=False)
    deferred_ports: frozenset[str] = field(init=False)
    eager_sources: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        links = self.node.links
        lazy = self.node.lazy_links
        self.sources = tuple(dict.fromkeys([source.node for source in links.values()]))
        self.lazy_ports = self.deferred_ports = lazy
        self.eager_sources = self.sources
        if raw := self.node.spec.raw_ports:
            self.deferred_ports = deferred = lazy | raw
        else:
            deferred = lazy
        if deferred:
            eager = [source.node for port, source in links.items() if port not in deferred]
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
        self.is_blocked, self.blocker = False, ""
        self.needs_values = True

    @property
    def has_outputs(self) -> bool:
        """Whether it ended well and others may use what it gave."""
        return self.status in ("ran", "cached")

    def block(self, message: str) -> None:
        """Take note that it won't run, as an input stands for a blocked output."""
        self.is_blocked, self.blocker = True, message

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
        self.reads_outside = any(call.reads_outside for call in calls)
        if self.blocker and self.node.spec.output:
            self.warnings = (CallWarning(did_not_run(self.blocker)),)

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
            tuple(dict.fromkeys(each.message for each in self.warnings if each.level != UI)),
            self.ui(),
        )

    def ui(self) -> dict[str, dict[str, Any]]:
        """What clients show for it, and for nodes that it expanded into, by their names."""
        return merged_ui(self.node.name, self.warnings) if self.warnings else {}


def did_not_run(message: str) -> str:
    """What a sink reports that is blocked with a message."""
    return f"did not run: {message}"


_LARGEST_UI = 256 << 10
"""Bytes of JSON."""
_MOST_UI = 4 * _LARGEST_UI
"""Bytes that are kept with one result, those of nodes that it expanded into included, and that one
node of a run shows in all of its calls."""
_INDICES = re.compile(r"(\[\d+\])+$")


def ui_text(ui: object) -> str:
    """What a node shows as JSON.

    Raises:
        InvalidValue: It is no JSON object, or a large one.
    """
    expected = "a JSON object: a dictionary of texts, finite numbers, lists and dictionaries"
    plain = plain_value(dict(ui)) if isinstance(ui, Mapping) else None
    if plain is None:
        raise InvalidValue("its `ui` is no object", given=summarize(ui), expected=expected)
    try:
        text: str = to_well_formed(json.dumps(plain, ensure_ascii=False, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValue(
            f"its `ui` is not JSON: {error}",
            given=summarize(ui),
            expected=expected,
            hint="Return other values as outputs, or write them into a file.",
        ) from error
    size = len(text.encode())
    if size > _LARGEST_UI:
        raise InvalidValue(
            "its `ui` is too large",
            given=f"{size / 1024:.0f} KiB of JSON",
            expected=f"{_LARGEST_UI >> 10} KiB at most",
            hint="Write large data into a file, and show its name.",
        )
    return text


def first_ui(shown: Sequence[CallWarning]) -> Iterator[CallWarning]:
    """As much as may be kept with one result."""
    size = 0
    for each in shown:
        size += len(each.message)
        if size <= _MOST_UI:
            yield each


def merged_ui(node: str, warnings: Iterable[CallWarning]) -> dict[str, dict[str, Any]]:
    """What clients show for a node and those that it expanded into, by their names.

    Lists that several calls of a mapped node show under one key are joined, up to `_MOST_UI`.
    """
    merged: dict[str, dict[str, Any]] = {}
    for warning in first_ui([each for each in warnings if each.level == UI]):
        shown = merged.setdefault(node + _INDICES.sub("", warning.inner), {})
        for key, value in json.loads(warning.message).items():
            if isinstance(value, list) and isinstance(shown.get(key), list):
                shown[key] += value
            else:
                shown[key] = value
    return merged


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

    def show(self, ui: object) -> None:
        """Note what clients are to show for its node; from any thread.

        Raises:
            InvalidValue: It is no JSON object, or a large one.
        """
        self.warnings[CallWarning(ui_text(ui), UI)] = None

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
        if not self.warnings:
            return ()
        warnings = tuple([each for each in self.warnings if each.level != UI])
        ui = tuple(first_ui([each for each in self.warnings if each.level == UI]))
        if len(warnings) > MOST_WARNINGS:
            more = f"{len(warnings) - MOST_WARNINGS + 1} more warnings, shown when it was computed"
            warnings = (*warnings[: MOST_WARNINGS - 1], CallWarning(more))
        return (*warnings, *ui)

    @property
    def result_key(self) -> Key:
        """The key of its result: `key`, and then what was read outside."""
        pending = self.readings.pending
        return self.answer_key or (extend_key(self.key, pending) if pending else self.key)

    @property
    def reads_outside(self) -> bool:
        """Whether its key depends on more than node, inputs and numerics."""
        return bool(self.fingerprint or self.was_open or self.readings.steps)

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
