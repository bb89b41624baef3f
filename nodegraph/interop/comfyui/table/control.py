"""ControlNet, style models and CLIP vision conditioning."""

from __future__ import annotations

from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, entry
from nodegraph.interop.comfyui.table.carried_values import CONTROLS, refuse_unsupported
from nodegraph.interop.comfyui.table.loaders import file_loader
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

MODE = "mode"
_REVISED = "revised"
"""Whether a prompt has been given images for its pooled one."""
_MODES = {
    "auto": "none",
    "openpose": "pose",
    "depth": "depth",
    "hed/pidi/scribble/ted": "scribble",
    "canny/lineart/anime_lineart/mlsd": "edges",
    "normal": "normal",
    "segment": "segments",
    "tile": "tile",
    "repaint": "repaint",
}
"""What a union is told there that it is shown, and what it is here."""


def _values(node: Passage) -> dict[str, Any]:
    """What ApplyControlNet is given but for prompts."""
    net = node.inputs["control_net"]
    names = {"image": "image", "vae": "vae", "mask": "mask", "strength": "strength"}
    names |= {"start": "start_percent", "end": "end_percent"}
    taken: dict[str, Any] = {
        our: node.inputs[their] for our, their in names.items() if their in node.inputs
    }
    if "mask" in taken:
        # there it is scaled to the image
        sized = node.add("ResizeMask", mask=taken["mask"], image=taken["image"])
        taken["mask"] = MadeOutput(sized, "mask")
    return {"control_net": Signal(net.content), MODE: net.carried.get(MODE), **taken}


def _apply(node: Passage) -> None:
    positive, negative = node.inputs["positive"], node.inputs["negative"]
    name = node.add("ApplyControlNet", positive=positive, negative=negative, **_values(node))
    for port, signal in (("positive", positive), ("negative", negative)):
        node.give(port, Signal(MadeOutput(name, port), signal.carried))


def _apply_to_one(node: Passage) -> None:
    """Put on one prompt, it leads the other, too; that is said where both meet."""
    values, conditioning = _values(node), node.inputs["conditioning"]
    name = node.add("ApplyControlNet", positive=conditioning, **values)
    controls = (*conditioning.carried.get(CONTROLS, ()), values)
    made = Signal(MadeOutput(name, "positive"), conditioning.carried)
    node.give("CONDITIONING", made.with_carried(**{CONTROLS: controls}))


def _apply_back(node: Passage) -> None:
    names = {"start_percent": "start", "end_percent": "end"}
    names |= {name: name for name in ("image", "vae", "strength", "control_net")}
    refuse_unsupported(node, "positive", "negative", "mask", MODE, *names.values())
    taken: dict[str, Any] = {
        their: node.inputs[our] for their, our in names.items() if our in node.inputs
    }
    mode = node.inputs.get(MODE)
    if mode is not None and mode.content != "none":
        union_type = next((their for their, our in _MODES.items() if our == mode.content), None)
        if union_type is None:
            raise Untranslatable(f"a union ControlNet of ComfyUI has no mode {mode.content}")
        named = node.add(
            "SetUnionControlNetType", control_net=taken["control_net"], type=union_type
        )
        taken["control_net"] = MadeOutput(named, "CONTROL_NET")
    positive = node.inputs["positive"]
    # What stands in for no negative prompt can't be said: where none is looked at, any will do.
    negative = node.inputs.get("negative", positive)
    there = "ControlNetApplyAdvanced"
    if "mask" in node.inputs:
        there, taken["mask"] = "ControlNetInpaintingAliMamaApply", node.inputs["mask"]
    name = node.add(there, positive=positive, negative=negative, **taken)
    node.give("positive", MadeOutput(name, "positive"))
    node.give("negative", MadeOutput(name, "negative"))


def _union(node: Passage) -> None:
    union_type = node.literal("type")
    if union_type not in _MODES:
        raise Untranslatable(f"a union ControlNet of nodegraph has no mode {union_type}")
    net = node.inputs["control_net"]
    node.give("CONTROL_NET", net.with_carried(**{MODE: _MODES[union_type]}))


def _carry_vision_image(node: Passage) -> None:
    """An image as CLIP sees it; here, who looks at the image has its own eyes."""
    eyes = node.inputs["clip_vision"].carried
    carried = {"image": node.inputs["image"], "vision_file": eyes.get("vision_file")}
    node.give("CLIP_VISION_OUTPUT", Signal(None, carried))


