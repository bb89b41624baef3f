"""Writing down which version of each node type a workflow was made for."""

from __future__ import annotations

from collections.abc import Mapping

from nodegraph.core.catalog import Catalog
from nodegraph.core.workflow import NodeEntry, Workflow


def with_versions(workflow: Workflow, catalog: Catalog) -> Workflow:
    """A copy in which every node says the version of its type.

    A node without one is taken for today's, whenever that is; what is to mean the same after an
    upgrade, such as the workflow in a picture, needs the version. Nodes that have one keep it.
    """
    subgraphs = {
        name: block.model_copy(update={"nodes": _with_versions(block.nodes, workflow, catalog)})
        for name, block in workflow.subgraphs.items()
    }
    nodes = _with_versions(workflow.nodes, workflow, catalog)
    return workflow.model_copy(update={"nodes": nodes, "subgraphs": subgraphs})


def _with_versions(
    nodes: Mapping[str, NodeEntry], workflow: Workflow, catalog: Catalog
) -> dict[str, NodeEntry]:
    found = {}
    for name, entry in nodes.items():
        spec = None if entry.type in workflow.subgraphs else catalog.spec(entry.type)
        if spec is not None and entry.version is None:
            entry = entry.model_copy(update={"version": spec.version})  # noqa: PLW2901 - a copy
        found[name] = entry
    return found
