"""Residency manager of a session, remote models, and preloading of a graph's weights.

Modules that load torch are imported when weights are first used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nodegraph.core.context import Environment, Footprint
from nodegraph.core.garbage_collection import PausedGC
from nodegraph.core.host_memory import host_weights_budget
from nodegraph.core.values import ModelAdapter, PipelineComponent, Recipe
from nodegraph.engine.call_records import RECIPES
from nodegraph.engine.planning.device_memory import DeviceMemory
from nodegraph.residency import (
    MOVING_RATE,
    Compact,
    PartialComponent,
    ResidencyManager,
    has_own_memory,
    memory_of,
)
from nodegraph.session.settings import Settings
from nodegraph.weights.attached_models import is_here

if TYPE_CHECKING:
    from nodegraph.core.graph import CheckedGraph, GraphNode
    from nodegraph.engine.result import RunResult
    from nodegraph.residency import ResidencyManager


def recipe_nodes(graph: CheckedGraph) -> list[str]:
    """Names of the nodes that make recipes; that takes them little, as nothing is loaded for it."""
    return [
        name
        for name, node in graph.nodes.items()
        if list(_recipe_ports(node)) and name not in graph.values
    ]


def used_recipes(graph: CheckedGraph, made: RunResult) -> list[Recipe]:
    """The recipes whose weights a graph computes with; of one that only makes some, all of them.

    Args:
        made: What the nodes that make them gave.
    """
    makers = set(recipe_nodes(graph))
    live_values = {
        f"{name}.{port}": graph.values[name].value
        for name in graph.values
        for port in _recipe_ports(graph.nodes[name])
    }
    wanted = [
        name for node in graph.nodes.values() for name in _used_recipe_outputs(node, graph, makers)
    ]
    if not wanted:
        wanted = [f"{name}.{port}" for name in makers for port in _recipe_ports(graph.nodes[name])]
    outputs = {**made.outputs, **live_values}
    values = [outputs[name] for name in dict.fromkeys(wanted) if name in outputs]
    return list(dict.fromkeys(value for value in values if isinstance(value, Recipe)))


def _recipe_ports(node: GraphNode) -> Iterator[str]:
    for output in node.spec.outputs:
        if output.type in RECIPES:
            yield output.name


def _used_recipe_outputs(node: GraphNode, graph: CheckedGraph, makers: set[str]) -> Iterator[str]:
    """Outputs with recipes that a node computes with, unless it makes others of them."""
    if node.name in makers:
        return
    for link in node.links.values():
        if link.port in _recipe_ports(graph.nodes[link.node]):
            yield f"{link.node}.{link.port}"


def load_components(weights: ResidencyManager, recipes: Iterable[Recipe], device: str) -> None:
    """Have the recipes' components in memory, as far as the budgets let them stay.

    Raises:
        NodegraphError: Files are missing or damaged, or memory ran out.
    """
    for recipe in recipes:
        with weights.use(recipe, device, calls_only=True):
            pass  # loaded, and held no longer


def model_path(name: str, folders: Sequence[Path]) -> Path:
    """Return the file or folder that a model's name means; see `models.find_path`."""
    from nodegraph.models.model_sources import find_path  # takes a while

    return find_path(name, folders)


def attach_remote_models(settings: Settings) -> Callable[[], None]:
    """Have models found at the place that the settings name, if any; what is given undoes it.

    Raises:
        InvalidValue: The setting is no place.
    """
    if not settings.remote_models:
        return lambda: None
    from nodegraph.models.model_sources import KIND_FOLDERS
    from nodegraph.models.remote.remote_models import RemoteModels
    from nodegraph.weights.attached_models import attach, detach

    remote = RemoteModels(
        settings.remote_models,
        settings.remote_models_folder,
        settings.model_cache_folder,
        settings.model_cache_budget,
        KIND_FOLDERS,
    )
    attach(remote)
    return partial(detach, remote)


_PACK_SHARE = 4
"""The process of an isolated pack keeps weights in one part in this many of the host's budget."""


def pack_weights(environment: Environment, device: str) -> ResidencyManager:
    """Weights in memory of the process of an isolated pack, which loads them itself.

    Args:
        environment: Of the session that it belongs to.
        device: That its nodes compute on.
    """
    most = host_weights_budget()
    settings = Settings(
        models=environment.models,
        cache=environment.cache,
        allow_pickle=environment.allow_pickle,
        host_weights_budget=None if most is None else most // _PACK_SHARE,
    )
    return residency_manager(settings, device)


_WORK_SHARE = 0.125
"""Of the host's memory, that stays free for work when weights are loaded."""
_DEVICE_WORK_SHARE = 0.25
"""Of an accelerator's memory, that is left for work: for what layers hold at the largest sizes."""
_MOST_DEVICE_WORK = 8 << 30
"""Bytes of it that are enough, however large its memory is."""


