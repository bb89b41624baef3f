"""Nodes with lazy inputs: which inputs they ask for is part of what the cache remembers.

A deterministic function that is given the same inputs asks for the same lazy input first; given
that one's value, for the same second one, and so on. The cache keeps each step under the key
reached so far, so a later run evaluates just what was asked for then, and finds the result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from nodegraph.core.confinement import check_paths, file_links_to_check
from nodegraph.core.keys import Key, lazy_key
from nodegraph.core.ports import Lazy
from nodegraph.engine.external_reads import extend_key, look_up
from nodegraph.engine.invoke import Invoker
from nodegraph.engine.keeping import CallRecorder
from nodegraph.engine.memory_cache import CallOutputs
from nodegraph.engine.product import Product
from nodegraph.engine.scheduling import RunScheduler
from nodegraph.engine.states import Call, NodeState, usable
from nodegraph.errors import Cancelled
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
        key, entry = look_up(key, run.shared.cache.get, run.shared.environment.inputs, passed)
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
                raise RuntimeError(f"input `{port}` differs, now that it was computed once more")
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
        call.asked[port] = product.digest
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
                await asyncio.get_running_loop().run_in_executor(None, product.load)
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
        raise RuntimeError(f"input `{port}` was asked for after its node had ended")
    upstream = run.demand(state.node.links[port].node)
    while upstream.status is None:
        ended = asyncio.get_running_loop().create_future()
        upstream.watchers.append(partial(_settle, ended))
        await ended
    if upstream.status == "cancelled":
        raise Cancelled("the run was cancelled")
    if not upstream.has_outputs:
        raise UpstreamEnded
    product = run.linked(state, port)
    if product.is_blocked:
        raise UpstreamEnded
    state.depends_on(upstream)
    return product


def _settle(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)
