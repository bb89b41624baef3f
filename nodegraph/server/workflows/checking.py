"""What is wrong with a workflow, as far as that can be told without the code of packs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nodegraph.core.context import Environment
from nodegraph.core.digests import digest_bytes
from nodegraph.core.graphs import GraphCache
from nodegraph.core.parts import NodeEntry
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidWorkflow, Problem
from nodegraph.server.workflows.catalog import DeclaredTypes
from nodegraph.server.workflows.needs import UNKNOWN, JobNeeds, needs_of

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
        limit = f"at most {most}, blocks counted as often as they are used"
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
                        "the workflow has too many levels of blocks within blocks",
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
