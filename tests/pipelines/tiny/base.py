"""What all tiny pipelines are described by, and what goes into them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

WIDTH = 32
"""Of text encoders and of what attends to them."""
SIDE = 32
"""Of images, in pixels."""
LENGTH = 16
"""Tokens of a prompt."""

TEXT = {"prompt": "a red bird", "num_inference_steps": 2}
SIZED = {**TEXT, "height": SIDE, "width": SIDE}
SHORT = {"max_sequence_length": LENGTH}


@dataclass(frozen=True)
class Tiny:
    """A pipeline, and the arguments of one short call.

    Attributes:
        besides: Parts that diffusers forgets to save with it.
    """

    pipeline: Any
    call: dict[str, Any] = field(default_factory=dict)
    besides: dict[str, Any] = field(default_factory=dict)


def picture(seed: int = 0, side: int = SIDE) -> Image.Image:
    """A smooth random image."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def mask() -> Image.Image:
    """The right half is to be painted."""
    return Image.fromarray(np.repeat(np.repeat(np.uint8([[0, 255]]), SIDE, 0), SIDE // 2, 1))


def clip(frames: int) -> list[Image.Image]:
    """Images that follow each other."""
    return [picture(seed) for seed in range(frames)]
