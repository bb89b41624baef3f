"""Vision models: depth, segmentation, detection, poses and boxes.

ComfyUI loads detectors as checkpoints; here they are vision models. So a detector is loaded again,
by the name in its checkpoint loader. Boxes are texts here, in the form that MaskFromBoxes reads. A
structured prompt of ComfyUI is a separate value until it becomes a text; here it is always a text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, entry, same
from nodegraph.interop.comfyui.table.parts import model_file_name, refuse_others
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

_SHARES = 1000
"""Places in these prompts are thousandths of an image's sides."""
_STYLES = {
    "photo": ("aesthetics", "lighting", "photo", "medium"),
    "art_style": ("aesthetics", "lighting", "medium", "art_style"),
}
"""What is said of a style, in the order in which the model was trained on it."""


ELEMENTS = "elements"
"""What the text of drawn boxes carries: each box as a prompt has it, as `_element` returns it."""


def elements_text(boxes: Sequence[Mapping[str, Any]], width: float, height: float) -> str:
    """Boxes that were drawn, as the elements of such a prompt.

    Args:
        boxes: Each with ``x``, ``y``, ``width`` and ``height`` in pixels, and ``metadata``.
        width, height: Of the image, in pixels.
    """
    return json.dumps([_element(box, width, height) for box in boxes], ensure_ascii=False)


def _element(box: Mapping[str, Any], width: float, height: float) -> dict[str, Any]:
    left, top = float(box.get("x", 0)), float(box.get("y", 0))
    right, bottom = left + float(box.get("width", 0)), top + float(box.get("height", 0))
    down, across = _SHARES / max(height, 1), _SHARES / max(width, 1)
    places = (top * down, left * across, bottom * down, right * across)
    metadata = box.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    element: dict[str, Any] = {
        "type": metadata.get("type", "obj"),
        "bbox": [min(max(round(coordinate), 0), _SHARES) for coordinate in places],
    }
    if element["type"] == "text":
        element["text"] = metadata.get("text", "")
    element["desc"] = metadata.get("desc", "")
    if metadata.get("palette"):
        element["color_palette"] = metadata["palette"]
    return element


def _prompt(node: Passage) -> None:
    about, style = node.literal("high_level_description"), node.literal("style")
    whole: dict[str, Any] = {"high_level_description": about} if about else {}
    if style in _STYLES:
        names = ((name, f"style.{name}" if name == style else name) for name in _STYLES[style])
        described = {name: node.literal(key) for name, key in names}
        if colors := node.literal("color_palette"):
            described["color_palette"] = colors
        whole["style_description"] = described
    whole["compositional_deconstruction"] = {"background": node.literal("background")}
    # The elements are another node's text, and come last.
    text = json.dumps(whole, ensure_ascii=False).replace("{", "{{").replace("}", "}}")
    template = text.removesuffix("}}}}") + ', "elements": {a}}}}}'
    name = node.add("FormatText", template=template, a=node.inputs["element"])
    node.give("prompt", MadeOutput(name, "text"))


def _flux3_layout(node: Passage) -> None:
    """A prompt and a table of its boxes, as the model was trained on.

    Source: diffusers, ``modular_pipelines/flux3/prompt_upsampler.py``.
    """
    elements = node.inputs["element"].carried.get(ELEMENTS)
    if elements is None:
        raise Untranslatable("the boxes must come directly from a node that draws them")
    rows = [
        {"id": f"obj_{number}", "bbox": element["bbox"], "desc": element["desc"]}
        for number, element in enumerate(elements, 1)
    ]
    if not rows:
        node.give("prompt", node.inputs["prompt"])
        return
    table = json.dumps(rows, ensure_ascii=False).replace("{", "{{").replace("}", "}}")
    name = node.add("FormatText", template=f"{{a}} {table}", a=node.inputs["prompt"])
    node.tell("the table of boxes is a JSON list behind the prompt, as diffusers writes it")
    node.give("prompt", MadeOutput(name, "text"))


def _as_text(node: Passage) -> None:
    value = next(node.inputs[name] for name in ("dictionary", "array") if name in node.inputs)
    if not value.is_link:
        raise Untranslatable("the value to write is not known")
    indent = node.inputs["indent"].content
    node.keep(indent=indent)
    if indent:
        node.tell("nodegraph writes it in one line, without indentation")
    node.give("STRING", value)


