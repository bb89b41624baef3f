"""Workflows of ComfyUI for tests, and a small table."""

from __future__ import annotations

from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, entry, same
from nodegraph.interop.comfyui.foreign_workflow import (
    ForeignBlock,
    ForeignGraph,
    ForeignNode,
    ForeignPort,
    ForeignWorkflow,
    Source,
)
from nodegraph.interop.comfyui.importer import ImportedWorkflow, translate
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal


def _shift(node: Passage) -> None:
    model = node.inputs["model"]
    node.give("MODEL", model.with_carried(shift=node.literal("shift")))


def _sample(node: Passage) -> None:
    model = node.inputs["model"]
    name = node.add(
        "KSampler", model=model, seed=node.inputs["seed"], steps=node.inputs.get("steps")
    )
    if "shift" in model.carried:
        node.add("Shift", shift=model.carried["shift"])
    node.give("LATENT", MadeOutput(name, "latent"))


def _constant(node: Passage) -> None:
    node.give("INT", MadeOutput(node.add("Integer", value=node.inputs["value"]), ""))


def _doubled(node: Passage) -> None:
    name = node.add("Sized", width=2 * node.literal("width"), on=node.inputs.get("on"))
    node.give("IMAGE", Signal(MadeOutput(name, "image")))


def _pair(node: Passage) -> None:
    value = MadeOutput(node.add("Integer", value=node.inputs["value"]), "")
    node.give("TWICE", MadeOutput(node.add("Twice", value=value), ""))
    node.give("HALF", MadeOutput(node.add("Half", value=3), ""))


TABLE: tuple[TableEntry, ...] = (
    same("Load(name: COMBO) -> MODEL", "LoadModel", {"name": "model"}, {"MODEL": "model"}),
    entry("ModelShift(model: MODEL, shift: FLOAT = 3.0) -> MODEL", _shift),
    same("Lora(model: MODEL, name: STRING) -> MODEL", "LoadLora", {"name": "lora"}),
    entry("Sample(model: MODEL, seed: INT = 0 @control, steps: INT = 20) -> LATENT", _sample),
    same("Decode(samples: LATENT) -> IMAGE", "VAEDecode", {"samples": "latent"}),
    same("Save(image: IMAGE, name: STRING)", "SaveImage"),
    entry("Whole(value: INT = 0) -> INT", _constant, "Integer"),
    entry("Pair(value: INT = 0) -> TWICE: INT, HALF: INT", _pair),
    entry("Doubled(width: INT = 8, on: BOOLEAN?) -> IMAGE", _doubled),
)


def node(type_name: str, /, **inputs: Any) -> dict[str, Any]:
    return {"type": type_name, "inputs": inputs}


def graph(**nodes: dict[str, Any]) -> ForeignGraph:
    return ForeignGraph({name: ForeignNode(name, **each) for name, each in nodes.items()})


def ports(*names: str) -> tuple[ForeignPort, ...]:
    return tuple(ForeignPort(name, name.upper()) for name in names)


def block(inner: ForeignGraph, inputs: str = "", **outputs: Source) -> ForeignBlock:
    given = tuple((ForeignPort(name, name), source) for name, source in outputs.items())
    return ForeignBlock("B", "My block", inner, ports(*inputs.split()), given)


def translated(given: ForeignGraph, *blocks: ForeignBlock) -> ImportedWorkflow:
    return translate(ForeignWorkflow(given, blocks={each.id: each for each in blocks}), TABLE)
