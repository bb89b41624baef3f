"""Nodes of ComfyUI with something for each of their inputs, and what they become."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from nodegraph import Session
from nodegraph.core.analysis import analyse
from nodegraph.core.workflow import Workflow
from nodegraph.errors import Problem
from nodegraph.interop.comfyui.entries import InputSignature, TableEntry, entry
from nodegraph.interop.comfyui.foreign_workflow import (
    ForeignGraph,
    ForeignNode,
    ForeignWorkflow,
    Source,
)
from nodegraph.interop.comfyui.importer import ImportedWorkflow, entries_by_type, translate
from nodegraph.interop.comfyui.table import built_in
from nodegraph.interop.comfyui.translating import MadeOutput, Passage


def _image(node: Passage) -> None:
    node.give("IMAGE", MadeOutput(node.add("EmptyImage"), "image"))


def _mask(node: Passage) -> None:
    node.give("MASK", MadeOutput(node.add("SolidMask"), "mask"))


TABLE = entries_by_type(
    (*built_in(), entry("AnImage() -> IMAGE", _image), entry("AMask() -> MASK", _mask))
)
LED = {"model": Source("CheckpointLoaderSimple", 0)}
LED |= {"positive": Source("CLIPTextEncode", 0), "negative": Source("CLIPTextEncode", 0)}
BUNDLED = {**LED, "clip": Source("CheckpointLoaderSimple", 1)}
BUNDLED |= {"vae": Source("CheckpointLoaderSimple", 2)}
PAIR = {
    f"{side}_{name}": source
    for side in ("base", "refiner")
    for name, source in BUNDLED.items()
    if name != "vae"
}
DETECTOR = Source("UltralyticsDetectorProvider", 0)
REFUSED = frozenset({"refiner_basic_pipe_opt", "custom_sampler", "custom_sigmas"})
"""Inputs that nothing here stands for: nodes in which they are connected are not translated."""
SUPPLIERS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "MODEL": ("CheckpointLoaderSimple", 0, {"ckpt_name": "tiny"}),
    "CLIP": ("CheckpointLoaderSimple", 1, {"ckpt_name": "tiny"}),
    "VAE": ("CheckpointLoaderSimple", 2, {"ckpt_name": "tiny"}),
    "CONDITIONING": ("CLIPTextEncode", 0, {"clip": Source("CheckpointLoaderSimple", 1)}),
    "LATENT": ("EmptyLatentImage", 0, {"width": 64, "height": 64}),
    "IMAGE": ("AnImage", 0, {}),
    "MASK": ("AMask", 0, {}),
    "CONTROL_NET": ("ControlNetLoader", 0, {"control_net_name": "tiny/controlnet"}),
    "SAMPLER": ("KSamplerSelect", 0, {}),
    "SIGMAS": ("KarrasScheduler", 0, {}),
    "NOISE": ("RandomNoise", 0, {}),
    "GUIDER": ("CFGGuider", 0, LED),
    "CLIP_VISION": ("CLIPVisionLoader", 0, {"clip_name": "none.safetensors"}),
    "CLIP_VISION_OUTPUT": (
        "CLIPVisionEncode",
        0,
        {"clip_vision": Source("CLIPVisionLoader", 0), "image": Source("AnImage", 0)},
    ),
    "STYLE_MODEL": ("StyleModelLoader", 0, {"style_model_name": "none.safetensors"}),
    "GLIGEN": ("GLIGENLoader", 0, {"gligen_name": "none.safetensors"}),
    "IPADAPTER": ("IPAdapterModelLoader", 0, {"ipadapter_file": "none.safetensors"}),
    "HOOKS": ("CreateHookLora", 0, {"lora_name": "tiny/style_lora"}),
    "HOOK_KEYFRAMES": ("CreateHookKeyframe", 0, {"strength_mult": 0.5}),
    "TIMESTEPS_RANGE": ("ConditioningTimestepsRange", 0, {"end_percent": 0.5}),
    "LATENT_OPERATION": ("LatentOperationTonemapReinhard", 0, {"multiplier": 0.5}),
    "MODEL_PATCH": ("ModelPatchLoader", 0, {"name": "none.safetensors"}),
    "BASIC_PIPE": ("ToBasicPipe", 0, BUNDLED),
    "DETAILER_PIPE": ("ToDetailerPipe", 0, {**BUNDLED, "bbox_detector": DETECTOR}),
    "BBOX_DETECTOR": ("UltralyticsDetectorProvider", 0, {}),
    "SEGM_DETECTOR": ("UltralyticsDetectorProvider", 1, {}),
    "SAM_MODEL": ("SAMLoader", 0, {}),
    "SEGS": ("BboxDetectorSEGS", 0, {"bbox_detector": DETECTOR, "image": Source("AnImage", 0)}),
    "PK_HOOK": ("CfgScheduleHookProvider", 0, {}),
    "UPSCALER": ("PixelKSampleUpscalerProvider", 0, BUNDLED),
    "RGTHREE_CONTEXT": ("Context (rgthree)", 0, BUNDLED),
    "SDXL_TUPLE": ("Pack SDXL Tuple", 0, PAIR),
    "a loader's pipe": ("easy comfyLoader", 0, {"ckpt_name": "tiny"}),
    "PIPE_LINE": ("easy preSampling", 0, {"pipe": Source("easy comfyLoader", 0)}),
    "LORA_STACK": ("LoRA Stacker", 0, {"lora_name_1": "none.safetensors"}),
    "CONTROL_NET_STACK": (
        "Control Net Stacker",
        0,
        {"control_net": Source("ControlNetLoader", 0), "image": Source("AnImage", 0)},
    ),
}
"""What gives something of a type: a node type, its output, and inputs of its own."""


def supplied(one: TableEntry, **inputs: Any) -> ForeignGraph:
    """A node by the id ``node``, with all its inputs linked or at their defaults."""
    nodes = {
        there: ForeignNode(there, there, inputs=given) for there, _, given in SUPPLIERS.values()
    }
    given = {
        taken.name.replace("*", "1"): value
        for taken in one.signature.inputs
        if (value := _value(taken)) is not None
    }
    nodes["node"] = ForeignNode("node", one.type, inputs=given | inputs)
    return ForeignGraph(nodes)


def with_sampler(graph: ForeignGraph) -> ForeignGraph:
    """The same, with a sampler of the model or guider that the node gives."""
    outputs = [kind for _, kind in TABLE[graph.nodes["node"].type].signature.outputs]
    for kind, there, name in (
        ("MODEL", "KSampler", "model"),
        ("GUIDER", "SamplerCustomAdvanced", "guider"),
    ):
        if kind in outputs:
            given = {name: Source("node", outputs.index(kind))}
            sampler = supplied(TABLE[there], **given).nodes["node"]
            return ForeignGraph({**graph.nodes, "sampler": replace(sampler, id="sampler")})
    return graph


def _value(taken: InputSignature) -> Any:
    if taken.type in SUPPLIERS and taken.name not in REFUSED:
        there, slot, _ = SUPPLIERS[taken.type]
        return Source(there, slot)
    if taken.type == "COMBO" and taken.default is None:
        return "clip_l.safetensors"
    return None


def imported(graph: ForeignGraph) -> ImportedWorkflow:
    return translate(ForeignWorkflow(graph), TABLE)


def used(workflow: Workflow, *types: str) -> list[dict[str, Any]]:
    """The inputs of nodes of some types, in the order of their making."""
    return [dict(node.inputs) for node in workflow.nodes.values() if node.type in types]


def problems(session: Session, workflow: Workflow, folder: Path) -> list[Problem]:
    environment = session.settings.environment(inputs=folder)
    return list(analyse(workflow, session.registry, environment).problems)
