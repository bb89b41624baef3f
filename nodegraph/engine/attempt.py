"""One attempt at a call: its arguments, and retries when memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from nodegraph.core.context import NESTING, PROGRESS_CALLBACK, Context, Footprint, Peak
from nodegraph.core.copies import container_copy
from nodegraph.core.garbage_collection import copy_without_frames
from nodegraph.core.hooks import Estimate
from nodegraph.core.keys import Key, work_key
from nodegraph.core.literals import check_linked, members
from nodegraph.core.node import NodeDefinition
from nodegraph.core.ports import Lazy, NodeId, RawLink
from nodegraph.core.spec import InputSpec, NodeSpec, RunFact
from nodegraph.core.text_format import format_size
from nodegraph.core.types import TypeExpr
from nodegraph.engine.call_records import (
    estimate_of,
    names_others,
    remember_written,
    with_digest,
)
from nodegraph.engine.external_reads import GRAPH, extend_key
from nodegraph.engine.lanes import ANY_BATCH
from nodegraph.engine.mutation import InputGuard
from nodegraph.engine.node_context import Load, NodeContext
from nodegraph.engine.product import as_pictures
from nodegraph.engine.result import WrittenFile
from nodegraph.engine.run_graph import NodesBefore, raw_digests
from nodegraph.engine.runtime import RunScheduler
from nodegraph.engine.states import Call

if TYPE_CHECKING:
    from nodegraph.engine.manifest_builder import ManifestSource


def arguments(
    definition: NodeDefinition,
    spec: NodeSpec,
    literals: Mapping[str, Any],
    linked: Mapping[str, Any],
    lazy: Mapping[str, Lazy[Any]],
    context: Context | None,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Keyword arguments: literals in their Python types, linked values, the context.

    Args:
        spec: Of the node: its type's, or that with the inputs of the subgraph that it runs.
        lazy: Linked inputs that the function may ask for.
        context: None if the function takes none.
        more: Links that it receives as such, and what it asks of the run.
    Raises:
        InvalidValue: What is linked is beyond its input's range, none of its choices, or no image
            where one is taken.
    """
    ports = spec.inputs_by_name
    linked = {port: input_value(value, ports[port]) for port, value in linked.items()}
    keywords = {
        port: _paths(ports[port].expr, container_copy(value)) for port, value in literals.items()
    }
    keywords.update(linked)
    for port, enum in definition.enums.items():
        keywords[port] = members(enum, keywords.get(port))
    for name in definition.lazy:
        lazy_input = lazy.get(name)
        choices = definition.enums.get(name)
        if lazy_input:
            keywords[name] = _members(_checked(lazy_input, ports[name]), choices)
        else:
            keywords[name] = _ready(keywords[name])
    if definition.context is not None:
        keywords[definition.context] = context
    if more:
        keywords.update(more)
    return keywords


def input_value(value: Any, port: InputSpec) -> Any:
    """A linked value as an input takes it.

    Raises:
        InvalidValue: It is beyond its range, none of its choices, or no image where one is taken.
    """
    check_linked(value, port)
    return value if value is None else as_pictures(value, port.expr, port.name)


def _checked(lazy: Lazy[Any], port: InputSpec) -> Lazy[Any]:
    """A lazy input whose value is checked once it is there, as an eager one's is."""

    async def evaluate() -> Any:
        return input_value(await lazy(), port)

    return Lazy(evaluate)


def _members(lazy: Lazy[Any], enum: type[Enum] | None) -> Lazy[Any]:
    """A lazy input whose value becomes a member of an Enum, as an eager one's does."""
    if enum is None:
        return lazy

    async def evaluate() -> Any:
        return members(enum, await lazy())

    return Lazy(evaluate)


def _ready(value: Any) -> Lazy[Any]:
    """A lazy input that was given as a literal: nothing is left to evaluate."""

    async def evaluate() -> Any:
        return value

    return Lazy(evaluate)


def _paths(expr: TypeExpr, value: Any) -> Any:
    """Text as a `Path` where the type has paths and no text; in lists too."""
    names = set(expr.type_names())
    if expr.is_list and isinstance(value, (list, tuple)):
        if "Path" not in names and not expr.item.is_list:
            return list(value)  # which may be long
        return [_paths(expr.item, item) for item in value]
    is_path = isinstance(value, str) and "Path" in names and "str" not in names
    return Path(value) if is_path else value


