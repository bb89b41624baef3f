"""Comments and random choices in prompts of UI files.

Its server takes texts as they are: in what it was sent both are done already. So files for the
page say a text by a prompt, see `nodegraph.sampling.comfyui_prompts`, and a prompt with choices is
a native node that draws, and a link to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from nodegraph.core.parts import NodeEntry
from nodegraph.errors import InvalidWorkflow
from nodegraph.interop.comfyui.entries import Signature
from nodegraph.interop.comfyui.foreign_workflow import (
    DrawnText,
    ForeignGraph,
    ForeignNode,
    ForeignPort,
    ForeignWorkflow,
    Source,
)
from nodegraph.interop.comfyui.reading.document_check import read_rectangle
from nodegraph.interop.comfyui.round_trip import NATIVE_PREFIX, read_native_notes
from nodegraph.sampling.comfyui_prompts import escaped_prompt, has_choices, plain_prompt

_DISTANCE = 320.0
"""Pixels between a node and the one that draws its prompt."""


def prompts(node: ForeignNode, signature: Signature | None) -> Iterator[tuple[str, str]]:
    """The inputs of a node whose texts the page reads as prompts, with these texts."""
    for taken in signature.inputs if signature else ():
        value = node.inputs.get(taken.name)
        if taken.extra == "prompt" and isinstance(value, str):
            yield taken.name, value


def written_prompt(text: str) -> str:
    """The prompt for the page that says a text."""
    return text.prompt if isinstance(text, DrawnText) else escaped_prompt(text)


def read_prompts(
    node: ForeignNode, signature: Signature | None, sent: Collection[str] = ()
) -> tuple[ForeignNode, dict[str, ForeignNode]]:
    """A node of a UI file with its prompts as the page sends them, and the nodes that draw them.

    Args:
        sent: Inputs whose values were sent already.
    """
    inputs, drawing = dict(node.inputs), dict[str, ForeignNode]()
    for name, prompt in prompts(node, signature):
        if name in sent:
            continue
        if not has_choices(prompt):
            inputs[name] = plain_prompt(prompt)
            continue
        made = _drawing(node, name, prompt)
        drawing[made.id] = made
        inputs[name] = Source(made.id, 0)
    return replace(node, inputs=inputs), drawing


def read_back(workflow: ForeignWorkflow, signatures: Mapping[str, Signature]) -> ForeignWorkflow:
    """A workflow as it is read again of a UI file that it is written to."""
    blocks = {
        name: replace(block, graph=_read_again(block.graph, signatures))
        for name, block in workflow.blocks.items()
    }
    return replace(workflow, graph=_read_again(workflow.graph, signatures), blocks=blocks)


def _read_again(graph: ForeignGraph, signatures: Mapping[str, Signature]) -> ForeignGraph:
    nodes, drawing = dict[str, ForeignNode](), dict[str, ForeignNode]()
    for name, node in graph.nodes.items():
        signature = signatures.get(node.type)
        written = {port: written_prompt(text) for port, text in prompts(node, signature)}
        as_written = replace(node, inputs={**node.inputs, **written})
        nodes[name], more = read_prompts(as_written, signature)
        drawing |= more
    return replace(graph, nodes=nodes | drawing)


def drawing_note(
    name: str, entry: NodeEntry, prompt: str, control: str, position: tuple[float, float] | None
) -> dict[str, Any]:
    """What is noted of a native node that draws a prompt, at the node whose prompt it is."""
    noted: dict[str, Any] = {"name": name, "prompt": prompt, "entry": entry.to_dict()}
    more = {"control": control, "place": list(position or ())}
    return noted | {key: value for key, value in more.items() if value}


def _drawing(node: ForeignNode, name: str, prompt: str) -> ForeignNode:
    """The node that draws one prompt of a node: the one that was noted, or a new one."""
    inputs: dict[str, Any] = {"text": prompt, "seed": 0, "syntax": "comfyui"}
    left = replace(node.bounds, x=node.bounds.x - _DISTANCE) if node.bounds else None
    node_type, facts = "RandomPrompt", {"outputs": ["text"], "implied": True}
    written = read_native_notes(node).prompt_notes.get(name)
    noted: Mapping[str, Any] = written if isinstance(written, dict) else {}
    entry = _entry(noted.get("entry"))
    if entry is None:
        return ForeignNode(
            f"{node.id}#{name}",
            f"{NATIVE_PREFIX}{node_type}",
            inputs,
            (ForeignPort("text", "STRING"),),
            control={"seed": "randomize"},
            bounds=left,
            raw={"nodegraph": facts},
        )
    fields = entry.to_dict()
    is_same = noted.get("prompt") == prompt
    facts |= {key: fields[key] for key in ("label", "note", "always", "version") if key in fields}
    facts["name"] = str(noted.get("name", ""))
    at, control = read_rectangle(noted.get("place")), noted.get("control")
    return ForeignNode(
        # One that draws for several stays one.
        f"#{facts['name']}#{prompt}",
        f"{NATIVE_PREFIX}{entry.type}",
        dict(entry.inputs) if is_same else inputs | {"seed": entry.inputs.get("seed", 0)},
        (ForeignPort("text", "STRING"),),
        title=entry.label,
        control={"seed": control} if isinstance(control, str) else {},
        bounds=at or left,
        raw={"nodegraph": facts},
    )


def _entry(noted: Any) -> NodeEntry | None:
    """The native node that was noted; None where somebody's edit has left none."""
    try:
        entry = NodeEntry.read(noted)
    except InvalidWorkflow:
        return None
    is_plain = not any(isinstance(value, (dict, list)) for value in entry.inputs.values())
    return entry if is_plain else None
