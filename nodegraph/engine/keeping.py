"""What is noted of a call beyond the run: its outputs, what the key was made of, what it took."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from nodegraph.core.digests import Digest
from nodegraph.core.keys import Key
from nodegraph.core.spec import NodeSpec
from nodegraph.engine.cache import Cache, unsaved
from nodegraph.engine.external_reads import extend_key
from nodegraph.engine.key_parts import key_parts
from nodegraph.engine.lanes import current_slot
from nodegraph.engine.memory_cache import AskedPort
from nodegraph.engine.node_context import Load
from nodegraph.engine.product import Product
from nodegraph.engine.shared import EngineState
from nodegraph.engine.states import Call, NodeState
from nodegraph.engine.work import LENGTH, LOADING, RECIPES, length_shape, loading_work, work_of
from nodegraph.store.entries import NewEntry

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
        links = {port: product.digest for port, product in call.inputs.items()} | call.asked
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
            readings=dict(call.readings.steps),
        )


def weights_of(call: Call) -> Mapping[str, Digest]:
    """Digests of the recipes that a call computes with, by input."""
    types = call.state.node.spec.inputs_by_name
    return {
        port: product.digest for port, product in call.inputs.items() if types[port].type in RECIPES
    }