_FAR_TOO_MUCH = 1.5
"""Expected memory, as a share of the device's, above which a call is not even tried in full.
Estimates may be off by some tenths."""


class _Lack(NamedTuple):
    """What an error, or an estimate, says that tells of too little memory.

    Attributes:
        bytes: That could not be had; 0 if unknown.
    """

    message: str
    bytes: int
    reason: str = "out of memory"


class Attempt:
    """Runs the function behind a call, and again with more room or less need if memory runs out.

    Attributes:
        memory: Highest peak in bytes, where it was measured.
        files: That the node has written.
        loads: What it waited for weights.
    """

    def __init__(
        self,
        run: RunScheduler,
        workflow: Mapping[str, Any],
        call: Call,
        definition: NodeDefinition,
    ) -> None:
        self._run = run
        self._shared = run.shared
        self._workflow = workflow
        self._call = call
        self._definition = definition
        self._checkpoints = run.shared.saver.for_call(self._work_key)
        self._start = monotonic()
        self._freed: int | None = None
        self._lent: Mapping[str, Any] = {}
        self.memory: int | None = None
        self.files: list[WrittenFile] = []
        self.loads: list[Load] = []

    @property
    def seconds(self) -> float:
        """Since it began."""
        return monotonic() - self._start

    @property
    def loading(self) -> float:
        """Seconds of these that it waited for weights."""
        return sum(load.seconds for load in self.loads) if self.loads else 0.0

    def started(self) -> None:
        """Tell that the function is about to run."""
        spec = self._call.state.node.spec
        self._run.events.emit("node.started", self._call.name, type=spec.type, lane=spec.lane)
        self._start = monotonic()

    def arguments(self, lazy: Mapping[str, Lazy[Any]], footprint: Footprint) -> dict[str, Any]:
        """What the function is called with.

        Args:
            lazy: Inputs that it may ask for, by port.
        """
        handing = self._handing()
        handing.begin()
        linked = {port: handing.hand_out(port, item) for port, item in self._call.inputs.items()}
        linked |= self._lent
        literals = self._call.state.node.literals
        context = self.context(footprint) if self._definition.context is not None else None
        spec = self._call.state.node.spec
        more = self._run_facts(spec) if spec.hidden or spec.raw_ports else None
        return arguments(self._definition, spec, literals, linked, lazy, context, more)

    def _run_facts(self, spec: NodeSpec) -> dict[str, Any]:
        """Links that the function receives as such, and what it asks of the run."""
        node = self._call.state.node
        facts: dict[RunFact, Callable[[], Any]] = {
            "node": lambda: NodeId(node.name),
            "workflow": lambda: container_copy(dict(self._workflow)),
            "metadata": lambda: container_copy(dict(self._workflow.get("metadata", {}))),
            "graph": self._graph,
        }
        links: dict[str, Any] = {
            port: RawLink(each.node, each.port) for port, each in node.raw_links.items()
        }
        return links | {parameter: facts[fact]() for parameter, fact in spec.hidden.items()}

    def _graph(self) -> NodesBefore:
        readings, inputs = self._call.readings, self._shared.environment.inputs
        note = partial(readings.graph, GRAPH, inputs)
        return NodesBefore(self._call.state, self._run.states, note)

    def run(self, lent: Mapping[str, Any] | None = None) -> Any:
        """Call a plain function; in a lane's thread.

        If memory runs out, the weights that others have left there go, and it is called again as
        it was. If that doesn't do, or there are none, its own weights stay at the host, where that
        gives enough room. At last it is called with a smaller footprint, which may give slightly
        other results. So it is at once if it is expected to take far more than the device has: on
        a CPU, the system would end the process rather than refuse the memory.

        Args:
            lent: Values for ports in place of what is linked to them.
        Raises:
            Exception: Whatever it raises; out of memory only at the last time.
        """
        self._lent = lent or {}
        hopeless = self._expected_lack()
        if hopeless is not None:
            return self._run_small(hopeless)
        try:
            return self._run_once("full")
        except Exception as error:
            if not self._is_lack_of_memory(error):
                raise
            lack = self._lack(error)
        # Outside the handlers, so that each try's frames have let go of their memory.
        ways: list[tuple[Callable[[_Lack], bool], Footprint]] = [
            (self._relieved_of_others, "full"),
            (self._relieved_of_own, "offloaded"),
        ]
        for prepared, footprint in ways:
            if not prepared(lack):
                continue
            try:
                return self._run_once(footprint)
            except Exception as error:
                if not self._is_lack_of_memory(error):
                    raise
                lack = self._lack(error)
        return self._run_small(lack)

    def _expected_lack(self) -> _Lack | None:
        """What is lacking by the node's own estimate, if it can do with less."""
        weights, estimate = self._shared.weights, self._estimate
        if weights is None or estimate.memory is None or estimate.least is None:
            return None
        capacity = weights.capacity(self._device)
        if capacity is None or estimate.memory <= _FAR_TOO_MUCH * capacity:
            return None
        message = (
            f"it is expected to need {format_size(estimate.memory)}, "
            f"and {self._device} has {format_size(capacity)}"
        )
        return _Lack(message, estimate.memory - capacity, "too little memory")

    def _is_lack_of_memory(self, error: Exception) -> bool:
        weights = self._shared.weights
        return weights is not None and weights.is_out_of_memory(error)

    def _lack(self, error: Exception) -> _Lack:
        weights = self._shared.weights
        assert weights is not None
        return _Lack(str(error) or type(error).__name__, weights.missing(error))

    def _relieved_of_others(self, lack: _Lack) -> bool:
        """Whether weights that aren't this call's own were on the device; they are gone then."""
        weights = self._shared.weights
        assert weights is not None
        own = [load.recipe for load in self.loads]
        freed = weights.relieve(self._device, keep=own)
        if freed:
            self._tell_retry(lack, "run again after unloading the weights of other nodes", freed)
        return freed > 0

    def _relieved_of_own(self, lack: _Lack) -> bool:
        """Whether its own weights took as much as was missing; they are gone then."""
        weights = self._shared.weights
        assert weights is not None
        freed = weights.relieve(self._device)
        if not weights.can_offload(self._device) or not freed or freed < lack.bytes:
            self._freed = freed
            return False
        self._tell_retry(lack, "offloaded weights: they are loaded in parts", freed)
        return True

    def _run_small(self, lack: _Lack) -> Any:
        weights = self._shared.weights
        assert weights is not None
        measure = "smaller footprint: tiled VAE, sliced attention, offloaded weights"
        freed = weights.relieve(self._device) if self._freed is None else self._freed
        self._tell_retry(lack, measure, freed)
        self._call.is_exact = False
        try:
            return self._run_once("small")
        except Exception as error:
            if not self._is_lack_of_memory(error):
                raise
            explained = copy_without_frames(weights.explain(error, self._device))
        # Outside the handler, and without frames: who keeps this error keeps none of that memory.
        raise explained

    def _tell_retry(self, lack: _Lack, measure: str, freed: int) -> None:
        self._run.events.emit(
            "node.retried",
            self._call.name,
            reason=lack.reason,
            detail=lack.message,
            measure=measure,
            freed=freed,
        )

    @property
    def _device(self) -> str:
        return self._shared.device_of(self._call.state.node.spec)

    def _run_once(self, footprint: Footprint) -> Any:
        weights = self._shared.weights
        spec = self._call.state.node.spec
        measuring: AbstractContextManager[Peak | None] = nullcontext()
        if weights is not None and spec.lane == "gpu":
            measuring = weights.measuring(self._device)
        with measuring as peak, self._run.alone:
            keywords = self.arguments({}, footprint)
            reporting, nesting = PROGRESS_CALLBACK.set(self._report), NESTING.set(self._run.nesting)
            try:
                with self.watching():
                    result = self._definition.function(**keywords)
            finally:
                PROGRESS_CALLBACK.reset(reporting)
                NESTING.reset(nesting)
        if peak is not None and peak.bytes is not None:
            self.memory = max(self.memory or 0, peak.bytes)
        return result

    def _report(self, step: int, total: int) -> None:
        """Progress of what a node does without being handed a context, such as fetching weights."""
        self._run.cancel.check()
        if step:
            self._run.events.emit("node.progress", self._call.name, step=step, total=total)

    def _handing(self) -> InputGuard:
        if self._call.input_guard is None:
            self._call.input_guard = InputGuard(self._shared.cache)
        return self._call.input_guard

    def watching(self) -> AbstractContextManager[None]:
        """A context that checks that the function leaves its linked inputs as they are."""
        handing = self._handing()
        if self._run.check_mutation:
            return handing.watching_content(self._shared.registry.digesters)
        return handing

    def finished(self) -> None:
        """The function has given outputs, and they are on their way to where results are kept.

        Raises:
            ChangedInput: Files were written of what is no longer what it was taken for.
        """
        self._checkpoints.finish()
        written = self._shared.written
        node = self._call.state.node
        if written is not None and node.spec.output_files:
            # The store looks at what it writes itself.
            self._handing().check_in_full(self._shared.registry.digesters)
        if written is not None:
            # The record of the run names files by their content, so that it is found by a file.
            self.files[:] = map(with_digest, self.files)
        # What it read outside may be another when it is looked for what it has written.
        is_named = self._call.is_sound and not self._call.readings.steps
        if written is None or not node.spec.output_files or not is_named:
            return
        if not names_others([*node.literals.values(), *self._handing().values.values()]):
            environment, warnings = self._shared.environment, self._call.kept_warnings
            remember_written(written, self._call.key, environment, self.files, warnings)

    def ended(self, *, is_expansion: bool) -> None:
        """The function has ended, whatever way.

        Args:
            is_expansion: Whether it gave more graph, so that its node goes on.
        """
        self._run.files.extend(self.files)
        if self._call.position or is_expansion:
            # Else the end of the node tells all that there is to tell.
            lane, seconds = self._call.state.node.spec.lane, round(self.seconds, 6)
            self._run.events.emit("call.ended", self._call.name, seconds=seconds, lane=lane)

    def context(self, footprint: Footprint) -> NodeContext:
        """A context for the function."""
        return NodeContext(
            self._call.name,
            device=self._device,
            environment=self._shared.environment,
            workflow=self._workflow,
            events=self._run.events,
            cancel=self._run.cancel,
            weights=self._shared.weights,
            files=self.files,
            loads=self.loads,
            checkpoints=self._checkpoints,
            footprint=footprint,
            work=self._expected_memory,
            readings=self._call.readings,
            seated=self._seated,
            call=self._call,
            manifests=self._manifests,
        )

    @property
    def _manifests(self) -> ManifestSource:
        from nodegraph.engine.manifest_builder import ManifestSource  # few nodes write files

        return ManifestSource(self._run, self._call)

    @property
    def _seated(self) -> Callable[[], AbstractContextManager[Any]] | None:
        """Gives its place among those that may run beside it; None if none may."""
        merging, label = self._shared.merging, self._call.batch_label
        is_one = merging is None or label in ("", ANY_BATCH)
        if merging is None or is_one:
            return None
        return partial(merging.seat, label, self._expected_memory)

    @property
    def _expected_memory(self) -> int | None:
        """Bytes that the node says it takes, besides weights."""
        return self._estimate.memory

    @property
    def _estimate(self) -> Estimate:
        """What the node says it takes of its device; nothing if it does not compute there."""
        state, states = self._call.state, self._run.states
        if state.node.spec.lane != "gpu":
            return Estimate()
        nodes = {name: states[name].node for name in state.sources if name in states}
        return estimate_of(state.node, nodes, self._shared)

    def _work_key(self) -> Key:
        node = self._call.state.node
        identity = self._shared.identity(node.spec)
        key = work_key(
            node.spec,
            node.literals,
            {port: product.digest for port, product in self._call.inputs.items()}
            | raw_digests(node),
            code=identity.code,
            profile=identity.profile,
            digesters=self._shared.registry.digesters,
            fingerprint=self._call.fingerprint,
        )
        key = extend_key(key, self._shared.facts_of(node)) if node.spec.hidden else key
        return extend_key(key, self._call.readings.steps)
