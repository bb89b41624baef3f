"""The API format: what ComfyUI's server is sent. It holds neither sub-graphs nor places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodegraph.interop.comfyui.foreign import (
    DrawnText,
    ForeignNode,
    ForeignWorkflow,
    Source,
)
from nodegraph.interop.comfyui.signatures import Signature


def write_api(workflow: ForeignWorkflow, signatures: Mapping[str, Signature]) -> dict[str, Any]:
    """The document of a workflow without blocks.

    Widgets that nodes leave at their defaults are written: the server refuses a node that lacks an
    input which has to be there, and fills in none.

    Nodes that are muted or bypassed have no place in this format: what led to the former is left
    open, and what led to the latter to what they pass on.

    Args:
        signatures: Of ComfyUI's node types, as far as they are known.
    """
    live = _Live(workflow.graph.nodes)
    return {
        name: _entry(node, live, signatures.get(node.type))
        for name, node in workflow.graph.nodes.items()
        if node.mode is None
    }


def missing_inputs(
    document: Mapping[str, Any], signatures: Mapping[str, Signature]
) -> dict[str, list[str]]:
    """Inputs that a document's nodes lack and the server asks for, by node."""
    missing: dict[str, list[str]] = {}
    for name, entry in document.items():
        signature, inputs = signatures.get(entry["class_type"]), entry["inputs"]
        shown = {taken.name for taken in signature.active_widgets(inputs)} if signature else set()
        lacking = [
            taken.name
            for taken in (signature.inputs if signature else ())
            if not (taken.is_optional or taken.is_autogrow or taken.name in inputs)
            and (taken.name in shown or not taken.is_widget)
        ]
        if lacking:
            missing[name] = lacking
    return missing


def _entry(node: ForeignNode, live: _Live, signature: Signature | None) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    for name, value in node.inputs.items():
        if name in node.unset_inputs and not isinstance(value, Source):
            continue  # the server refuses what lacks it, and a default would be made up
        if isinstance(value, Source):
            source = live.behind(value)
            if source is not None:
                inputs[name] = [source.node, source.slot]
        elif isinstance(value, DrawnText):
            inputs[name] = str(value)
        else:
            # A list would be taken for a link.
            inputs[name] = {"__value__": value} if isinstance(value, list) else value
    for taken in signature.active_widgets(inputs) if signature else ():
        is_left = taken.name not in node.inputs and not (taken.is_autogrow or taken.is_optional)
        is_left = is_left and taken.name not in node.unset_inputs
        if is_left and taken.default is not None:
            inputs[taken.name] = taken.default
    noted = {key: value for key, value in node.raw.items() if key != "verbatim"}
    meta = {"title": node.title or node.type} | noted
    return {"class_type": node.type, "inputs": inputs, "_meta": meta}


class _Live:
    """Finds the nodes that run behind those that don't."""

    def __init__(self, nodes: Mapping[str, ForeignNode]) -> None:
        self._nodes = nodes

    def behind(self, source: Source) -> Source | None:
        """Where a link's value comes from; None if nothing that runs gives it."""
        origin: Source | None = source
        while origin is not None and self._nodes[origin.node].mode is not None:
            node = self._nodes[origin.node]
            origin = self._passed(node, origin.slot) if node.mode == "bypass" else None
        return origin

    def _passed(self, node: ForeignNode, slot: int) -> Source | None:
        """The first input that is linked and of an output's type."""
        kind = self._kind(Source(node.id, slot))
        linked = [value for value in node.inputs.values() if isinstance(value, Source)]
        return next((each for each in linked if self._kind(each) == kind), None)

    def _kind(self, source: Source) -> str:
        ports = self._nodes[source.node].ports
        return ports[source.slot].type if source.slot < len(ports) else ""
