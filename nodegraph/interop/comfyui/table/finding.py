"""Things and people found in pictures, and boxes round them.

Detectors there are checkpoints like any other; here they are vision models. So they are opened
anew by the name that the checkpoint's loader has. Boxes are texts here, as MaskFromBoxes reads
them.
"""

from __future__ import annotations

import json
from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, entry
from nodegraph.interop.comfyui.table.parts import refuse_others
from nodegraph.interop.comfyui.table.structured import elements_text
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Untranslatable

_LOADERS = {"LoadModel": "model", "LoadDiffusionModel": "model", "LoadVisionModel": "model"}
_PROMPTS = {"EncodePrompt": "text"}
_FIELDS = ("x", "y", "width", "height")


def _vision_model(node: Passage) -> MadeOutput:
    """The vision model of the file that a node's model is of."""
    kind, inputs = node.behind("model")
    if kind not in _LOADERS:
        raise Untranslatable("its model has to come right from what opens it")
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
    node.tell("all that is found is one mask here, and has one box")


def _sam3(node: Passage) -> None:
    kind, inputs = node.behind("conditioning")
    if kind not in _PROMPTS:
        raise Untranslatable("what it is to find has to come right from a prompt")
    kept = ("refine_iterations", "individual_masks")
    node.keep(**{name: node.inputs[name].given for name in kept if not node.inputs[name].is_link})
    _find_by_text(node, inputs.get(_PROMPTS[kind], ""))


def _detect(node: Passage) -> None:
    node.tell("detectors are folders of transformers here: RT-DETR's, D-FINE's or YOLOS's")
    named = node.inputs["class_name"]
    name = node.add(
        "DetectThings",
        model=_vision_model(node),
        image=node.inputs["image"],
        labels="" if named.given == "all" else named,
        threshold=node.inputs["threshold"],
        most=node.inputs["max_detections"],
        unit="pixels",
    )
    node.give("bboxes", MadeOutput(name, "boxes"))


def _pose(node: Passage) -> None:
    node.tell("SDPose isn't read here: take ViTPose for it, which draws the body alone")
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
    drawn = node.inputs["editor_state"].given
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
    except Untranslatable:  # the boxes' shares of a picture whose size isn't known yet
        return
    elements_node = node.add("Text", text=elements_text(items, width, height))
    node.give("elements", MadeOutput(elements_node, "text"))


DETECTION_ENTRIES: tuple[TableEntry, ...] = (
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
