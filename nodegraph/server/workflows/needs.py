"""What a job needs of a worker, told by its checked workflow: a GPU, and which models.

No plan is asked for it: that takes another process its time, and knows of recipes only what ran
before. Whether results are known doesn't count either, as those of a GPU aren't a processor's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from nodegraph.core.catalog import Catalog
from nodegraph.core.digests import digest_bytes
from nodegraph.core.graph import CheckedGraph
from nodegraph.core.parts import NodeEntry
from nodegraph.core.spec import NodeSpec
from nodegraph.core.workflow import Workflow
from nodegraph.engine.work import RECIPES
from nodegraph.server.workflows.sampling_kind import sampling_of

_LONG = 16
"""Of a digest; a job has few models."""


@dataclass(frozen=True, slots=True)
class JobNeeds:
    """What a job needs.

    Attributes:
        gpu: Whether it computes where a GPU does, if there is one.
        models: Names of those that it loads, the same for the same choices.
        sampling: See `nodegraph.server.workflows.sampling_kind`.
    """

    gpu: bool = True
    models: tuple[str, ...] = ()
    sampling: str = ""


UNKNOWN = JobNeeds()


def needs_of(graph: CheckedGraph, workflow: Workflow | None, catalog: Catalog) -> JobNeeds:
    """What a run of a graph needs.

    Args:
        workflow: Whose subgraphs may be run for items; None if it has none.
    """
    entries = () if workflow is None else workflow.subgraphs.values()
    bodies = (entry for block in entries for entry in block.nodes.values())
    specs = [*(node.spec for node in graph.nodes.values()), *_specs(bodies, catalog)]
    if not any(spec.lane == "gpu" for spec in specs):
        return JobNeeds(gpu=False)
    opening = [name for name, node in graph.nodes.items() if _opens_model(node.spec)]
    models = tuple(sorted(set(_names(graph, opening))))
    return JobNeeds(gpu=True, models=models, sampling=sampling_of(graph) if models else "")


def _specs(entries: Iterable[NodeEntry], catalog: Catalog) -> Iterator[NodeSpec]:
    for entry in entries:
        spec = catalog.spec(entry.type)
        if spec is not None:
            yield spec


def _opens_model(spec: NodeSpec) -> bool:
    """Whether it names files with weights; what goes onto a model's weights aside."""
    is_named = any(port.lies_with_models for port in spec.inputs)
    return is_named and not any(port.type in RECIPES for port in spec.inputs)


def _names(graph: CheckedGraph, nodes: Sequence[str]) -> list[str]:
    """Names of nodes, by all that they are given and where that comes from."""
    wanted = set(nodes)
    for name in reversed(tuple(graph.nodes)):  # each comes after what it needs
        if name in wanted:
            wanted.update(source.node for source in graph.nodes[name].links.values())
    found: dict[str, str] = {}
    for name, node in graph.nodes.items():
        if name in wanted:
            links = {port: (found[each.node], each.port) for port, each in node.links.items()}
            said = repr((node.spec.type, sorted(node.literals.items()), sorted(links.items())))
            found[name] = digest_bytes(said.encode("utf-8", "backslashreplace"))
    return [found[name][:_LONG] for name in nodes]
