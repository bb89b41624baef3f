"""Invoke the function behind a call, with eager or lazy inputs, and digest its outputs.

A deterministic function with the same inputs asks for the same first lazy input; given its value,
it asks for the same second one, and so on. The cache keeps each step under the key reached so far,
so a later run evaluates only the lazy inputs that were used, and finds the result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from nodegraph.core.context import Weights
from nodegraph.core.file_access import check_paths, file_links_to_check
from nodegraph.core.foreign_value import STANDS_FOR, ForeignValue
from nodegraph.core.hooks import Facts, HookInputs
from nodegraph.core.keys import Key, lazy_key
from nodegraph.core.links import Expand, NodeOutput
from nodegraph.core.node import NodeDefinition
from nodegraph.core.plugins import in_scope
from nodegraph.core.ports import Lazy
from nodegraph.core.spec import NodeSpec
from nodegraph.core.types import ANY, ANY_ITEM, named_type, parse_type
from nodegraph.core.values import Recipe
from nodegraph.engine.attempt import Attempt
from nodegraph.engine.cache import CallOutputs
from nodegraph.engine.call_records import CallRecorder
from nodegraph.engine.external_reads import extend_key, look_up
from nodegraph.engine.external_results import claim
from nodegraph.engine.product import Product, product_of, unnamed_digest
from nodegraph.engine.runtime import EngineState, FunctionResult, RunScheduler
from nodegraph.engine.states import Call, NodeState, usable
from nodegraph.errors import Cancelled, InvalidValue, PackError
from nodegraph.packs.pack import Pack
from nodegraph.packs.registry import Registry
from nodegraph.store.entries import OutputGone


class UpstreamEnded(BaseException):
    """A lazy input was asked for and its node failed, so this one is skipped.

    No `Exception`, so that a node which catches those can't take the failure for an answer: what
    it made of it would be kept as the result of inputs that may be fine next time.
    """


async def answer_lazily(run: RunScheduler, call: Call, run_it: Callable[[Call], None]) -> None:
    """Answer a call from the cache along its steps, or have its function run.

    Args:
        run_it: Called once the values of its other inputs are in memory.
    """
    with run.calls.failing(call):
        try:
            if call.state.node.is_repeatable and await _from_cache(run, call):
                return
        except UpstreamEnded:
            run.calls.abandon(call)
        else:
            run.calls.run(call, run_it)


async def run_lazily(
    run: RunScheduler, invoker: Invoker, keeping: CallRecorder, call: Call
) -> None:
    """Run a call's function, which asks for what it wants."""
    with run.calls.failing(call):
        try:
            steps = _Steps(run, keeping, call)
            lazy = {port: steps.input(port) for port in call.state.lazy_ports}
            answer = await invoker.invoke_async(call, lazy)
        except UpstreamEnded:
            run.calls.abandon(call)
        else:
            run.calls.answer(call, answer)


async def _from_cache(run: RunScheduler, call: Call) -> bool:
    key = call.key
    while True:
        passed: list[Key] = []
        inputs, local = run.shared.environment.inputs, call.readings.local
        key, entry = look_up(key, run.shared.cache.get, inputs, passed, local)
        call.was_open |= bool(passed)
        if entry is None:
            return False
        if isinstance(entry, CallOutputs):
            cached = usable(entry, call.state)
            if cached is not None:
                call.answer_key = key
                run.calls.answer_with(call, cached)
            return cached is not None
        product = await _allowed(run, call, entry.port)
        call.state.requested.add(entry.port)
        key = lazy_key(key, entry.port, product.digest)


class _Steps:
    """Follows which lazy inputs a function asks for, first time each, and moves the key along."""

    def __init__(self, run: RunScheduler, keeping: CallRecorder, call: Call) -> None:
        self._run = run
        self._keeping = keeping
        self._call = call
        self._asked: dict[str, Product] = {}

    def input(self, port: str) -> Lazy[Any]:
        return Lazy(partial(self._evaluate, port))

    async def _evaluate(self, port: str) -> Any:
        if port not in self._asked:
            product = await _with_value(self._run, self._call, port)
            if port not in self._asked:
                self._asked[port] = product
                self._step(port, product)
        return await self._handed(port)

    async def _handed(self, port: str) -> Any:
        """The value of an input that was asked for, had anew if somebody has changed it."""
        call = self._call
        assert call.input_guard is not None
        while True:
            product = self._asked[port]
            try:
                return call.input_guard.hand_out(port, product)
            except OutputGone:
                again = await _with_value(self._run, call, port)
            if again.digest != product.digest:
                raise RuntimeError(f"input `{port}` differs after it was computed again")
            self._asked[port] = again

    def _step(self, port: str, product: Product) -> None:
        call = self._call
        # What it asks for may depend on what it has read outside.
        if call.state.node.spec.deterministic:
            self._keeping.note_readings(call)
        steps = call.readings.pending
        call.key = extend_key(call.key, steps)
        call.readings.passed(steps)
        if call.state.node.spec.deterministic:
            self._keeping.note_asked(call, port)
        call.requested[port] = product.digest
        call.state.requested.add(port)
        call.key = lazy_key(call.key, port, product.digest)


