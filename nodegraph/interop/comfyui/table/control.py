"""ControlNet and its preprocessors, style models and CLIP vision conditioning.

ControlNet aux has a preprocessor for each method and model size; here a few nodes replace them,
most without a model. As in ControlNet aux, images are first scaled so that the shorter side has the
chosen resolution.
"""

from __future__ import annotations

from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, Translate, entry
from nodegraph.interop.comfyui.table.carried_values import (
    CONTROLS,
    put_on_model,
    refuse_unsupported,
)
from nodegraph.interop.comfyui.table.loaders import file_loader
from nodegraph.interop.comfyui.table.parts import CROP, compute_number, file_input
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
"""Names of the control types of a union, there and here."""


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
    if "vae" in taken:
        taken |= CROP
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
    refuse_unsupported(node, "positive", "negative", "mask", MODE, "crop", *names.values())
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
    encoder = node.inputs["clip_vision"]
    carried = {"image": node.inputs["image"], "vision_file": encoder.carried.get("vision_file")}
    if encoder.is_link:
        carried["vision_encoder"] = encoder
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


_CANNY = 2040
"""What their thresholds are of: eight times 255, of the sums of a Sobel filter."""
_CELL = 64
"""They round sides to multiples of it."""
_DEPTH = "depth-anything/Depth-Anything-V2-Small-hf"
_POSE = "usyd-community/vitpose-base-simple"
_RESOLUTION = "resolution: INT = 512"
_PARTS = 'detect_hand: COMBO = "enable", detect_body: COMBO = "enable", '
_FACE = 'detect_face: COMBO = "enable"'
_POSED = "IMAGE, POSE_KEYPOINT"


def _scaled(node: Passage) -> MadeOutput:
    name = node.add(
        "ScaleImage",
        image=node.inputs["image"],
        by="shorter side",
        amount=node.inputs["resolution"],
        multiple_of=_CELL,
    )
    return MadeOutput(name, "image")


def _canny(node: Passage) -> None:
    thresholds: dict[str, Any] = {
        side: compute_number(
            node, f"a / {_CANNY}", lambda a: a / _CANNY, a=node.inputs[f"{side}_threshold"]
        )
        for side in ("low", "high")
        if f"{side}_threshold" in node.inputs
    }
    name = node.add("CannyEdges", image=_scaled(node), **thresholds)
    node.give("IMAGE", MadeOutput(name, "image"))


def _without_model(native: str) -> Translate:
    """The way here of one that has a model, where none is needed."""

    def forward(node: Passage) -> None:
        node.tell(f"{native} replaces it, which uses no model: lines differ in detail")
        made = node.add(native, image=_scaled(node))
        _keep(node)
        node.give("IMAGE", MadeOutput(made, "image"))

    return forward


def _with_model(native: str, model: str) -> Translate:
    """The way here of one whose model isn't read here, but others of its kind are."""

    def forward(node: Passage) -> None:
        node.tell(f"its own model is not supported: {model} replaces it")
        loaded = MadeOutput(node.add("LoadVisionModel", model=model), "vision_model")
        made = node.add(native, model=loaded, image=_scaled(node))
        _keep(node)
        node.give("IMAGE", MadeOutput(made, "image"))

    return forward


def _keep(node: Passage) -> None:
    other = {
        name: input_signal
        for name, input_signal in node.inputs.items()
        if name not in _TRANSLATED_INPUTS
    }
    node.keep(**{name: signal.content for name, signal in other.items() if not signal.is_link})


_TRANSLATED_INPUTS = ("image", "resolution")


def _soft(node: Passage) -> None:
    _without_model("SoftEdges")(node)


def _any_of(node: Passage) -> None:
    """The one node that has all of them as a choice."""
    chosen = str(node.literal("preprocessor"))
    if chosen == "none":
        node.give("IMAGE", node.inputs["image"])
        return
    way = _WAYS.get(chosen)
    if way is None:
        raise Untranslatable(f"nodegraph has no preprocessor like {chosen}")
    way(node)


