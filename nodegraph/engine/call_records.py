"""Records of calls in the store: outputs, written files, and costs by the work of a call."""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any

from nodegraph.core.context import Environment
from nodegraph.core.digests import Digest, digest_bytes
from nodegraph.core.file_digests import hash_file
from nodegraph.core.graph import GraphNode
from nodegraph.core.hooks import Estimate, Facts, HookInputs
from nodegraph.core.keys import Key
from nodegraph.core.pack_faults import watch_hook
from nodegraph.core.spec import InputSpec, NodeSpec
from nodegraph.core.values import Recipe
from nodegraph.engine.cache import AskedPort, Cache, unsaved
from nodegraph.engine.external_reads import extend_key
from nodegraph.engine.key_parts import key_parts
from nodegraph.engine.lanes import current_slot
from nodegraph.engine.node_context import Load
from nodegraph.engine.product import Product
from nodegraph.engine.result import WrittenFile
from nodegraph.engine.runtime import EngineState
from nodegraph.engine.states import Call, NodeState
from nodegraph.store import file_records as stored
from nodegraph.store.entries import CallWarning, NewEntry
from nodegraph.store.file_records import SinkFiles

_LOG = logging.getLogger(__name__)
_ANOTHERS_INPUT = re.compile(r"%[^%]+\.[^%]+%")
"""What stands in a name for an input of another node, such as ``%sample.seed%``."""


def names_others(values: Iterable[object]) -> bool:
    """Whether a sink was given a name that says what other nodes are given.

    No key of its call knows these, and files under another name aren't those that were asked for.
    """
    return any(isinstance(value, str) and _ANOTHERS_INPUT.search(value) for value in values)


def written_before(
    written: SinkFiles, key: Key, environment: Environment, node: str
) -> list[WrittenFile] | None:
    """The files that an equal call of a sink wrote, if none has changed since."""
    files = find_unchanged_files(written, key, environment, node)
    if files is None:
        return None
    return [
        WrittenFile(file.path, node, file.kind, existed=True, digest=file.digest) for file in files
    ]


def find_unchanged_files(
    written: SinkFiles, key: Key, environment: Environment, node: str
) -> Sequence[stored.SinkFile] | None:
    """The same, with the digests of their bytes."""
    try:
        return written.unchanged(_files_key(key, environment))
    except sqlite3.Error as error:
        _LOG.warning("cannot look up what %s wrote before: %s", node, error)
        return None  # then it writes them again


def warnings_of_written(
    written: SinkFiles, key: Key, environment: Environment
) -> tuple[CallWarning, ...]:
    """What an equal call of a sink said of the files that it wrote."""
    try:
        return written.warnings(_files_key(key, environment))
    except sqlite3.Error as error:
        _LOG.warning("cannot look up the records of files: %s", error)
        return ()


def with_digest(file: WrittenFile) -> WrittenFile:
    """A file with the digest of its bytes, unless it is gone."""
    try:
        return replace(file, digest=hash_file(file.path))
    except OSError:
        return file


def remember_written(
    written: SinkFiles,
    key: Key,
    environment: Environment,
    files: Sequence[WrittenFile],
    warnings: Sequence[CallWarning] = (),
) -> None:
    """Note the files that a call of a sink has written, as they are now.

    Args:
        warnings: What it said of them.
    """
    try:
        stamped = [
            stored.SinkFile.from_path(file.path, file.kind, file.node, file.digest)
            for file in files
        ]
    except OSError:
        return  # somebody has moved one already, so next time there is something to do
    try:
        written.remember(_files_key(key, environment), stamped, warnings)
    except sqlite3.Error as error:
        # The files are there all the same: the node has done its work.
        _LOG.warning("cannot record the files that were written: %s", error)


