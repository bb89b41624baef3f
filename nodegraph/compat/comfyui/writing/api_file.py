"""The API format: what ComfyUI's server is sent. It holds neither sub-graphs nor places."""

from __future__ import annotations

from typing import Any

from nodegraph.compat.comfyui.foreign import ForeignNode, ForeignWorkflow, Source


def write_api(workflow: ForeignWorkflow) -> dict[str, Any]:
    """The document of a workflow without blocks.

    Muted and bypassed nodes have no place in this format: leave them out before.
    """
    return {name: _entry(node) for name, node in workflow.graph.nodes.items()}


def _entry(node: ForeignNode) -> dict[str, Any]:
    meta = {"title": node.title or node.type} | dict(node.kept)
    inputs = {name: _written(value) for name, value in node.inputs.items()}
    return {"class_type": node.type, "inputs": inputs, "_meta": meta}


def _written(value: Any) -> Any:
    if isinstance(value, Source):
        return [value.node, value.slot]
    # A list would be taken for a link.
    return {"__value__": value} if isinstance(value, list) else value