def _style(node: Passage) -> None:
    vision = node.inputs["clip_vision_output"].carried
    file = node.inputs["style_model"].carried.get("redux_file")
    if file is None or "image" not in vision:
        raise Untranslatable("the file of its style model, or its image, is not known")
    strength = node.inputs["strength"]
    if node.literal("strength_type") == "attn_bias" and strength.content != 1:
        node.tell(
            "nodegraph multiplies Redux's tokens by its strength and does not reduce the "
            "attention to them"
        )
    loaded = node.add("LoadRedux", redux=file, image_encoder=vision.get("vision_file"))
    name = node.add(
        "ApplyRedux",
        conditioning=node.inputs["conditioning"],
        redux=MadeOutput(loaded, "redux"),
        image=vision["image"],
        strength=strength,
    )
    node.give("CONDITIONING", MadeOutput(name, "conditioning"))


def _revise(node: Passage) -> None:
    """Of unCLIP there, what Stable Diffusion XL makes of it: an image for its pooled prompt."""
    vision, conditioning = node.inputs["clip_vision_output"].carried, node.inputs["conditioning"]
    if not vision.get("vision_file") or "image" not in vision:
        raise Untranslatable("the image encoder of its image is not known")
    loaded = node.add("LoadImageEncoder", image_encoder=vision["vision_file"])
    name = node.add(
        "ReviseConditioning",
        conditioning=conditioning,
        image_encoder=MadeOutput(loaded, "image_encoder"),
        image=vision["image"],
        strength=node.inputs["strength"],
        noise=node.inputs["noise_augmentation"],
        adds=bool(conditioning.carried.get(_REVISED)),
    )
    made = Signal(MadeOutput(name, "conditioning"), conditioning.carried)
    node.give("CONDITIONING", made.with_carried(**{_REVISED: True}))


_NET = "control_net: CONTROL_NET"
_BOTH = "positive: CONDITIONING, negative: CONDITIONING"
_HOW = "strength: FLOAT = 1.0, start_percent: FLOAT = 0.0, end_percent: FLOAT = 1.0"

ENTRIES: tuple[TableEntry, ...] = (
    entry(
        "ControlNetLoader(control_net_name: COMBO) -> CONTROL_NET",
        *file_loader(
            "LoadControlNet", {"control_net_name": "control_net"}, {"CONTROL_NET": "control_net"}
        ),
    ),
    entry(
        "DiffControlNetLoader(model: MODEL, control_net_name: COMBO) -> CONTROL_NET",
        file_loader(
            "LoadControlNet", {"control_net_name": "control_net"}, {"CONTROL_NET": "control_net"}
        )[0],
    ),
    entry(
        f"ControlNetApplyAdvanced({_BOTH}, {_NET}, image: IMAGE, {_HOW}, vae: VAE?) -> {_BOTH}",
        _apply,
        "ApplyControlNet",
        _apply_back,
    ),
    entry(
        f"ControlNetApplySD3({_BOTH}, {_NET}, vae: VAE, image: IMAGE, {_HOW}) -> {_BOTH}", _apply
    ),
    entry(
        f"ControlNetInpaintingAliMamaApply({_BOTH}, {_NET}, vae: VAE, image: IMAGE, mask: MASK, "
        f"{_HOW}) -> {_BOTH}",
        _apply,
    ),
    entry(
        f"ControlNetApply(conditioning: CONDITIONING, {_NET}, image: IMAGE, "
        "strength: FLOAT = 1.0) -> CONDITIONING",
        _apply_to_one,
    ),
    entry(
        f'SetUnionControlNetType({_NET}, type: COMBO = "auto") -> CONTROL_NET',
        _union,
    ),
    entry(
        "CLIPVisionEncode(clip_vision: CLIP_VISION, image: IMAGE, "
        'crop: COMBO = "center") -> CLIP_VISION_OUTPUT',
        _carry_vision_image,
    ),
    entry(
        "StyleModelApply(conditioning: CONDITIONING, style_model: STYLE_MODEL, "
        "clip_vision_output: CLIP_VISION_OUTPUT, strength: FLOAT = 1.0, "
        'strength_type: COMBO = "multiply") -> CONDITIONING',
        _style,
    ),
    entry(
        "unCLIPConditioning(conditioning: CONDITIONING, clip_vision_output: CLIP_VISION_OUTPUT, "
        "strength: FLOAT = 1.0, noise_augmentation: FLOAT = 0.0) -> CONDITIONING",
        _revise,
    ),
)
