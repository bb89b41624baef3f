"""Stable Cascade: empty latents of both stages, and stage B following stage C.

Source of the sizes: ComfyUI, ``comfy_extras/nodes_stable_cascade.py``.
"""

from __future__ import annotations

from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, entry, same
from nodegraph.interop.comfyui.table.parts import compute_number
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Untranslatable

_CELL = 8
"""Pixels that sides are multiples of."""


def _side_of_stage_c(a: float, b: float) -> int:
    """Pixels of a latent of stage C with as many cells as there: a cell is 42.67 pixels wide."""
    return int(a // b * 4267 // 800 * _CELL)


def _empty(node: Passage) -> None:
    compression, batch = node.inputs["compression"], node.inputs["batch_size"]
    sides: dict[str, Any] = {
        name: compute_number(
            node,
            f"a // b * 4267 // 800 * {_CELL}",
            _side_of_stage_c,
            a=node.inputs[name],
            b=compression,
        )
        for name in ("width", "height")
    }
    stage_c = node.add("EmptyLatent", **sides, batch_size=batch)
    node.give("stage_c", MadeOutput(stage_c, "latent"))
    whole = {name: node.inputs[name] for name in ("width", "height")}
    stage_b = node.add("EmptyLatent", **whole, batch_size=batch)
    node.give("stage_b", MadeOutput(stage_b, "latent"))


def _encode(node: Passage) -> None:
    raise Untranslatable(
        "the encoder of images for stage C of Stable Cascade, an EfficientNet, is supported by "
        "ComfyUI alone"
    )


def _enlarge(node: Passage) -> None:
    raise Untranslatable(
        "the control network for super resolution of Stable Cascade, and the encoder of its "
        "images, are supported by ComfyUI alone"
    )


_COMPRESSION = "compression: INT = 42"

ENTRIES: tuple[TableEntry, ...] = (
    entry(
        f"StableCascade_EmptyLatentImage(width: INT = 1024, height: INT = 1024, {_COMPRESSION}, "
        "batch_size: INT = 1) -> stage_c: LATENT, stage_b: LATENT",
        _empty,
    ),
    same(
        "StableCascade_StageB_Conditioning(conditioning: CONDITIONING, stage_c: LATENT) "
        "-> CONDITIONING",
        "StageBConditioning",
        {"stage_c": "latent"},
    ),
    entry(
        f"StableCascade_StageC_VAEEncode(image: IMAGE, vae: VAE, {_COMPRESSION}) "
        "-> stage_c: LATENT, stage_b: LATENT",
        _encode,
    ),
    entry(
        "StableCascade_SuperResolutionControlnet(image: IMAGE, vae: VAE) "
        "-> controlnet_input: IMAGE, stage_c: LATENT, stage_b: LATENT",
        _enlarge,
    ),
)