STRUCTURED_PROMPT_ENTRIES: tuple[TableEntry, ...] = (
    entry(
        'BuildJsonPromptIdeogram(element: ARRAY, high_level_description: STRING = "", '
        'background: STRING = "", style: COMBO = "none", style.photo: STRING = "" @when(photo), '
        'style.art_style: STRING = "" @when(art_style), aesthetics: STRING = "", '
        'lighting: STRING = "", medium: STRING = "", color_palette: COMBO = []) -> prompt: DICT',
        _prompt,
    ),
    entry(
        'Flux3LayoutPrompt(prompt: STRING = "" @prompt, element: ARRAY) -> prompt: STRING',
        _flux3_layout,
    ),
    entry("ConvertDictionaryToString(dictionary: DICT, indent: INT = 0) -> STRING", _as_text),
    entry("ConvertArrayToString(array: ARRAY, indent: INT = 0) -> STRING", _as_text),
)


_LOADERS = {"LoadModel": "model", "LoadDiffusionModel": "model", "LoadVisionModel": "model"}
_PROMPTS = {"EncodePrompt": "text"}
_FIELDS = ("x", "y", "width", "height")


def _vision_model(node: Passage) -> MadeOutput:
    """The vision model of the file that a node's model is of."""
    kind, inputs = node.behind("model")
    if kind not in _LOADERS:
        raise Untranslatable("its model must come directly from its loader")
    name = node.add("LoadVisionModel", model=inputs.get(_LOADERS[kind], ""))
    return MadeOutput(name, "vision_model")


def _boxes_of(node: Passage, mask: MadeOutput) -> MadeOutput:
    """The box of a mask, as text."""
    box = node.add("MaskBounds", mask=mask)
    sides = {letter: MadeOutput(box, port) for letter, port in zip("abcd", _FIELDS, strict=True)}
    name = node.add("FormatText", template="[[{a}, {b}, {c}, {d}]]", **sides)
    return MadeOutput(name, "text")


def _find_by_text(node: Passage, text: Any) -> None:
    name = node.add(
        "SegmentByText",
        model=_vision_model(node),
        image=node.inputs["image"],
        text=text,
        threshold=node.inputs["threshold"],
    )
    mask = MadeOutput(name, "mask")
    node.give("masks", mask)
    node.give("bboxes", _boxes_of(node, mask))
    node.tell("nodegraph returns everything found as one mask with one box")


def _sam3(node: Passage) -> None:
    kind, inputs = node.behind("conditioning")
    if kind not in _PROMPTS:
        raise Untranslatable("its search text must come directly from a prompt")
    kept = ("refine_iterations", "individual_masks")
    node.keep(**{name: node.inputs[name].content for name in kept if not node.inputs[name].is_link})
    _find_by_text(node, inputs.get(_PROMPTS[kind], ""))


def _detect(node: Passage) -> None:
    node.tell("detectors are transformers folders in nodegraph: RT-DETR, D-FINE or YOLOS")
    named = node.inputs["class_name"]
    name = node.add(
        "DetectThings",
        model=_vision_model(node),
        image=node.inputs["image"],
        labels="" if named.content == "all" else named,
        threshold=node.inputs["threshold"],
        most=node.inputs["max_detections"],
        unit="pixels",
    )
    node.give("bboxes", MadeOutput(name, "boxes"))


def _pose(node: Passage) -> None:
    node.tell("SDPose is not supported: use ViTPose instead, which draws only the body")
    boxes = node.inputs.get("bboxes")
    name = node.add(
        "EstimatePose",
        model=_vision_model(node),
        image=node.inputs["image"],
        boxes=boxes,
        unit="pixels" if boxes is not None else None,
    )
    node.give("keypoints", MadeOutput(name, "image"))


def _draw_pose(node: Passage) -> None:
    node.give("IMAGE", node.inputs["keypoints"])


def _draw_boxes(node: Passage) -> None:
    image: Any = node.inputs.get("image") or MadeOutput(node.add("EmptyImage"), "image")
    name = node.add("DrawBoxes", image=image, boxes=node.inputs["bboxes"], unit="pixels")
    node.give("out_image", MadeOutput(name, "image"))


def _draw_boxes_back(node: Passage) -> None:
    refuse_others(node, {"unit": "pixels", "labels": ""})
    name = node.add("DrawBBoxes", image=node.inputs["image"], bboxes=node.inputs["boxes"])
    node.give("image", MadeOutput(name, "out_image"))


