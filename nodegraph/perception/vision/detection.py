"""Detect objects, text-described regions and poses in images."""

from __future__ import annotations

import colorsys
import json
import math
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from nodegraph.core.context import Context
from nodegraph.errors import InvalidValue
from nodegraph.families.helper_networks import ONNX_DETECTOR
from nodegraph.media.images.inpainting import box_pixels, region_around
from nodegraph.media.images.mask_morphology import dilate_mask
from nodegraph.media.images.masks import boxes_mask
from nodegraph.media.images.regions import Region
from nodegraph.perception.vision.onnx_detection import Detection, detect_with_onnx
from nodegraph.perception.vision.segmentation import (
    Boxes,
    check_task,
    image_processor,
    label_indices,
    preprocess,
    resize_for_sam2,
    scaled,
)
from nodegraph.perception.vision.vision_model import VisionModel

Joint = tuple[float, float] | None
"""x and y in pixels; None where it can't be seen."""

COCO = 17
"""Joints of a person, as datasets have them: nose, eyes, ears, shoulders, elbows, wrists, hips,
knees and ankles, of each pair the left first."""
_ORDER = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
"""Which of those is drawn in which color; the second is the neck, between the shoulders."""
_SHOULDERS = (5, 6)
_LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12),
    (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
"""Source, with colors, sizes and dimming: Cao et al. 2019, arXiv:1812.08008, as images for
ControlNet were made, Zhang et al. 2023, arXiv:2302.05543."""
_RADIUS, _SIDE, _DIMMED, _CORNERS = 4, 512, 0.6, 36


def draw_skeletons(
    people: Sequence[Sequence[Joint]], width: int, height: int, thickness: float = 1.0
) -> Tensor:
    """An image of people's joints and limbs on black.

    Args:
        people: `COCO` joints of each.
        thickness: Of limbs and joints; 1 is 8 pixels where the shorter side has 512.
    Returns:
        (1, height, width, 3), 0..1.
    """
    picture = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(picture)
    radius = max(thickness * _RADIUS * min(width, height) / _SIDE, 0.5)
    drawn = [_joints(joints) for joints in people]
    for joints in drawn:
        for at, (begin, end) in enumerate(_LIMBS):
            first, second = joints[begin], joints[end]
            if first is not None and second is not None:
                draw.polygon(_limb(first, second, radius), fill=_color(at, _DIMMED))
    for joints in drawn:
        for at, joint in enumerate(joints):
            if joint is not None:
                x, y = joint
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_color(at))
    return torch.from_numpy(np.asarray(picture, np.float32) / 255)[None]


def _joints(joints: Sequence[Joint]) -> list[Joint]:
    """Those that are drawn, in the order of their colors."""
    left, right = (joints[at] for at in _SHOULDERS)
    neck = (
        None
        if left is None or right is None
        else ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2)
    )
    return [neck if at is None else joints[at] for at in _ORDER]


def _limb(
    first: tuple[float, float], second: tuple[float, float], radius: float
) -> list[tuple[float, float]]:
    """An ellipse from one joint to the other."""
    x, y = (first[0] + second[0]) / 2, (first[1] + second[1]) / 2
    across, down = second[0] - first[0], second[1] - first[1]
    half = max(math.hypot(across, down) / 2, 0.5)
    cosine, sine = across / (2 * half), down / (2 * half)
    turns = (2 * math.pi * at / _CORNERS for at in range(_CORNERS))
    places = ((half * math.cos(turn), radius * math.sin(turn)) for turn in turns)
    return [
        (x + along * cosine - aside * sine, y + along * sine + aside * cosine)
        for along, aside in places
    ]


def _color(at: int, brightness: float = 1.0) -> tuple[int, int, int]:
    """Hues go round in as many steps as there are joints."""
    red, green, blue = colorsys.hsv_to_rgb(at / len(_ORDER), 1, 1)
    return (
        round(255 * red * brightness),
        round(255 * green * brightness),
        round(255 * blue * brightness),
    )


