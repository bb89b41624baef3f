"""Common nodes of custom packs: rgthree, KJNodes, VideoHelperSuite, ControlNet aux.

ControlNet aux has a node for each method and model size; here a few nodes replace them, most
without a model. As in ControlNet aux, images are first scaled so that the shorter side has the
given resolution.
"""

from __future__ import annotations

from typing import Any

from nodegraph.interop.comfyui.entries import (
    InputSignature,
    Signature,
    TableEntry,
    Translate,
    entry,
    parse_signature,
    same,
)
from nodegraph.interop.comfyui.table.images import name_of
from nodegraph.interop.comfyui.table.parts import FILES, METHODS, compute_number
from nodegraph.interop.comfyui.table.values import checked_expression
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

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


_VIDEOS = {"h264": "mp4", "h265": "mp4", "webm": "webm"}
_PICTURES = {"image/gif": "gif", "image/webp": "webp"}


def _combine(node: Passage) -> None:
    form, images = str(node.literal("format")), node.inputs["images"]
    if node.inputs["pingpong"].content is True:
        node.tell("nodegraph does not repeat images in reverse order: use ReorderList for this")
    names = ("loop_count", "pingpong", "save_output", "format")
    node.keep(
        **{name: node.inputs[name].content for name in names if not node.inputs[name].is_link}
    )
    rate: Any = node.inputs["frame_rate"]
    if form in _PICTURES:
        taken = {"name": name_of(node), "format": _PICTURES[form]}
        node.add("SaveAnimation", image=images, rate=rate, **taken)
        return
    kind = next((ours for theirs, ours in _VIDEOS.items() if theirs in form), "mp4")
    made = node.add("VideoFromImages", images=images, rate=rate, audio=node.inputs.get("audio"))
    node.add("SaveVideo", video=MadeOutput(made, "video"), name=name_of(node), format=kind)


def _load(node: Passage) -> None:
    file = node.inputs["video"]
    taken = {
        "first": "skip_first_frames",
        "count": "frame_load_cap",
        "every": "select_every_nth",
        "rate": "force_rate",
    }
    name = node.add(
        "LoadVideo",
        path=file if file.is_link else FILES.ours(file.content),
        **{our: node.inputs[their] for our, their in taken.items()},
    )
    parts = node.add("ImagesFromVideo", video=MadeOutput(name, "video"))
    image = MadeOutput(parts, "image")
    size = {side: node.inputs[f"custom_{side}"] for side in ("width", "height")}
    if any(signal.content for signal in size.values()):
        image = MadeOutput(node.add("ResizeImage", image=image, **size), "image")
    node.give("IMAGE", image)
    node.give("audio", MadeOutput(parts, "audio"))
    node.give("frame_count", MadeOutput(node.add("ImageSize", image=image), "batch"))


def _switch(node: Passage) -> None:
    chosen = f"input{node.literal('select')}"
    if chosen not in node.inputs:
        raise Untranslatable(f"its input `{chosen}` is not connected")
    node.tell(f"stays at `{chosen}`")
    node.give("selected_value", node.inputs[chosen])
    node.give("selected_label", Signal(chosen))
    node.give("selected_index", Signal(node.literal("select")))


def _seed(node: Passage) -> None:
    seed: Any = node.inputs["seed"]
    if not seed.is_link and int(seed.content) < 0:
        node.tell("a seed below 0, which is random on each run in ComfyUI, becomes 0")
        seed = 0
    node.give("SEED", MadeOutput(node.add("Seed", seed=seed), "number"))


_SEED = parse_signature("X(seed: INT = 0 @control) -> SEED: INT")

