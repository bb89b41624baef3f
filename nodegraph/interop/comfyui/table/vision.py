"""Models that see: depth, and what stands before the background."""

from __future__ import annotations

from nodegraph.interop.comfyui.entries import TableEntry, entry, same
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Untranslatable

_TURBO = "#30123b #28bceb #a4fc3c #fb7e21 #7a0403"
"""About the colours of the map called turbo."""
_FAR = 0.02
"""Brightness in a picture of depths below which things are without end."""
_DTYPES = {"default": "auto", "fp16": "float16", "bf16": "bfloat16", "fp32": "float32"}


def _other_depth(node: Passage) -> None:
    """Models of depth that aren't read here; others say the same."""
    model = node.literal("model_name")
    dtype = _DTYPES.get(str(node.inputs["weight_dtype"].given)) if "DA3" in node.type else None
    name = node.add("LoadVisionModel", model=model, dtype=dtype)
    node.tell(f"{model} isn't read here: take a folder of Depth Anything V2, say, for it")
    output = "DA3_MODEL" if "DA3" in node.type else "MOGE_MODEL"
    node.give(output, MadeOutput(name, "vision_model"))


def _da3_estimate(node: Passage) -> None:
    name = node.add("EstimateDepth", model=node.inputs["da3_model"], image=node.inputs["image"])
    node.give("da3_geometry", MadeOutput(name, "image"))


def _moge_estimate(node: Passage) -> None:
    name = node.add("EstimateDepth", model=node.inputs["moge_model"], image=node.inputs["image"])
    node.give("moge_geometry", MadeOutput(name, "image"))


def _da3_render(node: Passage) -> None:
    if node.literal("output") != "depth":
        raise Untranslatable(f"`{node.literal('output')}` of what is seen isn't known here")
    node.give("IMAGE", node.inputs["da3_geometry"])


def _moge_render(node: Passage) -> None:
    output, depth = str(node.literal("output")), node.inputs["moge_geometry"]
    if output == "depth":
        node.give("IMAGE", depth)
    elif output == "depth_colored":
        name = node.add("GradientMap", image=depth, colors=_TURBO)
        node.give("IMAGE", MadeOutput(name, "image"))
    elif output.startswith("normal"):
        node.tell("which way surfaces face is worked out of the depth here: it is less exact")
        green = "up" if output.endswith("opengl") else "down"
        node.give("IMAGE", MadeOutput(node.add("NormalMap", image=depth, green=green), "image"))
    elif output == "mask":
        node.tell("what has a depth at all is told from the furthest here: it is less exact")
        near = node.add("ThresholdImage", image=depth, level=_FAR)
        node.give("IMAGE", MadeOutput(near, "image"))
    else:
        raise Untranslatable(f"`{output}` of what is seen isn't known here")


def _marigold(node: Passage) -> None:
    image, kind = node.inputs["image"], node.literal("prediction")
    if kind == "normals":
        node.tell("normals stay as long as they are here: they are not brought to length 1")
        node.give("IMAGE", image)
        return
    if kind == "albedo":
        node.tell("light becomes sRGB by a gamma of 2.2 here: dark tones differ a little")
        name = node.add("AdjustExposure", image=image, gamma=2.2)
    else:
        gray = MadeOutput(node.add("Grayscale", image=image, method="average"), "image")
        known = node.add("ImageStatistics", image=gray)
        name = node.add(
            "AdjustLevels",
            image=gray,
            black=MadeOutput(known, "minimum"),
            white=MadeOutput(known, "maximum"),
            output_black=1.0,
            output_white=0.0,
        )
    node.give("IMAGE", MadeOutput(name, "image"))


ENTRIES: tuple[TableEntry, ...] = (
    same(
        'LoadBackgroundRemovalModel(bg_removal_name: COMBO = "") -> bg_model: BACKGROUND_REMOVAL',
        "LoadVisionModel",
        {"bg_removal_name": "model"},
        {"bg_model": "vision_model"},
    ),
    same(
        "RemoveBackground(image: IMAGE, bg_removal_model: BACKGROUND_REMOVAL) -> mask: MASK",
        "ForegroundMask",
        {"bg_removal_model": "model"},
        {"mask": "mask"},
    ),
    entry(
        'LoadDA3Model(model_name: COMBO = "", weight_dtype: COMBO = "default") -> DA3_MODEL',
        _other_depth,
    ),
    entry(
        "DA3Inference(da3_model: DA3_MODEL, image: IMAGE, resolution: INT = 504, "
        'resize_method: COMBO = "upper_bound_resize", mode: COMBO = "mono") '
        "-> da3_geometry: DA3_GEOMETRY",
        _da3_estimate,
    ),
    entry(
        'DA3Render(da3_geometry: DA3_GEOMETRY, output: COMBO = "depth", '
        'output.normalization: COMBO = "v2_style" @when(depth), '
        "output.apply_sky_clip: BOOLEAN = false @when(depth)) -> IMAGE",
        _da3_render,
    ),
    entry('LoadMoGeModel(model_name: COMBO = "") -> MOGE_MODEL', _other_depth),
    entry(
        "MoGeInference(moge_model: MOGE_MODEL, image: IMAGE, resolution_level: INT = 9, "
        "fov_x_degrees: FLOAT = 0.0, batch_size: INT = 4, force_projection: BOOLEAN = true, "
        "apply_mask: BOOLEAN = true, refine_steps: INT = 3) -> moge_geometry: MOGE_GEOMETRY",
        _moge_estimate,
    ),
    entry(
        'MoGeRender(moge_geometry: MOGE_GEOMETRY, output: COMBO = "depth") -> IMAGE',
        _moge_render,
    ),
    entry('MarigoldV2PostProcess(image: IMAGE, prediction: COMBO = "depth") -> IMAGE', _marigold),
)
