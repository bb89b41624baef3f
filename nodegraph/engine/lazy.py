"""Nodes with lazy inputs: which inputs they ask for is part of what the cache remembers.

A deterministic function that is given the same inputs asks for the same lazy input first; given
that one's value, for the same second one, and so on. The cache keeps each step under the key
reached so far, so a later run evaluates just what was asked for then, and finds the result.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from nodegraph.core.keys import lazy_key
from nodegraph.core.ports import Lazy
from nodegraph.engine.artifact import Artifact
from nodegraph.engine.cache import Asked, Outputs
from nodegraph.engine.invoke import Invoker
from nodegraph.engine.scheduling import Scheduling
from nodegraph.engine.states import Call, NodeState
from nodegraph.errors import Cancelled


class UpstreamEnded(BaseException):
    """A lazy input was asked for and its node failed, so this one is skipped.

    No `Exception`, so that a node which catches those can't take the failure for an answer: what
    it made of it would be kept as the result of inputs that may be fine next time.
    """


async def run_lazily(run: Scheduling, invoker: Invoker, call: Call) -> None:
    """Answer a call from the cache along its steps, or run its function."""
    with run.calls.failing(call):
        try:
            if call.state.node.is_repeatable and await _from_cache(run, call):
                return
            steps = _Steps(run, call)
            lazy = {port: steps.input(port) for port in call.state.lazy_ports}
            answer = await invoker.invoke_async(call, lazy)
        except UpstreamEnded:
            run.calls.leave(call)
        else:
            run.calls.answer(call, answer)


async def _from_cache(run: Scheduling, call: Call) -> bool:
    key = call.key
    while (entry := run.shared.cache.get(key)) is not None:
        if isinstance(entry, Outputs):
            run.calls.complete(call, entry.artifacts, cached=True)
            return True
        artifact = await ask(run, call.state, entry.port)
        key = lazy_key(key, entry.port, artifact.digest)
    return False


class _Steps:
    """Follows which lazy inputs a function asks for, first time each, and moves the key along."""

    def __init__(self, run: Scheduling, call: Call) -> None:
        self._run = run
        self._call = call
        self._asked: dict[str, Artifact] = {}

    def input(self, port: str) -> Lazy[Any]:
        return Lazy(partial(self._evaluate, port))

    async def _evaluate(self, port: str) -> Any:
        if port not in self._asked:
            artifact = await ask(self._run, self._call.state, port)
            if port not in self._asked:
                self._asked[port] = artifact
                self._step(port, artifact)
        return self._asked[port].value

    def _step(self, port: str, artifact: Artifact) -> None:
        if self._call.state.node.spec.deterministic:
            self._run.shared.cache.put(self._call.key, Asked(port))
        self._call.key = lazy_key(self._call.key, port, artifact.digest)


async def ask(run: Scheduling, state: NodeState, port: str) -> Artifact:
    """The value of a lazy input, evaluated now if it hasn't been.

    Raises:
        UpstreamEnded: Its node failed or was skipped.
        Cancelled: The run was cancelled.
        RuntimeError: The node that asks has ended.
    """
    if state.status is not None:
        raise RuntimeError(f"input `{port}` was asked for after its node had ended")
    upstream = run.demand(state.node.links[port].node)
    if upstream.status is None:
        ended = asyncio.get_running_loop().create_future()
        upstream.watchers.append(lambda: None if ended.done() else ended.set_result(None))
        await ended
    if upstream.status == "cancelled":
        raise Cancelled("the run was cancelled")
    if not upstream.has_outputs:
        raise UpstreamEnded
    return run.linked(state, port)