@torch.inference_mode()
def draw_poses(
    ctx: Context,
    model: VisionModel,
    image: Tensor,
    boxes: Boxes,
    threshold: float,
    thickness: float,
) -> Tensor:
    """Skeletons of people, on black; by ViTPose.

    Args:
        image: (batch, height, width, channels).
        boxes: x, y, width and height in pixels round a person each; none for one in the whole
            image.
        threshold: How sure the model is to be of a joint, 0..1.
        thickness: See `draw_skeletons`.
    Returns:
        (batch, height, width, 3).
    Raises:
        InvalidValue: The model is for something else, or knows fewer joints; or scipy is missing.
    """
    check_task(model, "pose")
    check_scipy_installed()
    drawn = []
    with ctx.weights(model.model) as component:
        for at, picture in enumerate(image):
            height, width = picture.shape[:2]
            within = boxes or [(0.0, 0.0, float(width), float(height))]
            people = [
                _visible_joints(joints, threshold)
                for joints in _joints_in(component.module, model, picture, within)
            ]
            drawn.append(draw_skeletons(people, width, height, thickness))
            ctx.progress(at + 1, len(image))
    return torch.cat(drawn)


def _joints_in(module: Any, model: VisionModel, picture: Tensor, boxes: Boxes) -> Sequence[Tensor]:
    """Of the person in each box: (joints, 3), x and y in pixels and how sure the model is."""
    pixels = preprocess(model, picture, boxes=[boxes])["pixel_values"]
    experts = module.config.backbone_config.num_experts
    # Of several experts the first was trained on people in images of daily life.
    chosen = {"dataset_index": torch.zeros(len(pixels), dtype=torch.int64)} if experts > 1 else {}
    chosen = {name: value.to(module.device) for name, value in chosen.items()}
    answer = module(pixel_values=pixels.to(module.device, module.dtype), **chosen)
    answer.heatmaps = answer.heatmaps.float().cpu()
    if answer.heatmaps.shape[1] < COCO:
        raise InvalidValue(
            f"this model detects {answer.heatmaps.shape[1]} joints",
            port="model",
            expected=f"a model for the {COCO} joints of COCO",
        )
    [poses] = image_processor(model).post_process_pose_estimation(answer, boxes=[boxes])
    return [
        torch.cat((item["keypoints"], item["scores"].reshape(-1, 1)), 1)[:COCO] for item in poses
    ]


def _visible_joints(joints: Tensor, threshold: float) -> list[Joint]:
    return [(x, y) if sure >= threshold else None for x, y, sure in joints.tolist()]


def check_scipy_installed() -> None:
    """Refuse to find poses where scipy is missing, by which transformers cuts people out.

    Raises:
        InvalidValue: So it is.
    """
    if find_spec("scipy") is None:
        raise InvalidValue(
            "pose detection needs the package scipy, which is not installed",
            hint="Run `pip install 'nodegraph[segment]'`, which includes it.",
        )


TextInputs = Mapping[str, Tensor]
MaskFunction = Callable[[Any, VisionModel, Tensor, TextInputs, float], Tensor]
"""Module, model, image (height, width, channels), words and threshold to (height, width)."""

_TOKENS = 32
"""That SAM 3 reads. Source, with what follows: Carion et al. 2025, arXiv:2511.16719."""
_PREPARED: Mapping[str, Any] = {
    "size": {"height": 1008, "width": 1008},
    "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3,
}


@torch.inference_mode()
def segment_by_text(
    ctx: Context, model: VisionModel, image: Tensor, text: str, threshold: float
) -> Tensor:
    """How much each pixel is of what a text says; by CLIPSeg or SAM 3.

    Args:
        image: (batch, height, width, channels).
        threshold: From which share on it is 1, else 0; 0 leaves the shares. Of SAM 3: how sure it
            is to be of a thing, all of which is then masked.
    Returns:
        0..1, (batch, height, width).
    """
    check_task(model, "text")
    finds_things = model.model.family == "Sam3Model"
    masks: MaskFunction = _things if finds_things else _clipseg_mask
    padding = (
        {"padding": "max_length", "max_length": _TOKENS} if finds_things else {"padding": True}
    )
    found_masks = []
    if model.tokenizer is None:
        words = _clip_tokenizer()([text], truncation=True, return_tensors="pt", **padding)
    else:
        with ctx.weights(model.tokenizer) as tool, tool.lock:
            words = tool.value([text], truncation=True, return_tensors="pt", **padding)
    with ctx.weights(model.model) as component:
        module = component.module
        words = {name: value.to(module.device) for name, value in words.items()}
        for at, picture in enumerate(image):
            found_masks.append(masks(module, model, picture, words, threshold))
            ctx.progress(at + 1, len(image))
    return torch.stack(found_masks)


