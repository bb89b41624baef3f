"""Which weights a graph computes with, and having them in memory before it runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from nodegraph.core.values import Recipe
from nodegraph.engine.work import RECIPES

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
