"""Running the function behind one call, in whatever thread, and digesting what it gives."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import Enum
from functools import partial
from time import monotonic
from typing import Any

from nodegraph.core.hooks import HookInputs
from nodegraph.core.node import NodeDefinition
from nodegraph.core.ports import Expand, Lazy
from nodegraph.core.types import ANY, named
from nodegraph.engine.artifact import artifact_of, unnamed_digest
from nodegraph.engine.binding import arguments, members
from nodegraph.engine.node_context import NodeContext
from nodegraph.engine.scheduling import Answer, Scheduling
from nodegraph.engine.states import Call


class Invoker:
    """Calls functions for one run."""

    def __init__(self, run: Scheduling, workflow: Mapping[str, Any]) -> None:
        self._run = run
        self._shared = run.shared
        self._workflow = workflow

    def fingerprint(self, call: Call) -> str:
        """State of the outside world that the node reads, by its own word; empty for most."""
        spec = call.state.node.spec
        if "fingerprint" not in spec.hooks:
            return ""
        hook = self._shared.registry.hook(spec.type, "fingerprint")
        assert hook is not None
        linked = {port: artifact.value for port, artifact in call.inputs.items()}
        given = {**call.state.node.literals, **linked}
        return str(hook(HookInputs(given, {}, self._shared.environment)))

    def invoke(self, call: Call) -> Answer:
        """Run a plain function; in a lane's thread."""
        self._run.cancel.check()
        definition = self._shared.registry.definition(call.state.node.spec.type)
        self._started(call)
        start = monotonic()
        given = self._arguments(definition, call, {})
        result = definition.function(**given)
        return self._answer(definition, call, result, start)

    async def invoke_async(self, call: Call, lazy: Mapping[str, Lazy[Any]]) -> Answer:
        """Run an async function on the event loop.

        Args:
            lazy: Inputs that it may ask for, by port.
        """
        self._run.cancel.check()
        loop = asyncio.get_running_loop()
        find = partial(self._shared.registry.definition, call.state.node.spec.type)
        definition = await loop.run_in_executor(None, find)
        self._started(call)
        start = monotonic()
        result = await definition.function(**self._arguments(definition, call, lazy))
        finish = partial(self._answer, definition, call, result, start)
        return await loop.run_in_executor(None, finish)

    def _started(self, call: Call) -> None:
        self._run.events.emit("node.started", call.name, type=call.state.node.spec.type)

    def _arguments(
        self, definition: NodeDefinition, call: Call, lazy: Mapping[str, Lazy[Any]]
    ) -> dict[str, Any]:
        spec = definition.spec
        linked: dict[str, Any] = {port: artifact.value for port, artifact in call.inputs.items()}
        given = arguments(definition, call.state.node.literals, linked, self._context(call))
        for port in spec.inputs:
            if port.lazy:
                asked = lazy.get(port.name)
                enum = definition.enums.get(port.name)
                given[port.name] = _members(asked, enum) if asked else _ready(given[port.name])
        return given

    def _context(self, call: Call) -> NodeContext:
        device = self._shared.lanes.device
        return NodeContext(
            call.name,
            device=device if call.state.node.spec.lane == "gpu" else "cpu",
            environment=self._shared.environment,
            workflow=self._workflow,
            events=self._run.events,
            cancel=self._run.cancel,
            weights=self._shared.weights,
            files=self._run.files,
        )

    def _answer(self, definition: NodeDefinition, call: Call, result: Any, start: float) -> Answer:
        if isinstance(result, Expand):
            return Answer(monotonic() - start, expansion=result)
        spec = definition.spec
        artifacts = []
        for port, value in zip(spec.outputs, definition.outputs_of(result), strict=True):
            expr = named(ANY) if value is None and port.nullable else port.expr
            unnamed = unnamed_digest(call.key, port.name, deterministic=spec.deterministic)
            artifacts.append(artifact_of(value, expr, self._shared.registry.digesters, unnamed))
        return Answer(monotonic() - start, tuple(artifacts))


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