def _clip_tokenizer() -> Any:
    """What splits texts for SAM 3, where its file brings none.

    Source: transformers, ``models/sam3/convert_sam3_to_hf.py``: the tokenizer of
    openai/clip-vit-base-patch32, which pads with the end of the text.
    """
    from nodegraph.families.building import clip_tokenizer
    from nodegraph.families.vocabulary import MERGES

    return clip_tokenizer(MERGES, "<|endoftext|>")


def _clipseg_mask(
    module: Any, model: VisionModel, picture: Tensor, words: TextInputs, threshold: float
) -> Tensor:
    pixels = preprocess(model, picture)["pixel_values"].to(module.device, module.dtype)
    logits = module(pixel_values=pixels, **words).logits
    planes = logits.reshape(1, 1, *logits.shape[-2:]).float().cpu()
    shares = scaled(planes, _size(picture))[0, 0].sigmoid()
    return (shares >= threshold).float() if threshold > 0 else shares


def _things(
    module: Any, model: VisionModel, picture: Tensor, words: TextInputs, threshold: float
) -> Tensor:
    """All things together that SAM 3 finds."""
    pixels = resize_for_sam2({**_PREPARED, **model.preparation}, picture)
    answer = module(pixel_values=pixels.to(module.device, module.dtype), **words)
    sure = (answer.pred_logits.float().sigmoid() * answer.presence_logits.float().sigmoid())[
        0
    ].cpu()
    wanted = sure > threshold
    if not wanted.any():
        return torch.zeros(_size(picture))
    # Shares are scaled, not logits, as transformers' own processing does it.
    masks = answer.pred_masks[0].float().cpu()[wanted].sigmoid()
    masks = scaled(masks[None], _size(picture))[0]
    if threshold > 0:
        hard: Tensor = (masks > 0.5).any(0)
        return hard.float()
    soft: Tensor = (masks * sure[wanted, None, None]).amax(0)
    return soft


def _size(picture: Tensor) -> tuple[int, int]:
    return picture.shape[0], picture.shape[1]


@torch.inference_mode()
def detect_objects(
    ctx: Context, model: VisionModel, image: Tensor, labels: str, threshold: float, max_boxes: int
) -> list[list[Detection]]:
    """Objects of some classes; by RT-DETR, D-FINE, YOLOS, DETR, and YOLO models in ONNX files.

    Args:
        image: (batch, height, width, channels).
        labels: Names of classes that the model knows, with commas between them; empty for all.
        threshold: Minimum confidence, 0..1.
        max_boxes: Objects in an image, at most.
    Returns:
        Objects of each image, the surest first.
    Raises:
        InvalidValue: The model is for something else, or doesn't know a class.
    """
    check_task(model, "boxes")
    wanted = label_indices(model, labels) if labels.strip() else None
    if model.model.family == ONNX_DETECTOR:
        names = None if wanted is None else {model.labels[index] for index in wanted}
        detections = []
        for at, picture in enumerate(image):
            every = detect_with_onnx(model, picture, ctx.device, threshold)
            detections.append([each for each in every if names is None or each.label in names])
            ctx.progress(at + 1, len(image))
        return [each[:max_boxes] for each in detections]
    detections = []
    with ctx.weights(model.model) as component:
        for at, picture in enumerate(image):
            answer = _answer(component.module, model, picture, threshold)
            detections.append(_select_objects(answer, wanted, max_boxes, picture, model.labels))
            ctx.progress(at + 1, len(image))
    return detections


def detection_boxes(detections: Sequence[Detection]) -> Boxes:
    """Boxes of objects: x, y, width and height in pixels."""
    return [detection.box for detection in detections]


