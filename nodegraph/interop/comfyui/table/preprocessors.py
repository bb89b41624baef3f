"""What prepares pictures for control networks, of the pack that many have for it.

It has a node for each way and size of model; here there are a few, most of them without a model.
Like there, pictures are first scaled so that their shorter side has the resolution.
"""

from __future__ import annotations

from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, Translate, entry
from nodegraph.interop.comfyui.table.parts import compute_number
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Untranslatable

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
        node.tell(f"{native} stands for it, which takes no model: lines differ in detail")
        made = node.add(native, image=_scaled(node))
        _keep(node)
        node.give("IMAGE", MadeOutput(made, "image"))

    return forward


def _with_model(native: str, model: str) -> Translate:
    """The way here of one whose model isn't read here, but others of its kind are."""

    def forward(node: Passage) -> None:
        node.tell(f"its own model isn't read here: {model} stands for it")
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
    node.keep(**{name: signal.given for name, signal in other.items() if not signal.is_link})


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
        raise Untranslatable(f"nothing here prepares pictures as {chosen} does")
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
