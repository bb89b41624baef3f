"""Pictures of people's poses, as control networks for poses were trained on them."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

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