def _files_key(key: Key, environment: Environment) -> Key:
    """Names what a sink does: its call, into the folders that it may write to, with what texts.

    The workflow around it is no part: a node that was renamed or moved makes the same image.
    """
    folders = f"{environment.outputs.absolute()}\0{environment.temporary.absolute()}"
    texts = (
        environment.metadata,
        environment.metadata_prompts,
        environment.infotext,
        environment.sidecar,
    )
    return digest_bytes(f"files {key} {folders}\0{texts}".encode("utf-8", "surrogatepass"))


RECIPES = frozenset(
    {"DiffusionModel", "TextEncoder", "Vae", "ControlNet", "ImageEncoder", "Pipeline"}
)
"""Port types whose values stand for weights."""
CARRIERS = frozenset({"Conditioning", "Guider"})
"""Port types whose values may bring recipes along; what they bring stays with what is made of
them."""
LOADING = "(weights)"
"""Stands in place of a node type where it is noted what loading weights took."""
LENGTH = "(calls)"
"""The same of how many calls a node had that was mapped over a list, in place of seconds."""
MACHINE = "(machine)"
"""The same of 1e9 multiplications, as measured once."""

_LONGEST = 200
"""Characters of a shape; the rest of a longer one is left out."""
_SIZES = ("width", "height", "batch", "frames")
_NO_ESTIMATE = Estimate()
_STEPS = "steps"
_HELD = "held_"
"""Before the names of facts that say how much memory a model's work holds."""

_ports: dict[str, tuple[NodeSpec, tuple[str, ...]]] = {}


@dataclass(frozen=True, slots=True)
class Work:
    """What a call has to do.

    Attributes:
        shape: All that decides its time, as text: sizes and families, whole numbers, switches,
            choices, weights. Seeds, free text and numbers with a fraction are left out, as they
            rarely matter and would make each call a shape of its own.
        kind: The same without sizes and whole numbers.
        amount: What the time grows with, in a unit of the node type's own; None if unknown.
    """

    shape: str
    kind: str
    amount: float | None

    def by(self, digests: Mapping[str, Digest]) -> Work:
        """The same, computed with some weights.

        Args:
            digests: Of their recipes, by input.
        """
        if not digests:
            return self
        names = "".join(f" {port}={digest[:16]}" for port, digest in sorted(digests.items()))
        return replace(self, shape=self.shape + names, kind=self.kind + names)


_PLAIN = Work("", "", None)


def work_of(node: GraphNode, nodes: Mapping[str, GraphNode], shared: EngineState) -> Work:
    """The work of a node's call, whatever weights it computes with.

    Args:
        nodes: Those of the graph that it is linked from, by name.
    """
    known: Work | None = node.memo.get("work")
    if known is None:
        known = node.memo["work"] = _looked(node, nodes, shared)
    return known


def length_shape(node: GraphNode) -> str:
    """Under which it is noted how many calls a node had: like-named ones are mostly the same."""
    return f"{node.spec.type} {node.name}"[:_LONGEST]


def loading_work(recipe: Recipe, size: int) -> Work:
    """The work of loading a recipe's weights.

    Args:
        size: Bytes that they take in memory; 0 if unknown.
    """
    kind = type(recipe).__name__
    return Work(f"{kind} {recipe.digest[:32]} {recipe.dtype}", kind, size or None)


def estimate_of(node: GraphNode, nodes: Mapping[str, GraphNode], shared: EngineState) -> Estimate:
    """What the node's own estimate hook says; nothing if it has none, or fails."""
    if "estimate" not in node.spec.hooks:
        return _NO_ESTIMATE
    known: Estimate | None = node.memo.get("estimate")
    if known is None:
        known = node.memo["estimate"] = _hook_estimate(node, nodes, shared)
    return known


def _hook_estimate(
    node: GraphNode, nodes: Mapping[str, GraphNode], shared: EngineState
) -> Estimate:
    hook_inputs = HookInputs(node.literals, _linked_facts(node, nodes), shared.environment)
    try:
        hook = shared.registry.hook(node.spec.type, "estimate")
        with watch_hook(node.name, node.spec.type, "estimate"):
            estimate: Any = hook(hook_inputs) if hook is not None else None
    except Exception:  # noqa: BLE001 - the pack's code may raise anything; nothing depends on it
        return _NO_ESTIMATE
    return estimate if isinstance(estimate, Estimate) else _NO_ESTIMATE


