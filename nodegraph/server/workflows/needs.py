"""What a checked workflow tells of its job: a GPU, models, and whose samplings may join its own.

No plan is asked for it: that takes another process its time, and knows of recipes only what ran
before. Whether results are known doesn't count either, as those of a GPU aren't a processor's.

Of samplings it says less than a run does, which knows what a latent is: one that was made of a
picture counts as of another size than one made of another picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from nodegraph.core.catalog import Catalog
from nodegraph.core.digests import digest_bytes
from nodegraph.core.graph import CheckedGraph, GraphNode
from nodegraph.core.parts import NodeEntry
from nodegraph.core.spec import NodeSpec
from nodegraph.core.workflow import Workflow
from nodegraph.engine.work import RECIPES

_MODEL, _LATENT = "DiffusionModel", "Latent"
"""Of a digest: jobs of other models are none of those that it is compared with."""


def sampling_of(graph: CheckedGraph) -> str:
    """The same for runs that sample alike but for prompts, seeds, guidance and numbers of steps.

    Empty for one that samples nothing, or for each item of a list: that has company enough.
    """
    samplings = [node for node in graph.nodes.values() if _is_sampling(node)]
    is_listed = any(node.map_depth for node in samplings)
    if not samplings or is_listed or any(node.spec.body for node in graph.nodes.values()):
        return ""
    names = _names_of_samplings(graph, samplings)
    kinds = sorted(repr(_kind(node, names)) for node in samplings)
    return digest_bytes("\n".join(kinds).encode("utf-8", "backslashreplace"))[:_LONG]


def _is_sampling(node: GraphNode) -> bool:
    gives_latent = any(port.type == _LATENT for port in node.spec.outputs)
    is_linked = all(_linked(node, kind) for kind in (_MODEL, _LATENT))
    return node.spec.lane == "gpu" and gives_latent and is_linked


def _linked(node: GraphNode, kind: str) -> list[str]:
    """Nodes behind its inputs of a type."""
    ports = [port.name for port in node.spec.inputs if port.type == kind]
    return [node.links[port].node for port in ports if port in node.links]


def _kind(node: GraphNode, names: dict[str, str]) -> tuple[object, ...]:
    cfg = node.literals.get("cfg", 2.0)
    is_guided = not isinstance(cfg, int | float) or cfg > 1
    behind = [names[each] for kind in (_MODEL, _LATENT) for each in _linked(node, kind)]
    return node.spec.type, sorted(node.links), is_guided, behind


def _names_of_samplings(graph: CheckedGraph, samplings: list[GraphNode]) -> dict[str, str]:
    """Names of nodes by all that they are given, of those that models and latents come from.

    A sampling has that of its latent: what it gives is of that size, whatever its prompts say.
    """
    sampling = {node.name for node in samplings}
    wanted = {
        each for node in samplings for kind in (_MODEL, _LATENT) for each in _linked(node, kind)
    }
    for name in reversed(tuple(graph.nodes)):  # each comes after what it needs
        if name in wanted and name not in sampling:
            wanted.update(source.node for source in graph.nodes[name].links.values())
    names: dict[str, str] = {}
    for name, node in graph.nodes.items():
        if name in wanted and name in sampling:
            names[name] = " ".join(names[each] for each in _linked(node, _LATENT))
        elif name in wanted:
            links = {port: (names[each.node], each.port) for port, each in node.links.items()}
            text = repr((node.spec.type, sorted(node.literals.items()), sorted(links.items())))
            names[name] = digest_bytes(text.encode("utf-8", "backslashreplace"))
    return names


_LONG = 16
"""Of a digest; a job has few models."""


@dataclass(frozen=True, slots=True)
class JobNeeds:
    """What a job needs.

    Attributes:
        gpu: Whether it computes where a GPU does, if there is one.
        models: Names of those that it loads, the same for the same choices.
        sampling: See `nodegraph.server.workflows.needs`.
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
    is_named = any(port.is_model_file for port in spec.inputs)
    return is_named and not any(port.type in RECIPES for port in spec.inputs)


def _names(graph: CheckedGraph, nodes: Sequence[str]) -> list[str]:
    """Names of nodes, by all that they are given and where that comes from."""
    wanted = set(nodes)
    for name in reversed(tuple(graph.nodes)):  # each comes after what it needs
        if name in wanted:
            wanted.update(source.node for source in graph.nodes[name].links.values())
    names: dict[str, str] = {}
    for name, node in graph.nodes.items():
        if name in wanted:
            links = {port: (names[each.node], each.port) for port, each in node.links.items()}
            text = repr((node.spec.type, sorted(node.literals.items()), sorted(links.items())))
            names[name] = digest_bytes(text.encode("utf-8", "backslashreplace"))
    return [names[name][:_LONG] for name in nodes]