_LINES, _DEPTHS, _POSES = (
    _without_model("LineArt"),
    _with_model("EstimateDepth", _DEPTH),
    _with_model("EstimatePose", _POSE),
)
_SCRIBBLE = _without_model("Scribble")
_SAFE = f'image: IMAGE, safe: COMBO = "enable", {_RESOLUTION}'
_LINE = {
    f"CannyEdgePreprocessor(image: IMAGE, low_threshold: INT = 100, high_threshold: INT = 200, "
    f"{_RESOLUTION}) -> IMAGE": _canny,
    f'LineArtPreprocessor(image: IMAGE, coarse: COMBO = "disable", {_RESOLUTION}) -> IMAGE': _LINES,
    f"AnimeLineArtPreprocessor(image: IMAGE, {_RESOLUTION}) -> IMAGE": _LINES,
    "LineartStandardPreprocessor(image: IMAGE, guassian_sigma: FLOAT = 6.0, "
    f"intensity_threshold: INT = 8, {_RESOLUTION}) -> IMAGE": _LINES,
    f"HEDPreprocessor({_SAFE}) -> IMAGE": _soft,
    f"PiDiNetPreprocessor({_SAFE}) -> IMAGE": _soft,
    f"TEEDPreprocessor(image: IMAGE, safe_steps: INT = 2, {_RESOLUTION}) -> IMAGE": _soft,
    f"ScribblePreprocessor(image: IMAGE, {_RESOLUTION}) -> IMAGE": _SCRIBBLE,
    f"FakeScribblePreprocessor({_SAFE}) -> IMAGE": _SCRIBBLE,
    'DepthAnythingPreprocessor(image: IMAGE, ckpt_name: COMBO = "depth_anything_vitl14.pth", '
    f"{_RESOLUTION}) -> IMAGE": _DEPTHS,
    'DepthAnythingV2Preprocessor(image: IMAGE, ckpt_name: COMBO = "depth_anything_v2_vitl.pth", '
    f"{_RESOLUTION}) -> IMAGE": _DEPTHS,
    "MiDaS-DepthMapPreprocessor(image: IMAGE, a: FLOAT = 6.283185307179586, "
    f"bg_threshold: FLOAT = 0.1, {_RESOLUTION}) -> IMAGE": _DEPTHS,
    f"Zoe-DepthMapPreprocessor(image: IMAGE, {_RESOLUTION}) -> IMAGE": _DEPTHS,
    f"OpenposePreprocessor(image: IMAGE, {_PARTS}{_FACE}, {_RESOLUTION}, "
    f'scale_stick_for_xinsr_cn: COMBO = "disable") -> {_POSED}': _POSES,
    f"DWPreprocessor(image: IMAGE, {_PARTS}{_FACE}, {_RESOLUTION}, "
    'bbox_detector: COMBO = "yolox_l.onnx", '
    'pose_estimator: COMBO = "dw-ll_ucoco_384_bs5.torchscript.pt", '
    f'scale_stick_for_xinsr_cn: COMBO = "disable") -> {_POSED}': _POSES,
}
_WAYS: dict[str, Translate] = {line.partition("(")[0]: way for line, way in _LINE.items()}

PREPROCESSOR_ENTRIES: tuple[TableEntry, ...] = (
    *(entry(line, way) for line, way in _LINE.items()),
    entry(
        f'AIO_Preprocessor(image: IMAGE, preprocessor: COMBO = "none", {_RESOLUTION}) -> IMAGE',
        _any_of,
    ),
)


def _style_of_file(node: Passage) -> None:
    """A file of patches, which the node opens that applies it."""
    node.give("MODEL_PATCH", Signal(None, {"patch_file": file_input(node, "name")}))


def _control(node: Passage) -> None:
    """A control network as patches of a model; here it stands beside the prompts, as all do."""
    file = node.inputs["model_patch"].carried.get("patch_file")
    if file is None:
        raise Untranslatable("the file of its model patch is not known")
    loaded = node.add("LoadControlNet", control_net=file)
    names = {"start": "start_percent", "end": "end_percent"}
    names |= {name: name for name in ("image", "vae", "mask", "inpaint_image", "strength")}
    taken: dict[str, Any] = {
        our: node.inputs[their] for our, their in names.items() if their in node.inputs
    }
    if "mask" in taken:
        # There it is scaled to the latent.
        sized = node.add("ResizeMask", mask=taken["mask"], image=taken["image"])
        taken["mask"] = MadeOutput(sized, "mask")
    made = MadeOutput(loaded, "control_net")
    crop = CROP if "vae" in taken else {}
    put_on_model(node, {"type": "ApplyControlNet", "control_net": made, **taken, **crop})


def _fun_control(node: Passage) -> None:
    """Alibaba's control network of Z-Image, with an image to fill or without one."""
    fills = ("inpaint_image" in node.inputs, "mask" in node.inputs)
    if "image" not in node.inputs or fills[0] != fills[1]:
        raise Untranslatable(
            "nodegraph shows Z-Image's control network a control image, alone or with an image to "
            "fill and its mask"
        )
    _control(node)


_MODEL = "model: MODEL"
_SPAN = "start_percent: FLOAT = {}, end_percent: FLOAT = {}"

_PATCHES = (
    entry("ModelPatchLoader(name: COMBO) -> MODEL_PATCH", _style_of_file),
    entry(
        f"QwenImageDiffsynthControlnet({_MODEL}, model_patch: MODEL_PATCH, vae: VAE, "
        "image: IMAGE, strength: FLOAT = 1.0, mask: MASK?) -> MODEL",
        _control,
    ),
    entry(
        f"ZImageFunControlnet({_MODEL}, model_patch: MODEL_PATCH, vae: VAE, "
        "strength: FLOAT = 1.0, image: IMAGE?, inpaint_image: IMAGE?, mask: MASK?) -> MODEL",
        _fun_control,
    ),
    entry(
        f"AnimaLLLiteApply({_MODEL}, model_patch: MODEL_PATCH, image: IMAGE, mask: MASK?, "
        f"strength: FLOAT = 1.0, {_SPAN.format('0.0', '1.0')}) -> MODEL",
        _control,
    ),
)

_NET = "control_net: CONTROL_NET"
_BOTH = "positive: CONDITIONING, negative: CONDITIONING"
_HOW = "strength: FLOAT = 1.0, start_percent: FLOAT = 0.0, end_percent: FLOAT = 1.0"

ENTRIES: tuple[TableEntry, ...] = (
    *_PATCHES,
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
    *PREPROCESSOR_ENTRIES,
)
