"""Poses of people."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from nodegraph.core.context import Context
from nodegraph.errors import InvalidValue
from nodegraph.images.skeletons import COCO, Joint, draw_skeletons
from nodegraph.vision.preparing import image_processor, prepared
from nodegraph.vision.segmenting import Boxes, check_task
from nodegraph.vision.values import VisionModel


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
            picture.
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
                _seen(joints, threshold)
                for joints in _joints(component.module, model, picture, within)
            ]
            drawn.append(draw_skeletons(people, width, height, thickness))
            ctx.progress(at + 1, len(image))
    return torch.cat(drawn)


def _joints(module: Any, model: VisionModel, picture: Tensor, boxes: Boxes) -> Sequence[Tensor]:
    """Of the person in each box: (joints, 3), x and y in pixels and how sure the model is."""
    given = prepared(model, picture, boxes=[boxes])["pixel_values"]
    experts = module.config.backbone_config.num_experts
    # Of several experts the first was trained on people in pictures of daily life.
    chosen = {"dataset_index": torch.zeros(len(given), dtype=torch.int64)} if experts > 1 else {}
    chosen = {name: value.to(module.device) for name, value in chosen.items()}
    answer = module(pixel_values=given.to(module.device, module.dtype), **chosen)
    answer.heatmaps = answer.heatmaps.float().cpu()
    if answer.heatmaps.shape[1] < COCO:
        raise InvalidValue(
            f"this model knows {answer.heatmaps.shape[1]} joints",
            port="model",
            expected=f"one that knows the {COCO} of COCO",
        )
    [found] = image_processor(model).post_process_pose_estimation(answer, boxes=[boxes])
    return [
        torch.cat((item["keypoints"], item["scores"].reshape(-1, 1)), 1)[:COCO] for item in found
    ]


def _seen(joints: Tensor, threshold: float) -> list[Joint]:
    return [(x, y) if sure >= threshold else None for x, y, sure in joints.tolist()]


def check_scipy_installed() -> None:
    """Refuse to find poses where scipy is missing, by which transformers cuts people out.

    Raises:
        InvalidValue: So it is.
    """
    if find_spec("scipy") is None:
        raise InvalidValue(
            "poses are found with the package scipy, which isn't installed",
            hint="Run `pip install 'nodegraph[segment]'`, which brings it.",
        )