def _create_boxes(node: Passage) -> None:
    drawn = node.inputs["editor_state"].content
    items = [item for item in drawn if isinstance(item, dict)] if isinstance(drawn, list) else []
    boxes = [[item.get(name, 0) for name in _FIELDS] for item in items]
    text = node.add("Text", text=json.dumps(boxes))
    node.keep(editor_state=drawn)
    picture: Any = node.inputs.get("background")
    if picture is None:
        size = {side: node.inputs[side] for side in ("width", "height")}
        picture = MadeOutput(node.add("EmptyImage", **size), "image")
    shown = node.add("DrawBoxes", image=picture, boxes=MadeOutput(text, "text"), unit="pixels")
    node.give("preview", MadeOutput(shown, "image"))
    node.give("bboxes", MadeOutput(text, "text"))
    try:
        width, height = (float(node.literal(side)) for side in ("width", "height"))
    except Untranslatable:  # the boxes' shares of an image whose size isn't known yet
        return
    elements_node = node.add("Text", text=elements_text(items, width, height))
    elements = [_element(item, width, height) for item in items]
    node.give("elements", Signal(MadeOutput(elements_node, "text"), {ELEMENTS: elements}))


BY_TEXT = "by_text"
"""The text for a detector that reads one, and its link."""
_CLIPSEG = "CIDAS/clipseg-rd64-refined"
_SAM_FOLDERS = {
    "sam_hq_vit_b": "syscv-community/sam-hq-vit-base",
    "sam_hq_vit_l": "syscv-community/sam-hq-vit-large",
    "sam_hq_vit_h": "syscv-community/sam-hq-vit-huge",
    "sam_vit_b": "facebook/sam-vit-base",
    "sam_vit_l": "facebook/sam-vit-large",
    "sam_vit_h": "facebook/sam-vit-huge",
}
"""By parts of the names of its authors' files, which have the same weights."""


def _detector_model(node: Passage) -> None:
    name = model_file_name(node, "model_name")
    if name.endswith((".pt", ".pth")):
        exported = f"{name.rpartition('.')[0]}.onnx"
        node.tell(
            f"nodegraph reads detectors from ONNX files: export {name} to {exported} with "
            f"`yolo export model={name.rpartition('/')[2]} format=onnx`"
        )
        name = exported
    model = MadeOutput(node.add("LoadVisionModel", model=name), "vision_model")
    node.keep(model_name=node.inputs["model_name"].content)
    for output in ("BBOX_DETECTOR", "SEGM_DETECTOR", "ONNX_DETECTOR"):
        node.give(output, Signal(model))


def _text_detector(node: Passage) -> None:
    model = MadeOutput(node.add("LoadVisionModel", model=_CLIPSEG), "vision_model")
    node.keep(blur=node.inputs["blur"].content)
    node.tell("nodegraph does not blur the result of CLIPSeg")
    names = ("text", "threshold", "dilation_factor")
    by_text = {name: node.inputs[name] for name in names}
    node.give("BBOX_DETECTOR", Signal(model, {BY_TEXT: by_text}))


def _sam_model(node: Passage) -> None:
    name = model_file_name(node, "model_name")
    if name == "ESAM":
        raise Untranslatable("nodegraph has no Efficient SAM: use a folder of SAM or SAM 2")
    folder = next((own for part, own in _SAM_FOLDERS.items() if part in name), None)
    is_read = name.endswith(".safetensors") and "sam_hq" not in name
    if folder is not None and name.endswith((".pth", ".pt", ".safetensors")) and not is_read:
        node.tell(f"nodegraph reads {folder}, a folder of transformers, which holds {name}")
        node.keep(model_name=name)
        name = folder
    model = node.add("LoadVisionModel", model=name)
    node.give("SAM_MODEL", MadeOutput(model, "vision_model"))