def _looked(node: GraphNode, nodes: Mapping[str, GraphNode], shared: EngineState) -> Work:
    facts: dict[str, Any] = {}
    for known in node.facts.values():
        facts.update(_telling(known))
    for port, linked in _linked_facts(node, nodes).items():
        for fact, value in _telling(linked).items():
            if facts.setdefault(fact, value) != value:
                facts[f"{port}.{fact}"] = value
    node_literals = node.literals
    literals = {
        port: node_literals[port]
        for port in _deciding(node.spec)
        if node_literals.get(port) is not None
    }
    amount = estimate_of(node, nodes, shared).work
    if not facts and not literals:
        # Of most nodes that aren't about images, each time they run.
        return _PLAIN if amount is None else Work(_end(amount), "", amount)
    if amount is None:
        amount = _amount(facts, literals)
    shape = {**facts, **literals}
    kind = {name: value for name, value in shape.items() if not _is_amount(name, value, literals)}
    return Work(_text(shape) + _end(amount), _text(kind), amount)


def _telling(facts: Facts) -> dict[str, Any]:
    """Without what only says how much memory is held."""
    return {name: value for name, value in facts.items() if not name.startswith(_HELD)}


def _end(amount: float | None) -> str:
    return "" if amount is None else f" work={amount:.6g}"


def _amount(facts: Facts, literals: Mapping[str, Any]) -> float | None:
    """Pixels × images × steps, as far as they are known."""
    sizes = [facts[name] for name in _SIZES if _is_count(facts.get(name))] if facts else []
    steps = literals.get(_STEPS)
    factors = [*sizes, steps] if _is_count(steps) else sizes
    return float(prod(factors)) if factors else None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_amount(name: str, value: Any, literals: Mapping[str, Any]) -> bool:
    if name.rpartition(".")[2] in _SIZES:
        return True
    return name in literals and isinstance(value, int) and not isinstance(value, bool)


def _text(facts: Mapping[str, Any]) -> str:
    if not facts:
        return ""
    return " ".join([f"{name}={facts[name]}" for name in sorted(facts)])[:_LONGEST]


def _linked_facts(node: GraphNode, nodes: Mapping[str, GraphNode]) -> dict[str, Facts]:
    """What is known of a node's linked inputs before anything runs."""
    by_port = {}
    for port, source in node.links.items():
        upstream = nodes.get(source.node)
        facts = None if upstream is None else upstream.facts.get(source.port)
        if facts:
            by_port[port] = facts
    return by_port


def _deciding(spec: NodeSpec) -> tuple[str, ...]:
    known = _ports.get(spec.type)
    if known is None or known[0] is not spec:
        known = spec, tuple(port.name for port in spec.inputs if _decides(port))
        _ports[spec.type] = known
    return known[1]


def _decides(port: InputSpec) -> bool:
    if "enum" in (port.json_schema or ()):
        return True
    return port.type in ("int", "bool") and port.widget != "seed"


_LOADED = 2e-3
"""Seconds above which weights weren't in memory yet."""


