"""Boxes round things in pictures, and masks of what a text says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from nodegraph.core.context import Context
from nodegraph.media.images.mask_sources import boxes_mask
from nodegraph.perception.vision.preparing import (
    image_processor,
    preprocess,
    resize_for_sam2,
    scaled,
)
from nodegraph.perception.vision.segmenting import Boxes, check_task, label_indices
from nodegraph.perception.vision.values import VisionModel

TextInputs = Mapping[str, Tensor]
MaskFunction = Callable[[Any, VisionModel, Tensor, TextInputs, float], Tensor]
"""Module, model, picture (height, width, channels), words and threshold to (height, width)."""

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
    assert model.tokenizer is not None
    finds_things = model.model.family == "Sam3Model"
    masks: MaskFunction = _things if finds_things else _clipseg_mask
    padding = (
        {"padding": "max_length", "max_length": _TOKENS} if finds_things else {"padding": True}
    )
    found_masks = []
    with ctx.weights(model.tokenizer) as tool, ctx.weights(model.model) as component:
        module = component.module
        with tool.turn:
            words = tool.value([text], truncation=True, return_tensors="pt", **padding)
        words = {name: value.to(module.device) for name, value in words.items()}
        for at, picture in enumerate(image):
            found_masks.append(masks(module, model, picture, words, threshold))
            ctx.progress(at + 1, len(image))
    return torch.stack(found_masks)


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
) -> tuple[list[Boxes], Tensor]:
    """Where things of some classes are; by RT-DETR, D-FINE and YOLOS.

    Args:
        image: (batch, height, width, channels).
        labels: Names of classes that the model knows, with commas between them; empty for all.
        threshold: How sure it is to be of each, 0..1.
        max_boxes: Boxes in a picture, at most.
    Returns:
        For each picture x, y, width and height in pixels of each thing, the surest first; and what
        is in these boxes, 0..1, (batch, height, width).
    Raises:
        InvalidValue: The model is for something else, or doesn't know a class.
    """
    check_task(model, "boxes")
    wanted = torch.tensor(label_indices(model, labels)) if labels.strip() else None
    boxes_by_picture: list[Boxes] = []
    masks = []
    with ctx.weights(model.model) as component:
        for at, picture in enumerate(image):
            answer = _answer(component.module, model, picture, threshold)
            boxes = _select_boxes(answer, wanted, max_boxes, picture)
            boxes_by_picture.append(boxes)
            size = picture.shape[1], picture.shape[0]
            masks.append(
                boxes_mask(size, boxes, each=False)[0] if boxes else torch.zeros(size[::-1])
            )
            ctx.progress(at + 1, len(image))
    return boxes_by_picture, torch.stack(masks)


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


def _select_boxes(
    things: dict[str, Tensor], wanted: Tensor | None, most: int, picture: Tensor
) -> list[tuple[float, float, float, float]]:
    order = things["scores"].argsort(descending=True, stable=True)
    if wanted is not None:
        order = order[torch.isin(things["labels"][order], wanted)]
    sides = torch.tensor([picture.shape[1], picture.shape[0]] * 2)
    corners = things["boxes"][order].clamp(min=0).minimum(sides)
    extents = corners[:, 2:] - corners[:, :2]
    kept = (extents > 0).all(1)
    boxes = torch.cat((corners[:, :2], extents), 1)[kept][:most].tolist()
    return [(x, y, width, height) for x, y, width, height in boxes]


def boxes_text(boxes: Boxes, width: int, height: int, unit: str = "shares") -> str:
    """Boxes in pixels as a text.

    Args:
        width, height: Of the picture, in pixels.
        unit: shares of the picture's sides, or pixels.
    """
    sides = (width, height, width, height) if unit == "shares" else (1, 1, 1, 1)
    return json.dumps(
        [[round(part / side, 6) for part, side in zip(box, sides, strict=True)] for box in boxes]
    )
