"""Workflow checks, the server's own and those of packs; what a job of it needs.

Packs' checks are code of packs, so the planner process runs them. A job doesn't wait for them: if
the planner is busy or starting, the job is accepted, and its worker runs the checks.

The needs of a job come from its graph, without a plan: a plan takes time in another process, and
cached results don't count, because those of a GPU and a CPU differ. `JobNeeds.sampling` is the same
for jobs that may sample together. It is less exact than a run, which knows each latent: latents
made from different images count as different sizes.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from nodegraph.core.catalog import Catalog
from nodegraph.core.context import Environment
from nodegraph.core.digests import digest_bytes
from nodegraph.core.graph import CheckedGraph, GraphNode
from nodegraph.core.graph_builder import GraphCache
from nodegraph.core.parts import NodeEntry
from nodegraph.core.recent_values import RecentValues
from nodegraph.core.spec import InputSpec, NodeSpec
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidWorkflow, NodegraphError, Problem
from nodegraph.jobs.supervisor.supervisor import Supervisor
from nodegraph.models.model_sources import find_path
from nodegraph.server.workflows.node_types import DeclaredTypes

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
        sampling: See `nodegraph.server.workflows.checks`.
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
    from nodegraph.engine.call_records import RECIPES  # takes a while, and no job waits yet

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


def missing_models(
    workflow: Workflow, catalog: Catalog, folders: Sequence[Path], names: Collection[str]
) -> list[str]:
    """The models that nodes of a workflow name and that are in none of the folders.

    Args:
        workflow: With the values of its parameters.
        names: Those of the listed models.
    """
    parts = [workflow.nodes, *(block.nodes for block in workflow.subgraphs.values())]
    named: dict[str, None] = {}
    for entry in (each for nodes in parts for each in nodes.values() if each.mode is None):
        for port, written in entry.inputs.items():
            spec = _input_spec(workflow, catalog, entry.type, port)
            if spec is not None and spec.is_model_file and written != spec.default:
                texts = written if isinstance(written, list) else [written]
                named.update((text, None) for text in texts if isinstance(text, str) and text)
    return [name for name in named if name not in names and not _is_model(name, folders)]


def _is_model(name: str, folders: Sequence[Path]) -> bool:
    try:
        return find_path(name, folders).exists()
    except NodegraphError:
        return False


def _input_spec(
    workflow: Workflow, catalog: Catalog, node_type: str, port: str
) -> InputSpec | None:
    """The input of a node type that a value is for, within blocks if need be; None if unknown."""
    for _ in range(_MOST_LEVELS):
        block = workflow.subgraphs.get(node_type)
        if block is None:
            spec = catalog.spec(node_type)
            return None if spec is None else spec.inputs_by_name.get(port)
        targets = block.inputs[port].to if port in block.inputs else ()
        inner, _, port = targets[0].partition(".") if targets else ("", "", "")
        if inner not in block.nodes:
            return None
        node_type = block.nodes[inner].type
    return None


_MOST_LEVELS = 64
"""Of blocks within blocks."""


def validate_workflow(
    document: Mapping[str, Any],
    text: str,
    parameters: Mapping[str, Any],
    targets: Sequence[str] | None,
    types: DeclaredTypes,
    environment: Environment,
    most_nodes: int,
    graphs: GraphCache,
) -> tuple[list[Problem], JobNeeds]:
    """Everything that is wrong with a workflow, but for what packs' own checks would find.

    A workflow with nodes of older versions is left to a process that may run packs' migrations.
    What a run needs is told of one that nothing is wrong with.

    Args:
        text: The document as JSON.
        graphs: Remembers those that nothing was wrong with.
    Raises:
        InvalidFile, InvalidWorkflow: It can't be read, or has no such parameters.
        Unavailable: A pack that it may have node types of has yet to be read.
    """
    key = f"{most_nodes} {json.dumps(parameters)} {text}"
    digest = digest_bytes(key.encode(errors="surrogatepass"))
    known = graphs.get(digest, types, environment, targets=targets)
    if known is not None:
        return [], needs_of(known, None, types)
    workflow = parse_workflow(document, most_nodes).with_parameters(parameters)
    if _is_of_older_versions(workflow, types):
        return [], UNKNOWN
    try:
        graph = graphs.get_or_build(digest, workflow, types, environment, targets=targets)
    except InvalidWorkflow as error:
        types.require_read_of(error.problems)
        return list(error.problems), UNKNOWN
    return [], needs_of(graph, workflow, types)


def parse_workflow(document: Mapping[str, Any], most: int) -> Workflow:
    """A workflow that isn't too large.

    Raises:
        InvalidFile, InvalidWorkflow: It can't be read, or has too many nodes.
    """
    workflow = Workflow.from_dict(document)
    check_size(workflow, most)
    return workflow


def check_size(workflow: Workflow, most: int) -> None:
    """Refuse too many nodes, blocks within blocks counted as often as they are used.

    A block that holds two of another one, which holds two of a third, and so on, takes a few lines
    and has more nodes than there is memory.

    Raises:
        InvalidWorkflow: It has too many, or too many levels of blocks.
    """
    listed = len(workflow.nodes) + sum(len(each.nodes) for each in workflow.subgraphs.values())
    if listed > most or _Size(workflow, most).of(workflow.nodes, ()) > most:
        limit = f"at most {most}, where a subgraph counts each time it is used"
        raise InvalidWorkflow(
            [Problem("too-many-nodes", "the workflow has too many nodes", expected=limit)]
        )


class _Size:
    """Counts nodes with those of the blocks that they stand for, each block once."""

    def __init__(self, workflow: Workflow, most: int) -> None:
        self._blocks = workflow.subgraphs
        self._most = most
        self._known: dict[str, int] = {}

    def of(self, nodes: Mapping[str, NodeEntry], above: tuple[str, ...]) -> int:
        if len(above) > _MOST_LEVELS:
            raise InvalidWorkflow(
                [
                    Problem(
                        "too-many-levels",
                        "the workflow has too many levels of nested subgraphs",
                        expected=f"at most {_MOST_LEVELS}",
                    )
                ]
            )
        total = len(nodes)
        for entry in nodes.values():
            # A block within itself is for the check of the workflow to find.
            if entry.type in self._blocks and entry.type not in above:
                total += self._block(entry.type, (*above, entry.type))
        return total

    def _block(self, name: str, above: tuple[str, ...]) -> int:
        if name not in self._known:
            self._known[name] = self.of(self._blocks[name].nodes, above)
        return self._known[name]


def _is_of_older_versions(workflow: Workflow, types: DeclaredTypes) -> bool:
    parts = [workflow.nodes, *(block.nodes for block in workflow.subgraphs.values())]
    return any(
        entry.version is not None
        and (spec := types.spec(entry.type)) is not None
        and entry.version < spec.version
        for nodes in parts
        for entry in nodes.values()
    )


_LOG = logging.getLogger(__name__)
_SECONDS = 0.5
_MOST_REMEMBERED = 4_096


class PackChecks:
    """Asks for them, once for the same workflow with the same values. Used on one event loop.

    Seeds don't count: any will do, and each run has another one. A check that disagrees is heard
    when the job runs.

    Args:
        supervisor: Of the planner.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._good: RecentValues[bytes, bool] = RecentValues(_MOST_REMEMBERED)

    async def problems(
        self,
        document: Mapping[str, Any],
        arguments: Mapping[str, Any],
        types: DeclaredTypes,
    ) -> Sequence[Problem]:
        """What they find; nothing if there are none, or nobody to ask.

        Args:
            document: A workflow in which nothing else is wrong.
            arguments: Of the question: the same workflow, with its values.
        """
        if not _has_checks(document, types) or not self._is_planner_ready():
            return ()
        key = _key(document, arguments, types)
        if self._good.get(key):
            return ()
        try:
            answer = await self._supervisor.ask("check", arguments, _SECONDS)
        except NodegraphError as error:
            _LOG.info("a job is accepted without the checks of its packs: %s", error)
            return ()
        if answer["valid"]:
            self._good.put(key, True)
        return [Problem.from_dict(each) for each in answer["problems"]]

    def _is_planner_ready(self) -> bool:
        return any(
            each.role == "planner" and each.state == "idle" for each in self._supervisor.workers
        )


