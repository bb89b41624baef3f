"""Poses of people: found in pictures, and drawn as control networks for poses know them."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from nodegraph.core.context import Context
from nodegraph.errors import InvalidValue
from nodegraph.perception.vision.preparing import image_processor, preprocess
from nodegraph.perception.vision.segmenting import Boxes, check_task
from nodegraph.perception.vision.values import VisionModel

Joint = tuple[float, float] | None
"""x and y in pixels; None where it can't be seen."""

COCO = 17
"""Joints of a person, as datasets have them: nose, eyes, ears, shoulders, elbows, wrists, hips,
knees and ankles, of each pair the left first."""
_ORDER = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
"""Which of those is drawn in which colour; the second is the neck, between the shoulders."""
_SHOULDERS = (5, 6)
_LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12),
    (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
"""Source, with colours, sizes and dimming: Cao et al. 2019, arXiv:1812.08008, as pictures for
ControlNet were made, Zhang et al. 2023, arXiv:2302.05543."""
_RADIUS, _SIDE, _DIMMED, _CORNERS = 4, 512, 0.6, 36


def draw_skeletons(
    people: Sequence[Sequence[Joint]], width: int, height: int, thickness: float = 1.0
) -> Tensor:
    """A picture of people's joints and limbs on black.

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
    """Those that are drawn, in the order of their colours."""
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
    # Of several experts the first was trained on people in pictures of daily life.
    chosen = {"dataset_index": torch.zeros(len(pixels), dtype=torch.int64)} if experts > 1 else {}
    chosen = {name: value.to(module.device) for name, value in chosen.items()}
    answer = module(pixel_values=pixels.to(module.device, module.dtype), **chosen)
    answer.heatmaps = answer.heatmaps.float().cpu()
    if answer.heatmaps.shape[1] < COCO:
        raise InvalidValue(
            f"this model knows {answer.heatmaps.shape[1]} joints",
            port="model",
            expected=f"one that knows the {COCO} of COCO",
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
            "poses are found with the package scipy, which isn't installed",
            hint="Run `pip install 'nodegraph[segment]'`, which brings it.",
        )
