"""Small workflows of ComfyUI's UI format, for tests."""

from __future__ import annotations

from typing import Any


def node(name: int | str, node_type: str, /, *values: Any, **more: Any) -> dict[str, Any]:
    """A node without inputs, in the order that widgets' values stand."""
    entry = {"id": name, "type": node_type, "pos": [0, 0], "size": [200, 80], "mode": 0}
    return {**entry, "inputs": [], "outputs": [], "widgets_values": list(values), **more}


def linked(name: str, link: int | None, type_name: str = "*", **more: Any) -> dict[str, Any]:
    """An input."""
    return {"name": name, "type": type_name, "link": link, **more}


def widget(name: str, link: int | None = None, type_name: str = "INT") -> dict[str, Any]:
    """An input that is a widget, too."""
    return linked(name, link, type_name, widget={"name": name})


def drawn(nodes: list[dict[str, Any]], *links: list[Any], **more: Any) -> dict[str, Any]:
    """A workflow of version 0.4; links are ``[id, node, slot, node, slot]``."""
    return {"version": 0.4, "nodes": nodes, "links": [[*link, "*"] for link in links], **more}


def block(
    name: str,
    nodes: list[dict[str, Any]],
    *links: list[Any],
    inputs: tuple[str, ...] = (),
    outputs: tuple[str, ...] = (),
    **more: Any,
) -> dict[str, Any]:
    """A sub-graph's definition."""
    keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
    return {
        "id": name,
        "name": name.title(),
        "inputNode": {"id": -10, "bounding": [-300, 0, 100, 60]},
        "outputNode": {"id": -20, "bounding": [900, 0, 100, 60]},
        "inputs": [{"id": one, "name": one, "type": "*"} for one in inputs],
        "outputs": [{"id": one, "name": one, "type": "*"} for one in outputs],
        "nodes": nodes,
        "links": [dict(zip(keys, link, strict=True)) for link in links],
        **more,
    }


def with_blocks(document: dict[str, Any], *blocks: dict[str, Any]) -> dict[str, Any]:
    return {**document, "definitions": {"subgraphs": list(blocks)}}