PACK_MEDIA_ENTRIES: tuple[TableEntry, ...] = (
    entry(
        "VHS_VideoCombine(images: IMAGE, audio: AUDIO?, meta_batch: VHS_BATCH?, vae: VAE?, "
        "frame_rate: FLOAT = 8.0, loop_count: INT = 0, "
        'filename_prefix: STRING = "AnimateDiff", format: COMBO = "image/gif", '
        "pingpong: BOOLEAN = false, save_output: BOOLEAN = true) -> Filenames: VHS_FILENAMES",
        _combine,
    ),
    entry(
        'VHS_LoadVideo(video: COMBO = "" @upload, force_rate: FLOAT = 0.0, '
        "custom_width: INT = 0, custom_height: INT = 0, frame_load_cap: INT = 0, "
        "skip_first_frames: INT = 0, select_every_nth: INT = 1, meta_batch: VHS_BATCH?, "
        "vae: VAE?) -> IMAGE, frame_count: INT, audio: AUDIO, video_info: VHS_VIDEOINFO",
        _load,
    ),
    entry(
        "ImpactSwitch(select: INT = 1, sel_mode: BOOLEAN = false, input1: *, input2: *?, "
        "input3: *?, input4: *?, input5: *?, input6: *?) "
        "-> selected_value: *, selected_label: STRING, selected_index: INT",
        _switch,
    ),
    TableEntry(Signature("Seed (rgthree)", _SEED.inputs, _SEED.outputs), _seed),
)


_KEEPING = {
    "stretch": "stretch", "resize": "inside", "pad": "pad", "pad_edge": "pad", "crop": "crop",
    "keep proportion": "inside", "fill / crop": "crop",
}  # fmt: skip


def _named(type_name: str, line: str, forward: Translate) -> TableEntry:
    """An entry for a type whose name has brackets."""
    signature = parse_signature(f"X{line}")
    return TableEntry(Signature(type_name, signature.inputs, signature.outputs), forward)


def _any(node: Passage) -> None:
    signals = [node.inputs[name] for name in sorted(node.inputs) if name.startswith("any_")]
    node.give("*", signals[0] if signals else Signal(None))


def _loras(node: Passage) -> None:
    model, clip = node.inputs["model"], node.inputs.get("clip")
    rows = [signal.content for signal in node.inputs.values() if isinstance(signal.content, dict)]
    for row in rows:
        lora, strength = row.get("lora"), row.get("strength", 1.0)
        if not row.get("on") or lora in (None, "None", ""):
            continue
        second = row.get("strengthTwo")
        name = node.add(
            "LoadLora",
            model=model,
            text_encoder=clip,
            lora=lora,
            strength_model=strength,
            strength_encoder=strength if second is None else second,
        )
        model = Signal(MadeOutput(name, "model"), model.carried)
        if clip is not None:
            clip = Signal(MadeOutput(name, "text_encoder"), clip.carried)
    node.keep(rows=rows)
    node.give("MODEL", model)
    if clip is not None:
        node.give("CLIP", clip)


def _compare(node: Passage) -> None:
    view = node.add("SplitView", image=node.inputs["image_a"], other=node.inputs["image_b"])
    node.add("PreviewImage", image=MadeOutput(view, "image"))


def _show(port: str, output: str) -> Translate:
    def forward(node: Passage) -> None:
        node.add("ShowValue", value=node.inputs[port])
        if output:
            node.give(output, node.inputs[port])

    return forward


def _resize(method: str, keeping: str, multiple: str) -> Translate:
    def forward(node: Passage) -> None:
        values: dict[str, Any] = {side: node.inputs[side] for side in ("width", "height")}
        if _KEEPING.get(str(node.literal(keeping))) == "pad":
            values |= _filled(node, str(node.literal(keeping)))
        name = node.add(
            "ResizeImage",
            image=node.inputs["image"],
            **values,
            method=METHODS.ours(node.literal(method)),
            fit=_KEEPING.get(str(node.literal(keeping)), "stretch"),
            multiple_of=max(1, int(node.literal(multiple))),
        )
        node.give("IMAGE", MadeOutput(name, "image"))
        size = node.add("ImageSize", image=MadeOutput(name, "image"))
        for side in ("width", "height"):
            node.give(side, MadeOutput(size, side))

    return forward


def _filled(node: Passage, keeping: str) -> dict[str, Any]:
    """What is put around an image, where that isn't black."""
    if keeping == "pad_edge":
        node.tell("nodegraph pads images with black, not with the color of their edges")
        return {}
    color = node.inputs.get("pad_color")
    parts = str(color.content).split(",") if color is not None else ["0"] * 3
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
        node.tell(f"`pad_color` is {parts} in ComfyUI, which cannot be read: black is used")
        return {}
    levels = [int(part) for part in parts]
    return {"fill": f"rgb({', '.join(map(str, levels))})"} if any(levels) else {}