def residency_manager(settings: Settings, device: str) -> ResidencyManager:
    """Weights in memory, within the settings' budgets.

    Args:
        device: That nodes compute on.
    """

    def load(recipe: Recipe, where: str) -> Any:
        if isinstance(recipe, PipelineComponent):
            return _parts().load_part(recipe, where)
        return _loading().load_component(recipe, where)

    return ResidencyManager(
        load,
        _budgets(settings, device),
        default_budget=device_weights_budget,
        estimate=_estimate_bytes,
        is_local=_is_local,
        move=_move,
        derive=_derived,
        lean=_lean,
        # On an accelerator what lies at the host is on its way, and whole.
        compact=_compact() if device == "cpu" else None,
        free=_free_for_weights,
        free_beside=_free_besides_work,
    )


def _budgets(settings: Settings, device: str) -> dict[str, int]:
    budgets = {}
    host = settings.host_weights_budget
    if host is None:
        host = host_weights_budget()
    if host is not None:
        budgets["host"] = host
    if settings.weights_budget is not None:
        budgets[device] = settings.weights_budget
    return budgets


def device_weights_budget(device: str) -> int | None:
    """Bytes of weights that are kept on an accelerator where no setting says how many.

    Returns:
        None for the host, and as long as a device doesn't tell its memory.
    """
    there = None if device == "cpu" else memory_of(device)
    return None if there is None else there.total - _room_for_work(device, there.total)


def device_room(weights: ResidencyManager, budget: int | None, device: str) -> DeviceMemory | None:
    """The memory of a device, for plans; None where it can't be told.

    Args:
        budget: Bytes of weights that a setting allows there.
    """
    there = memory_of(device)
    if there is None:
        return None
    idle = sum(item.bytes for item in weights.resident() if item.device == device and not item.pins)
    rate = MOVING_RATE if has_own_memory(device) else None
    return DeviceMemory(there.total, min(there.free + idle, there.total), budget, rate)


def _free_for_weights(device: str) -> int | None:
    """Bytes of weights that may still be loaded: some memory is needed for work with them."""
    there = memory_of(device)
    return None if there is None else there.free - _room_for_work(device, there.total)


def _free_besides_work(device: str, work: int | None) -> int | None:
    """Bytes of weights that an accelerator has room for beside some work, or work unknown."""
    there = memory_of(device)
    if there is None:
        return None
    if work is None:
        # However little is free: half of it may do for both.
        return max(there.free - _room_for_work(device, there.total), there.free // 2)
    return there.free - work


def _room_for_work(device: str, total: int) -> int:
    if device == "cpu":
        return int(total * _WORK_SHARE)
    return min(int(total * _DEVICE_WORK_SHARE), _MOST_DEVICE_WORK)


def _loading() -> ModuleType:
    # The collector would go through a growing heap again and again: a fifth of the whole import.
    with PausedGC():
        from nodegraph.models import loading
    return loading


def _parts() -> ModuleType:
    with PausedGC():
        from nodegraph.interop.pipelines import assembly as building
    return building


def _estimate_bytes(recipe: Recipe) -> int:
    if isinstance(recipe, PipelineComponent):
        size: int = _parts().part_bytes(recipe)
        return size
    estimate: int = _loading().estimate_bytes(recipe)
    return estimate


def _is_local(recipe: Recipe) -> bool:
    mixed = [item.model for item in recipe.adapters if isinstance(item, ModelAdapter)]
    alone = [item for item in recipe.adapters if not isinstance(item, ModelAdapter)]
    paths = [*(file.path for file in recipe.files), *(item.source for item in alone)]
    return all(is_here(Path(path)) for path in paths) and all(map(_is_local, filter(None, mixed)))


def _move(component: Any, device: str) -> Any:
    if not hasattr(component, "modules"):
        # A tokenizer is nowhere in particular.
        return component
    return _loading().move_component(component, device)


def _derived(component: Any, recipe: Recipe) -> Any:
    from nodegraph.models.derived_components import derive

    return derive(component, recipe)


def _compact() -> Compact:
    def load(recipe: Recipe) -> Any:
        from nodegraph.models.loading import load_compact

        return load_compact(recipe)

    def size(recipe: Recipe) -> int | None:
        from nodegraph.models.loading import compact_bytes

        if isinstance(recipe, PipelineComponent):
            return None
        return compact_bytes(recipe)

    return Compact(load, size)


def _lean(
    component: Any, device: str, footprint: Footprint, room: int | None
) -> AbstractContextManager[PartialComponent]:
    from nodegraph.models.offloading import offload_component

    return offload_component(component, device, footprint, room)