async def _allowed(run: RunScheduler, call: Call, port: str) -> Product:
    """A lazy input, evaluated, and in memory where it has to be looked at; see `ask`."""
    if file_links_to_check(call.state.node.spec, (port,), run.shared.environment):
        return await _with_value(run, call, port)
    return await evaluate_input(run, call.state, port)


async def _with_value(run: RunScheduler, call: Call, port: str) -> Product:
    """A lazy input, evaluated and in memory; see `ask`.

    Raises:
        PathOutside: It names a file that may not be read here.
    """
    state = call.state
    while True:
        product = await evaluate_input(run, state, port)
        if not product.is_loaded:
            try:
                await asyncio.get_running_loop().run_in_executor(None, in_scope(product.load))
            except OutputGone:
                run.revive(state.node.links[port].node)
                continue
            run.shared.cache.loaded([product])
        check_paths(call.name, state.node.spec, {port: product.value}, run.shared.environment)
        return product


async def evaluate_input(run: RunScheduler, state: NodeState, port: str) -> Product:
    """The value of a lazy input, evaluated now if it hasn't been.

    Raises:
        UpstreamEnded: Its node failed or was skipped.
        Cancelled: The run was cancelled.
        RuntimeError: The node that asks has ended.
    """
    if state.status is not None:
        raise RuntimeError(f"input `{port}` was requested after its node had ended")
    upstream = run.demand(state.node.links[port].node)
    while upstream.status is None:
        ended = asyncio.get_running_loop().create_future()
        upstream.watchers.append(partial(_settle, ended))
        await ended
    if upstream.status == "cancelled":
        raise Cancelled("the run was cancelled")
    if not upstream.has_outputs:
        if upstream.blocker:
            state.block(upstream.blocker)
        raise UpstreamEnded
    product = run.linked(state, port)
    if product.is_blocked:
        if product.blocker.message:
            state.block(product.blocker.message)
        raise UpstreamEnded
    state.depends_on(upstream)
    return product


def _settle(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)


_RECIPE = 2**16
"""Bytes that a value has at most which is looked at to see whether it is a recipe."""


def _foreign_items(value: Any) -> list[ForeignValue]:
    """A value that only a pack's process reads, or those in a list."""
    items = value if type(value) is list else [value]
    return [item for item in items if type(item) is ForeignValue]


def _lent_ports(
    registry: Registry, spec: NodeSpec, values: Mapping[str, Any]
) -> dict[ForeignValue, list[str]]:
    """Ports of a node, by the value that a pack's process lends for them.

    Raises:
        InvalidValue: The node cannot use a value of another pack.
    """
    lent: dict[ForeignValue, list[str]] = {}
    foreign = {port: items for port in values if (items := _foreign_items(values[port]))}
    if not foreign:
        return lent
    is_isolated = isolated_pack(registry, spec.pack) is not None
    types = {each.name: parse_type(each.type) for each in spec.inputs}
    for port, items in foreign.items():
        names = {*types.get(port, named_type(ANY)).type_names()}
        if names & {ANY, ANY_ITEM}:
            continue
        for value in items:
            is_known = value.type in names and value.type not in STANDS_FOR
            if spec.type.startswith(f"{value.pack}:") or is_known:
                continue
            is_lent = value.type in names and value is values[port]
            if is_isolated and value.type not in names:
                continue  # ComfyUI's packs check their inputs themselves
            if is_isolated or spec.is_async or not is_lent:
                _refuse_foreign(port, value, names)
            lent.setdefault(value, []).append(port)
    return lent


def isolated_pack(registry: Registry, name: str) -> Pack | None:
    """Return the pack of a name if its code runs in another process, else None."""
    packs = (pack for pack in registry.packs if pack.name == name and pack.isolation is not None)
    return next(packs, None)