def _key(document: Mapping[str, Any], arguments: Mapping[str, Any], types: DeclaredTypes) -> bytes:
    """The same for workflows that differ in their seeds at most."""
    seeds = set(_seeds(document, types))
    blocks = document.get("subgraphs") or {}
    parameters = document.get("parameters") or {}
    question = {
        **arguments,
        "workflow": {
            **document,
            "nodes": _without(document, seeds),
            "subgraphs": {
                name: {**block, "nodes": _without(block, set(_seeds(block, types)))}
                for name, block in blocks.items()
            },
        },
        "parameters": {
            name: None if _target(parameters.get(name)) in seeds and type(value) is int else value
            for name, value in arguments["parameters"].items()
        },
    }
    return blake2b(json.dumps([types.digest, question]).encode(), digest_size=16).digest()


def _seeds(part: Mapping[str, Any], types: DeclaredTypes) -> Iterator[tuple[str, str]]:
    """Nodes and their inputs that are seeds, but for links."""
    for name, entry in (part.get("nodes") or {}).items():
        spec = types.spec(entry.get("type", ""))
        inputs = entry.get("inputs") or {}
        for port in spec.inputs if spec is not None else ():
            if port.widget == "seed" and type(inputs.get(port.name, 0)) is int:
                yield name, port.name


def _without(part: Mapping[str, Any], seeds: set[tuple[str, str]]) -> dict[str, Any]:
    """The nodes of a part without their seeds."""
    nodes = dict(part.get("nodes") or {})
    for name, port in seeds:
        inputs = nodes[name].get("inputs") or {}
        nodes[name] = {**nodes[name], "inputs": {**inputs, port: None}}
    return nodes


def _target(parameter: Any) -> tuple[str, str]:
    text = parameter.get("input", "") if isinstance(parameter, Mapping) else str(parameter)
    node, _, port = str(text).partition(".")
    return node, port


def _has_checks(document: Mapping[str, Any], types: DeclaredTypes) -> bool:
    return any("validate" in spec.hooks for spec in _document_specs(document, types))


def _document_specs(document: Mapping[str, Any], types: DeclaredTypes) -> Iterator[NodeSpec]:
    for part in (document, *(document.get("subgraphs") or {}).values()):
        # A file of an older format may say otherwise.
        named = {entry.get("type", "") for entry in (part.get("nodes") or {}).values()}
        yield from filter(None, map(types.spec, named))
