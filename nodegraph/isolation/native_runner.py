"""Runs packs whose node types are functions with ``@node``, in a separate process."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from threading import Lock, Thread
from typing import Any, cast

from nodegraph.core.context import Environment
from nodegraph.core.links import Expand, NodeOutput
from nodegraph.core.literals import members
from nodegraph.core.node import NodeDefinition
from nodegraph.core.ports import Lazy
from nodegraph.core.spec import HookName, NodeSpec
from nodegraph.errors import PackError
from nodegraph.isolation.runner import CallContext, Inputs, Outputs
from nodegraph.packs.declarations import Declarations, definition_in, external_files, read_pack
from nodegraph.packs.pack import Pack
from nodegraph.packs.source_files import source_files


class NativeRunner:
    """Satisfies `PackRunner`."""

    def __init__(self, pack: Pack, environment: Environment) -> None:
        self.pack = pack
        self._snapshot = pack.snapshot()
        self._definitions: dict[str, NodeDefinition] = {}
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def declare(self) -> tuple[Declarations, tuple[str, ...]]:
        """Import all modules of the pack."""
        declared = read_pack(self.pack, self._snapshot)
        if declared.plugins:
            names = ", ".join(f"`{plugin.name}`" for plugin in declared.plugins)
            problem = PackError(
                f"pack `{self.pack.name}`: {names} cannot be used from a pack with its own "
                "environment, because samplers and guiders run inside the main process",
                hint="Offer them in a pack that has no dependencies.",
            )
            declared = declared._replace(plugins=(), problems=(*declared.problems, str(problem)))
        modules = {spec.module for spec in declared.specs}
        also = external_files(self.pack, self._snapshot, modules, source_files(None))
        return declared, also

    def _definition(self, spec: NodeSpec) -> NodeDefinition:
        with self._lock:
            known = self._definitions.get(spec.type)
            if known is None:
                module = self.pack.import_module(spec.module, self._snapshot)
                known = definition_in(module, spec)
                if known is None:
                    raise PackError(f"{spec.module} no longer declares `{spec.type}`")
                self._definitions[spec.type] = known
            return known

    def call(self, spec: NodeSpec, inputs: Inputs, context: CallContext) -> Any:
        """Call the node's function; an ``async def`` one on this runner's event loop."""
        definition = self._definition(spec)
        keywords = dict(inputs)
        for port, enum in definition.enums.items():
            if port in keywords:
                keywords[port] = members(enum, keywords[port])
        for port in definition.lazy:
            is_given = port in keywords
            evaluate = partial(self._evaluate, definition, port, context)
            keywords[port] = Lazy(partial(_ready, keywords[port]) if is_given else evaluate)
        if definition.context is not None:
            keywords[definition.context] = context
        result = definition.function(**keywords)
        if inspect.isawaitable(result):
            result = self._awaited(result, context)
        return _split(definition, result)

    async def _evaluate(self, definition: NodeDefinition, port: str, context: CallContext) -> Any:
        value = await context.lazy(port)
        enum = definition.enums.get(port)
        return value if enum is None else members(enum, value)

    def hook(self, spec: NodeSpec, name: HookName, inputs: Any) -> Any:
        """Call a hook; one that gives its findings bit by bit gives them all at once here."""
        ref = spec.hooks[name]
        definition = self._definition(spec)
        hook: Any = definition.hooks.get(name)
        if hook is None:
            hook = self.pack.import_module(ref.module, self._snapshot)
            for part in ref.name.split("."):
                hook = getattr(hook, part)
        result = hook(inputs)
        if hasattr(result, "__aiter__"):
            return self._awaited(_collected(result))
        if inspect.isawaitable(result):
            result = self._awaited(result)
        return list(result) if name == "validate" else result

    def migrate(self, spec: NodeSpec, version: int, inputs: dict[str, Any]) -> dict[str, Any]:
        """Convert inputs by the node type's own function; unchanged if it has none."""
        migration = self._definition(spec).migrations.get(version)
        return inputs if migration is None else migration(inputs)

    def _awaited(self, awaitable: Awaitable[Any], context: CallContext | None = None) -> Any:
        future = asyncio.run_coroutine_threadsafe(_as_coroutine(awaitable), self._running_loop())
        if context is not None:
            context.when_cancelled(future.cancel)
        return future.result()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                Thread(target=self._loop.run_forever, name="async nodes", daemon=True).start()
            return self._loop


async def _as_coroutine(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


async def _collected(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


async def _ready(value: Any) -> Any:
    return value


def _split(definition: NodeDefinition, result: Any) -> Any:
    """What a function returned, with one value for each output."""
    if isinstance(result, NodeOutput):
        return NodeOutput(_split(definition, result.values), result.ui)
    if isinstance(result, Expand):
        if result.then is None:
            return result
        then = cast("Callable[..., Any]", result.then)
        follow = partial(_follow, definition, then)
        return Expand(result.nodes, result.outputs, result.subgraphs, follow)
    return Outputs(definition.outputs_of(result))


def _follow(definition: NodeDefinition, then: Callable[..., Any], outputs: Any) -> Any:
    return _split(definition, then(outputs))