def detections_mask(detections: Sequence[Sequence[Detection]], image: Tensor) -> Tensor:
    """What is in the boxes of objects, 0..1, (batch, height, width)."""
    height, width = image.shape[1:3]
    masks = [
        boxes_mask((width, height), detection_boxes(each), each=False)[0]
        if each
        else torch.zeros(height, width)
        for each in detections
    ]
    return torch.stack(masks)


def detect_regions(
    ctx: Context,
    model: VisionModel,
    image: Tensor,
    labels: str,
    threshold: float,
    max_boxes: int,
    *,
    grow: int,
    factor: float,
    smallest: int,
) -> tuple[list[Region], Tensor]:
    """Regions around the objects in one image, and a mask of all of them, (1, height, width).

    Args:
        image: (1, height, width, channels).
        grow: Side of the square in pixels by which masks are grown, or shrunk below 0.
        factor: Of the sides of an object's box; the region is so large.
        smallest: Objects whose box has a width or height that is not above it are left out.
    Raises:
        InvalidValue: See `detect_objects`; or there are several images.
    """
    check_single_image(image)
    [detections] = detect_objects(ctx, model, image, labels, threshold, max_boxes)
    size = image.shape[2], image.shape[1]
    regions, joined = [], torch.zeros(1, *image.shape[1:3])
    for detection in detections:
        if min(detection.box[2:]) <= smallest:
            continue
        mask = detection.mask if detection.mask is not None else box_pixels(detection.box, size)
        grown = dilate_mask(mask[None], grow)
        joined = torch.maximum(joined, grown)
        regions.append(
            region_around(grown[0], detection.box, factor, detection.label, detection.score)
        )
    return regions, joined


def check_single_image(image: Tensor) -> None:
    """Refuse batches.

    Raises:
        InvalidValue: It is one of several images.
    """
    if len(image) != 1:
        raise InvalidValue(
            "regions belong to one image",
            port="image",
            given=f"a batch of {len(image)}",
            expected="one image, or a list of images",
            hint="Take one image with ImageFromBatch, or use ForEach.",
        )


def _answer(
    module: Any, model: VisionModel, picture: Tensor, threshold: float
) -> dict[str, Tensor]:
    inputs = {
        name: value.to(module.device, module.dtype if value.is_floating_point() else None)
        for name, value in preprocess(model, picture).items()
        if isinstance(value, Tensor)
    }
    answer = module(**inputs)
    answer.logits, answer.pred_boxes = answer.logits.float().cpu(), answer.pred_boxes.float().cpu()
    [detections] = image_processor(model).post_process_object_detection(
        answer, threshold=threshold, target_sizes=[tuple(picture.shape[:2])]
    )
    things: dict[str, Tensor] = detections
    return things


def _select_objects(
    things: dict[str, Tensor],
    wanted: Sequence[int] | None,
    most: int,
    picture: Tensor,
    labels: Sequence[str],
) -> list[Detection]:
    order = things["scores"].argsort(descending=True, stable=True)
    if wanted is not None:
        order = order[torch.isin(things["labels"][order], torch.tensor(wanted))]
    sides = torch.tensor([picture.shape[1], picture.shape[0]] * 2)
    corners = things["boxes"][order].clamp(min=0).minimum(sides)
    extents = corners[:, 2:] - corners[:, :2]
    kept = (extents > 0).all(1)
    boxes = torch.cat((corners[:, :2], extents), 1)[kept][:most].tolist()
    scores, classes = things["scores"][order][kept].tolist(), things["labels"][order][kept].tolist()
    return [
        Detection((x, y, width, height), score, labels[n] if n < len(labels) else str(n))
        for (x, y, width, height), score, n in zip(boxes, scores, classes, strict=False)
    ]


def boxes_text(boxes: Boxes, width: int, height: int, unit: str = "shares") -> str:
    """Boxes in pixels as a text.

    Args:
        width, height: Of the image, in pixels.
        unit: shares of the image's sides, or pixels.
    """
    sides = (width, height, width, height) if unit == "shares" else (1, 1, 1, 1)
    return json.dumps(
        [[round(part / side, 6) for part, side in zip(box, sides, strict=True)] for box in boxes]
    )