class CallRecorder:
    """Notes results and costs for one run; from any thread.

    Args:
        states: Of the run's nodes.
        run_id: Of the run that computes them.
    """

    def __init__(self, shared: EngineState, states: Mapping[str, NodeState], run_id: str) -> None:
        self._shared = shared
        self._states = states
        self._cache: Cache = shared.cache
        self._run_id = run_id

    def store(self, call: Call, products: tuple[Product, ...], seconds: float) -> None:
        """Put a call's outputs into the store; a claim on it ends once others can see them."""
        call.is_stored = True
        store = self._cache.store
        if store is None or not call.is_exact or not call.is_sound:
            return
        self._note_code(call.state.node.spec)
        links = {port: product.digest for port, product in call.inputs.items()} | call.requested
        digesters = self._shared.registry.digesters
        handing = call.input_guard
        entry = NewEntry(
            outputs=tuple([unsaved(product, digesters) for product in products]),
            requested_input=None,
            node_type=call.state.node.spec.type,
            seconds=seconds,
            run=self._run_id,
            parts=partial(self._parts, call, links),
            sources=() if handing is None else handing.sources(digesters),
            worth=seconds if call.is_shared else None,
            warnings=call.kept_warnings,
        )
        if not call.is_claimed:
            store.put(call.result_key, entry)
            return
        call.is_claimed = False
        assert self._shared.claims is not None
        store.put(call.result_key, entry, committed=partial(self._shared.claims.release, call.key))

    def _note_code(self, spec: NodeSpec) -> None:
        codes = self._shared.codes
        if codes is None:
            return
        code = self._shared.identity(spec).code
        try:
            codes.remember(code, partial(self._shared.registry.code_modules, spec.type))
        except sqlite3.Error:
            return  # then nobody can be told which module changed; nothing else depends on it

    def note_asked(self, call: Call, port: str) -> None:
        """Note that a function asked for a lazy input next."""
        self._note_step(call, call.key, port)

    def note_readings(self, call: Call, seconds: float = 0.0) -> None:
        """Note what a function has read outside, step by step.

        Args:
            seconds: That the call took.
        """
        key = call.key
        for step in call.readings.pending:
            self._note_step(call, key, step[0], seconds if call.is_shared else None)
            key = extend_key(key, [step])

    def _note_step(self, call: Call, key: Key, name: str, worth: float | None = None) -> None:
        self._cache.keep(key, AskedPort(name))
        if self._cache.store is not None:
            node_type = call.state.node.spec.type
            entry = NewEntry(None, name, node_type, 0.0, self._run_id, worth=worth)
            self._cache.store.put(key, entry)

    def record_cost(self, call: Call, seconds: float, memory: int | None) -> None:
        """Note what a call took, besides loading weights."""
        costs, lane_place = self._shared.costs, current_slot()
        # Beside others it takes longer than alone, and their memory is measured as its own.
        if costs is not None and not (lane_place is not None and lane_place.was_shared):
            spec = call.state.node.spec
            nodes = {source: self._states[source].node for source in call.state.sources}
            work = work_of(call.state.node, nodes, self._shared).by(weights_of(call))
            costs.record(
                spec.type,
                work.shape,
                self._shared.device_of(spec),
                seconds,
                memory,
                kind=work.kind,
                amount=work.amount,
            )

    def record_length(self, state: NodeState) -> None:
        """Note over how many items a node was mapped: a plan may not know it before."""
        if self._shared.costs is not None:
            calls = float(state.call_count)
            self._shared.costs.record(LENGTH, length_shape(state.node), "", calls)

    def record_loads(self, call: Call, loads: Sequence[Load]) -> None:
        """Note what loading weights took; those that were there already tell nothing of it."""
        costs, weights = self._shared.costs, self._shared.weights
        if costs is None or weights is None:
            return
        device = self._shared.device_of(call.state.node.spec)
        for recipe, seconds in loads:
            if seconds >= _LOADED:
                work = loading_work(recipe, weights.size(recipe))
                costs.record(
                    LOADING, work.shape, device, seconds, kind=work.kind, amount=work.amount
                )

    def _parts(self, call: Call, links: Mapping[str, Digest]) -> Mapping[str, Any]:
        identity = self._shared.identity(call.state.node.spec)
        return key_parts(
            call.state.node,
            links,
            code=identity.code,
            profile=identity.profile,
            fingerprint=call.fingerprint,
            readings=dict([*self._shared.facts_of(call.state.node), *call.readings.steps]),
        )


def weights_of(call: Call) -> Mapping[str, Digest]:
    """Digests of the recipes that a call computes with, by input."""
    types = call.state.node.spec.inputs_by_name
    return {
        port: product.digest for port, product in call.inputs.items() if types[port].type in RECIPES
    }