def _refuse_foreign(port: str, value: ForeignValue, names: Collection[str]) -> None:
    expected = " or ".join(sorted(names))
    if value.type not in names:
        raise InvalidValue(
            "the value does not fit",
            port=port,
            given=f"a value of pack `{value.pack}` that only its own nodes can read",
            expected=f"a `{expected}`",
            hint=f"Link it to a node of pack `{value.pack}`.",
        )
    raise InvalidValue(
        f"this `{value.type}` has functions of pack `{value.pack}`, which only its own nodes and "
        "the built-in ones can call",
        port=port,
        given=f"a value of pack `{value.pack}`",
        expected=f"a `{value.type}` of nodegraph",
        hint="Link it to a built-in node, or one of that pack, that samples.",
    )


class Invoker:
    """Calls functions for one run.

    Args:
        workflow: The document that sinks keep.
        keeping: Puts results into the store.
    """

    def __init__(
        self, run: RunScheduler, workflow: Mapping[str, Any], keeping: CallRecorder
    ) -> None:
        self._run = run
        self._shared = run.shared
        self._workflow = workflow
        self._keeping = keeping
        self._prepared: set[NodeState] = set()

    def fingerprint(self, call: Call) -> str:
        """State of the outside world that the node reads, by its own word; empty without one.

        Raises:
            PathOutside: It names a file that may not be read here.
        """
        spec = call.state.node.spec
        self._check_inputs(call)
        hook = self._shared.registry.hook(spec.type, "fingerprint")
        if hook is None:
            return ""
        input_values = _input_values(call)
        # No facts are told by now, but which inputs are linked.
        linked: dict[str, Facts] = {port: {} for port in call.inputs}
        return str(hook(HookInputs(input_values, linked, self._shared.environment)))

    def _is_unchanged(self, call: Call) -> bool:
        """Whether the outside world is as it was when the call began: it may have waited since."""
        if "fingerprint" not in call.state.node.spec.hooks:
            return True
        try:
            return self.fingerprint(call) == call.fingerprint
        except Exception:  # noqa: BLE001 - the border with pack code: a hook may raise anything
            return False

    def prepare(self, call: Call) -> None:
        """Load weights while a call computes or waits: its own, and those of what waits for it.

        Its own if it has no place in its lane yet, and those of the nodes behind it, as far as
        their recipes are known, once for each run. It happens in the lane for input and output, and
        only if there is room.
        """
        spec = call.state.node.spec
        if self._shared.weights is None or spec.lane != "gpu":
            return
        if self._shared.lanes[spec.lane].waiting:
            self._prefetch(call.state, call.inputs.values())
        for state in call.state.followers:
            if state.node.spec.lane == "gpu" and state not in self._prepared:
                self._prepared.add(state)
                self._prefetch(state, self._known_inputs(state))

    def _known_inputs(self, state: NodeState) -> Iterator[Product]:
        """What a node will be given for certain, as far as it is known."""
        for port, source in state.node.links.items():
            upstream = self._run.states.get(source.node)
            is_known = upstream is not None and upstream.has_outputs
            if is_known and upstream is not None and port not in state.deferred_ports:
                yield upstream.output(source.port)

    def _prefetch(self, state: NodeState, inputs: Iterable[Product]) -> None:
        weights = self._shared.weights
        # A recipe is small; one that lies in the store is read in the thread that loads.
        candidates = [product for product in inputs if product.size <= _RECIPE]
        if weights is None or not any(map(_may_be_recipe, candidates)):
            return
        self._shared.lanes["io"].submit(
            self._run,
            asyncio.get_running_loop(),
            (0.0, 0.0),
            partial(_prefetch, weights, candidates, self._shared.device_of(state.node.spec)),
            lambda _, error: None,
            share=self._run.share,
        )

    def _check_inputs(self, call: Call) -> dict[ForeignValue, list[str]]:
        """Check the values of a call's inputs; returns those to borrow, see `_lent_ports`."""
        spec, values = call.state.node.spec, _input_values(call)
        lent = _lent_ports(self._shared.registry, spec, values)
        if spec.file_ports:
            check_paths(call.name, spec, values, self._shared.environment)
        return lent

    def _note_plugins(self, call: Call) -> None:
        """Have the call's key contain the releases of the plugins that its inputs name."""
        spec = call.state.node.spec
        if spec.plugin_ports:
            inputs = self._shared.environment.inputs
            call.readings.plugins(spec, _input_values(call), inputs)

    def invoke(self, call: Call) -> FunctionResult:
        """Run a plain function; in a lane's thread."""
        self._run.cancel.check()
        lent_ports = self._check_inputs(call)
        self._note_plugins(call)
        claim(self._shared, call)
        definition = self._shared.registry.definition(call.state.node.spec.type)
        attempt = Attempt(self._run, self._workflow, call, definition)
        attempt.started()
        result: Any = None
        try:
            result = values_of(call, self._run_lent(call, attempt, lent_ports))
            return self._answer(definition, call, result, attempt)
        finally:
            attempt.ended(is_expansion=isinstance(result, Expand))

    def _run_lent(
        self, call: Call, attempt: Attempt, ports: Mapping[ForeignValue, Sequence[str]]
    ) -> Any:
        """Run an attempt, with what processes of packs lend for some ports."""
        spec = call.state.node.spec

        def run(values: Sequence[ForeignValue], lent: Mapping[str, Any]) -> Any:
            if not values:
                return attempt.run(lent)
            first, *others = values

            def run_with(value: Any) -> Any:
                return run(others, {**lent, **dict.fromkeys(ports[first], value)})

            registry, context = self._shared.registry, attempt.context("full")
            pack = isolated_pack(registry, first.pack)
            if pack is None:
                raise PackError(f"there is no pack `{first.pack}`, which holds this {first.type}")
            host, snapshot = registry.manifests.host_of(pack), registry.snapshots[pack]
            return host.lend(pack, snapshot, spec, first, context, run_with)

        # In one order, so that two nodes never wait for what the other has borrowed.
        return run(sorted(ports, key=lambda value: value.pack), {})

    async def invoke_async(self, call: Call, lazy: Mapping[str, Lazy[Any]]) -> FunctionResult:
        """Run an async function on the event loop.

        Args:
            lazy: Inputs that it may ask for, by port.
        """
        self._run.cancel.check()
        self._check_inputs(call)
        self._note_plugins(call)
        claim(self._shared, call)
        loop = asyncio.get_running_loop()
        find = partial(self._shared.registry.definition, call.state.node.spec.type)
        definition = await loop.run_in_executor(None, in_scope(find))
        attempt = Attempt(self._run, self._workflow, call, definition)
        attempt.started()
        result: Any = None
        try:
            keywords = attempt.arguments(lazy, "full")
            with attempt.watching():
                result = values_of(call, await definition.function(**keywords))
            finish = partial(self._answer, definition, call, result, attempt)
            return await loop.run_in_executor(None, in_scope(finish))
        finally:
            attempt.ended(is_expansion=isinstance(result, Expand))

    def _answer(
        self, definition: NodeDefinition, call: Call, result: Any, attempt: Attempt
    ) -> FunctionResult:
        seconds = attempt.seconds
        call.is_sound = self._is_unchanged(call) and is_sound(self._shared, call)
        if isinstance(result, Expand):
            return FunctionResult(seconds, expansion=result)
        spec = definition.spec
        by_key = spec.deterministic and call.is_sound
        products = tuple(
            self._product(value, port_type, call, by_key)
            for port_type, value in zip(spec.outputs, definition.outputs_of(result), strict=True)
        )
        loading = attempt.loading
        self._keeping.record_cost(call, seconds - loading, attempt.memory)
        self._keeping.record_loads(call, attempt.loads)
        if spec.deterministic and not spec.output:
            self._keeping.store(call, products, seconds)
        attempt.finished()
        return FunctionResult(seconds, products, memory=attempt.memory, loading=loading)

    def _product(self, value: Any, port: Any, call: Call, by_key: bool) -> Product:
        expr = named_type(ANY) if value is None and port.nullable else port.expr
        unnamed = unnamed_digest(call.result_key, port.name, deterministic=by_key)
        return product_of(value, expr, self._shared.registry.digesters, unnamed)


def values_of(call: Call, result: Any) -> Any:
    """What a function returned as values; what it shows with them is noted.

    Raises:
        InvalidValue: That can't be shown.
    """
    if not isinstance(result, NodeOutput):
        return result
    call.show(result.ui)
    return result.values


def is_sound(shared: EngineState, call: Call) -> bool:
    """Whether what a call's function gave is of what its key tells of.

    Code, a file that it read, or threads may have become others meanwhile.
    """
    spec = call.state.node.spec
    return (
        shared.registry.is_as_digested(spec.type)
        and call.readings.are_unchanged(shared.environment.inputs)
        and shared.matches_profile(spec)
    )


def _input_values(call: Call) -> dict[str, Any]:
    """Values of a call's inputs, as far as they are there."""
    linked = {port: product.value for port, product in call.inputs.items()}
    return {**call.state.node.literals, **linked}


def _may_be_recipe(product: Product) -> bool:
    return not product.is_loaded or isinstance(product.value, Recipe)


def _prefetch(weights: Weights, inputs: Sequence[Product], device: str) -> None:
    for product in inputs:
        with suppress(OutputGone):
            value = product.value
            if isinstance(value, Recipe):
                weights.prefetch(value, device)
