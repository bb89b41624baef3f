"""Running the function behind one call, in whatever thread, and digesting what it gives."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from nodegraph.core.confinement import check_paths
from nodegraph.core.context import Weights
from nodegraph.core.hooks import HookInputs
from nodegraph.core.node import NodeDefinition
from nodegraph.core.ports import Expand, Lazy
from nodegraph.core.types import ANY, named
from nodegraph.core.values import Recipe
from nodegraph.engine.artifact import Artifact, artifact_of, unnamed_digest
from nodegraph.engine.attempt import Attempt
from nodegraph.engine.claiming import claim
from nodegraph.engine.keeping import Keeping
from nodegraph.engine.scheduling import Answer, Scheduling
from nodegraph.engine.states import Call


class Invoker:
    """Calls functions for one run.

    Args:
        workflow: The document that sinks keep.
        keeping: Puts results into the store.
    """

    def __init__(self, run: Scheduling, workflow: Mapping[str, Any], keeping: Keeping) -> None:
        self._run = run
        self._shared = run.shared
        self._workflow = workflow
        self._keeping = keeping

    def fingerprint(self, call: Call) -> str:
        """State of the outside world that the node reads, by its own word; empty without one.

        Raises:
            PathOutside: It names a file that may not be read here.
        """
        spec = call.state.node.spec
        self._check_paths(call)
        hook = self._shared.registry.hook(spec.type, "fingerprint")
        if hook is None:
            return ""
        given = _given(call)
        return str(hook(HookInputs(given, {}, self._shared.environment)))

    def prepare(self, call: Call) -> None:
        """Make ready what a call needs that waits for a place in its lane.

        Its weights are loaded meanwhile if there is room, in the lane for input and output.
        """
        weights = self._shared.weights
        spec = call.state.node.spec
        if weights is None or spec.lane != "gpu" or not self._shared.lanes[spec.lane].waiting:
            return
        values = [artifact.value for artifact in call.inputs.values()]
        recipes = [value for value in values if isinstance(value, Recipe)]
        if recipes:
            self._shared.lanes["io"].submit(
                self._run,
                asyncio.get_running_loop(),
                (0.0, 0.0),
                partial(_prefetch, weights, recipes, self._shared.device_of(spec)),
                lambda _, error: None,
                share=self._run.share,
            )

    def _check_paths(self, call: Call) -> None:
        environment = self._shared.environment
        if environment.readable is not None:
            check_paths(call.name, call.state.node.spec, _given(call), environment)

    def invoke(self, call: Call) -> Answer:
        """Run a plain function; in a lane's thread."""
        self._run.cancel.check()
        self._check_paths(call)
        claim(self._shared, call)
        definition = self._shared.registry.definition(call.state.node.spec.type)
        attempt = Attempt(self._run, self._workflow, call, definition)
        attempt.started()
        result: Any = None
        try:
            result = attempt.run()
            return self._answer(definition, call, result, attempt)
        finally:
            attempt.ended(is_expansion=isinstance(result, Expand))

    async def invoke_async(self, call: Call, lazy: Mapping[str, Lazy[Any]]) -> Answer:
        """Run an async function on the event loop.

        Args:
            lazy: Inputs that it may ask for, by port.
        """
        self._run.cancel.check()
        self._check_paths(call)
        claim(self._shared, call)
        loop = asyncio.get_running_loop()
        find = partial(self._shared.registry.definition, call.state.node.spec.type)
        definition = await loop.run_in_executor(None, find)
        attempt = Attempt(self._run, self._workflow, call, definition)
        attempt.started()
        result: Any = None
        try:
            given = attempt.arguments(lazy, "full")
            with attempt.watching():
                result = await definition.function(**given)
            finish = partial(self._answer, definition, call, result, attempt)
            return await loop.run_in_executor(None, finish)
        finally:
            attempt.ended(is_expansion=isinstance(result, Expand))

    def _answer(
        self, definition: NodeDefinition, call: Call, result: Any, attempt: Attempt
    ) -> Answer:
        seconds = attempt.seconds
        if isinstance(result, Expand):
            return Answer(seconds, expansion=result)
        spec = definition.spec
        # What was read of a file that changed meanwhile is no result of what the key tells of.
        call.is_sound = self._shared.registry.has_data_as_digested(call.state.node.spec.type)
        by_key = spec.deterministic and call.is_sound
        artifacts = tuple(
            self._artifact(value, port_type, call, by_key)
            for port_type, value in zip(spec.outputs, definition.outputs_of(result), strict=True)
        )
        loading = attempt.loading
        self._keeping.record_cost(call, seconds - loading, attempt.memory)
        self._keeping.record_loads(call, attempt.loads)
        if spec.deterministic and not spec.output:
            self._keeping.store(call, artifacts, seconds)
        attempt.finished()
        return Answer(seconds, artifacts, memory=attempt.memory, loading=loading)

    def _artifact(self, value: Any, port: Any, call: Call, by_key: bool) -> Artifact:
        expr = named(ANY) if value is None and port.nullable else port.expr
        unnamed = unnamed_digest(call.key, port.name, deterministic=by_key)
        return artifact_of(value, expr, self._shared.registry.digesters, unnamed)


def _given(call: Call) -> dict[str, Any]:
    """Values of a call's inputs, as far as they are there."""
    linked = {port: artifact.value for port, artifact in call.inputs.items()}
    return {**call.state.node.literals, **linked}


def _prefetch(weights: Weights, recipes: Sequence[Recipe], device: str) -> None:
    for recipe in recipes:
        weights.prefetch(recipe, device)