DETECTION_ENTRIES: tuple[TableEntry, ...] = (
    entry(
        'UltralyticsDetectorProvider(model_name: COMBO = "bbox/face_yolov8m.pt") '
        "-> BBOX_DETECTOR, SEGM_DETECTOR",
        _detector_model,
    ),
    entry('ONNXDetectorProvider(model_name: COMBO = "") -> BBOX_DETECTOR', _detector_model),
    entry(
        'CLIPSegDetectorProvider(text: STRING = "", blur: FLOAT = 7.0, threshold: FLOAT = 0.4, '
        "dilation_factor: INT = 4) -> BBOX_DETECTOR",
        _text_detector,
    ),
    entry(
        'SAMLoader(model_name: COMBO = "sam_vit_b_01ec64.pth", device_mode: COMBO = "AUTO") '
        "-> SAM_MODEL",
        _sam_model,
    ),
    entry(
        "SAM3_Detect(model: MODEL, image: IMAGE, conditioning: CONDITIONING?, "
        "bboxes: BOUNDING_BOX?, positive_coords: *?, negative_coords: *?, "
        "threshold: FLOAT = 0.5, refine_iterations: INT = 2, individual_masks: BOOLEAN = false) "
        "-> masks: MASK, bboxes: BOUNDING_BOX",
        _sam3,
    ),
    entry(
        "RTDETR_detect(model: MODEL, image: IMAGE, threshold: FLOAT = 0.5, "
        'class_name: COMBO = "all", max_detections: INT = 100) -> bboxes: BOUNDING_BOX',
        _detect,
    ),
    entry(
        "SDPoseKeypointExtractor(model: MODEL, vae: VAE, image: IMAGE, bboxes: BOUNDING_BOX?, "
        "batch_size: INT = 16) -> keypoints: POSE_KEYPOINT",
        _pose,
    ),
    entry(
        "SDPoseDrawKeypoints(keypoints: POSE_KEYPOINT, draw_body: BOOLEAN = true, "
        "draw_hands: BOOLEAN = true, draw_face: BOOLEAN = true, draw_feet: BOOLEAN = false, "
        "stick_width: INT = 4, face_point_size: INT = 3, score_threshold: FLOAT = 0.3, "
        "draw_head: BOOLEAN = true) -> IMAGE",
        _draw_pose,
    ),
    entry(
        "DrawBBoxes(image: IMAGE?, bboxes: BOUNDING_BOX) -> out_image: IMAGE",
        _draw_boxes,
        "DrawBoxes",
        _draw_boxes_back,
    ),
    entry(
        "CreateBoundingBoxes(background: IMAGE?, bboxes: *?, width: INT = 1024, "
        "height: INT = 1024, editor_state: COMBO?) "
        "-> preview: IMAGE, bboxes: BOUNDING_BOX, elements: ARRAY",
        _create_boxes,
    ),
)


_TURBO = "#30123b #28bceb #a4fc3c #fb7e21 #7a0403"
"""About the colors of the map called turbo."""
_FAR = 0.02
"""Brightness in an image of depths below which things are without end."""
_DTYPES = {"default": "auto", "fp16": "float16", "bf16": "bfloat16", "fp32": "float32"}


def _other_depth(node: Passage) -> None:
    """Models of depth that aren't read here; others say the same."""
    model = node.literal("model_name")
    dtype = _DTYPES.get(str(node.inputs["weight_dtype"].content)) if "DA3" in node.type else None
    name = node.add("LoadVisionModel", model=model, dtype=dtype)
    node.tell(f"{model} is not supported: use a folder of Depth Anything V2 instead, for example")
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
        raise Untranslatable(f"the output `{node.literal('output')}` is not supported")
    node.give("IMAGE", node.inputs["da3_geometry"])


def _moge_render(node: Passage) -> None:
    output, depth = str(node.literal("output")), node.inputs["moge_geometry"]
    if output == "depth":
        node.give("IMAGE", depth)
    elif output == "depth_colored":
        name = node.add("GradientMap", image=depth, colors=_TURBO)
        node.give("IMAGE", MadeOutput(name, "image"))
    elif output.startswith("normal"):
        node.tell("nodegraph computes normals from the depth, which is less exact")
        green = "up" if output.endswith("opengl") else "down"
        node.give("IMAGE", MadeOutput(node.add("NormalMap", image=depth, green=green), "image"))
    elif output == "mask":
        node.tell("nodegraph takes the farthest depth as having no depth, which is less exact")
        near = node.add("ThresholdImage", image=depth, level=_FAR)
        node.give("IMAGE", MadeOutput(near, "image"))
    else:
        raise Untranslatable(f"the output `{output}` is not supported")


def _marigold(node: Passage) -> None:
    image, kind = node.inputs["image"], node.literal("prediction")
    if kind == "normals":
        node.tell("nodegraph keeps the length of normals and does not scale them to length 1")
        node.give("IMAGE", image)
        return
    if kind == "albedo":
        node.tell(
            "nodegraph converts linear light to sRGB with a gamma of 2.2: dark tones differ "
            "slightly"
        )
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
    *DETECTION_ENTRIES,
    *STRUCTURED_PROMPT_ENTRIES,
)
