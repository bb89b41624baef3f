"""What others may compute of a run, and whether that pays.

They are given the run's own workflow, but for what acts on the world. As equal calls run once
across processes, each takes calls that no other has begun, such as branches, or items of a list;
the run finds in the store what they gave, as it finds anything else there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodegraph.core.graph import CheckedGraph, GraphNode
from nodegraph.engine.planning.plan import NodePlan, Plan

if TYPE_CHECKING:
    from nodegraph.core.catalog import Catalog
    from nodegraph.core.workflow import Workflow

_LEAST = 1.0
"""Seconds that are worth the stir."""
_UNKNOWN = 3600.0
"""Seconds in the place of those that nobody knows: what may take long is worth trying."""


def shared_targets(graph: CheckedGraph, *, bodies_act: bool) -> list[str]:
    """What others may compute for a run: all that its sinks need, as far as that acts on nothing.

    Left out is, too, what comes out otherwise each time, and what is made of it.

    Args:
        bodies_act: Whether a subgraph that nodes run for each item may act on the world.
    """
    own: set[str] = set()
    for name, item in graph.nodes.items():
        is_own = not item.is_repeatable or (bodies_act and item.spec.body is not None)
        if is_own or any(source.node in own for source in item.links.values()):
            own.add(name)
    needed = {source.node for name in own for source in graph.nodes[name].links.values()}
    wanted = needed.union(target.partition(".")[0] for target in graph.targets)
    return [name for name in graph.nodes if name in wanted and name not in own]


def bodies_have_sinks(workflow: Workflow, catalog: Catalog) -> bool:
    """Whether a subgraph of a workflow holds a node that acts on the world."""
    return any(
        (spec := catalog.spec(entry.type)) is not None and spec.output
        for block in workflow.subgraphs.values()
        for entry in block.nodes.values()
    )


def bodies_compute(workflow: Workflow, catalog: Catalog) -> bool:
    """Whether a subgraph of a workflow holds a node that computes on the device."""
    return any(
        (spec := catalog.spec(entry.type)) is not None and spec.lane == "gpu"
        for block in workflow.subgraphs.values()
        for entry in block.nodes.values()
    )


def saved_seconds(graph: CheckedGraph, plan: Plan, *, bodies_compute: bool) -> float:
    """What two devices spare at most of what one takes; 0 where all of it comes in a row.

    What takes no device doesn't count: a process does several things of that kind at once.

    Args:
        plan: Of what others may compute.
        bodies_compute: Whether a subgraph that nodes run for each item computes on the device.
    """
    work = longest = 0.0
    until: dict[str, float] = {}
    for name, node in graph.nodes.items():
        whole, step = _weight(node, plan.nodes.get(name), bodies_compute=bodies_compute)
        before = max((until[source.node] for source in node.links.values()), default=0.0)
        until[name] = before + step
        work += whole
        longest = max(longest, until[name])
    return work - max(longest, work / 2)


def _weight(node: GraphNode, plan: NodePlan | None, *, bodies_compute: bool) -> tuple[float, float]:
    """Seconds on the device of all of a node's calls, and of those that come in a row."""
    runs_body = bodies_compute and node.spec.body is not None
    if plan is None or plan.status != "run" or not (runs_body or node.spec.lane == "gpu"):
        return 0.0, 0.0
    # Of a list whose length isn't known, two items are as good a guess as any.
    calls = 2 if plan.calls is None or runs_body else max(1, plan.calls - plan.cached)
    whole = _UNKNOWN * calls if plan.seconds is None else plan.seconds
    return whole, whole / calls


def is_worthwhile(spared: float) -> bool:
    """Whether what is spared is worth asking anybody."""
    return spared > _LEAST


def is_helpful(plan: Plan, spared: float) -> bool:
    """Whether a worker would be of help: by what it has to load, and its device's memory.

    Args:
        plan: Of that worker, of what it would compute.
        spared: Seconds.
    """
    # With a small footprint results may differ, so that they are nobody else's.
    has_room = all(node.fit not in ("small", "none") for node in plan.nodes.values())
    return has_room and spared > plan.totals.load_seconds
