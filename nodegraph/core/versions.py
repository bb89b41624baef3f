"""Writing down which version of each node type a workflow was made for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodegraph.core.catalog import Catalog
from nodegraph.core.workflow import Workflow


def with_versions(workflow: Workflow, catalog: Catalog) -> Workflow:
    """A copy in which every node says the version of its type; see `versioned`."""
    return Workflow.from_dict(to_versioned_dict(workflow, catalog))


def to_versioned_dict(workflow: Workflow, catalog: Catalog) -> dict[str, Any]:
    """What a workflow's file says, every node with the version of its type.

    A node without one is taken for today's, whenever that is; what is to mean the same after an
    upgrade, such as the workflow in a picture, needs the version. Nodes that have one keep it.
    """
    document = workflow.to_dict()
    # Not in copies of the nodes: large workflows have thousands.
    for part in (document, *document.get("subgraphs", {}).values()):
        part["nodes"] = {
            name: _versioned(node, workflow, catalog) for name, node in part["nodes"].items()
        }
    return document


def _versioned(node: dict[str, Any], workflow: Workflow, catalog: Catalog) -> Mapping[str, Any]:
    spec = None if node["type"] in workflow.subgraphs else catalog.spec(node["type"])
    if spec is None or "version" in node:
        return node
    return {"type": node["type"], "version": spec.version, **node}