def _math(node: Passage) -> None:
    letters = {name: node.inputs[name] for name in "abc" if name in node.inputs}
    expression = checked_expression(node.literal("value"))
    name = node.add("Formula", expression=expression, whole="cut off", **letters)
    node.give("INT", MadeOutput(name, "integer"))
    node.give("FLOAT", MadeOutput(name, "number"))


def _constant(line: str, native: str, port: str = "value") -> TableEntry:
    signature = parse_signature(line)
    (taken,), ((output, _),) = signature.inputs, signature.outputs
    native_outputs = {"Integer": "number", "Number": "number", "Seed": "number", "Boolean": "value"}
    return same(line, native, {taken.name: port}, {output: native_outputs.get(native, "text")})


_PICTURE = "image: IMAGE, width: INT = 512, height: INT = 512"
_SIZED = "IMAGE, width: INT, height: INT"
_LORA_ROWS = tuple(InputSignature(f"row_{number}", "COMBO") for number in range(1, 25))
_LORAS = parse_signature("X(model: MODEL, clip: CLIP?) -> MODEL, CLIP")

ENTRIES: tuple[TableEntry, ...] = (
    _named("Any Switch (rgthree)", "(any_01: *?, any_02: *?, any_03: *?, any_04: *?) -> *", _any),
    TableEntry(
        Signature("Power Lora Loader (rgthree)", _LORAS.inputs + _LORA_ROWS, _LORAS.outputs), _loras
    ),
    _named("Image Comparer (rgthree)", "(image_a: IMAGE, image_b: IMAGE)", _compare),
    _named("Display Any (rgthree)", "(source: *)", _show("source", "")),
    _constant("INTConstant(value: INT = 0) -> value: INT", "Integer"),
    _constant("FloatConstant(value: FLOAT = 0.0) -> value: FLOAT", "Number"),
    _constant("BOOLConstant(value: BOOLEAN = true) -> value: BOOLEAN", "Boolean"),
    _constant('StringConstant(string: STRING = "") -> STRING', "Text", "text"),
    _constant("easy int(value: INT = 0) -> int: INT", "Integer"),
    _constant("easy float(value: FLOAT = 0.0) -> float: FLOAT", "Number"),
    _constant("easy boolean(value: BOOLEAN = false) -> boolean: BOOLEAN", "Boolean"),
    _constant('easy string(value: STRING = "") -> string: STRING', "Text", "text"),
    _constant('Text Multiline(text: STRING = "") -> STRING', "Text", "text"),
    entry("ShowText|pysssss(text: *) -> STRING", _show("text", "STRING")),
    TableEntry(
        parse_signature(
            f'ImageResizeKJv2({_PICTURE}, upscale_method: COMBO = "nearest-exact", '
            'keep_proportion: COMBO = "stretch", pad_color: STRING = "0, 0, 0", '
            'crop_position: COMBO = "center", divisible_by: INT = 2, mask: MASK?, '
            f'device: COMBO = "cpu") -> {_SIZED}, mask: MASK'
        ),
        _resize("upscale_method", "keep_proportion", "divisible_by"),
    ),
    TableEntry(
        parse_signature(
            f'ImageResize+({_PICTURE}, interpolation: COMBO = "nearest", '
            'method: COMBO = "stretch", condition: COMBO = "always", multiple_of: INT = 0) '
            f"-> {_SIZED}"
        ),
        _resize("interpolation", "method", "multiple_of"),
    ),
    same(
        "GetImageSize+(image: IMAGE) -> width: INT, height: INT, count: INT",
        "ImageSize",
        outputs={"count": "batch"},
    ),
    TableEntry(
        parse_signature('SimpleMath+(value: STRING = "0", a: *?, b: *?, c: *?) -> INT, FLOAT'),
        _math,
    ),
    *PACK_MEDIA_ENTRIES,
    *PREPROCESSOR_ENTRIES,
)
