"""Which Depth Anything a file of its authors' holds, by its tensors' names and shapes.

Imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from nodegraph.families.foreground_architectures import Shapes, plain_name

DEPTH_ANYTHING = "DepthAnythingForDepthEstimation"
"""Its class in transformers."""
METRIC = "metric"
"""Option of recipes: it tells how far things are, not how near. Files of both are alike but for
their names."""
PATCH = 14
_EYES, _HEAD = "pretrained.", "depth_head."
_LAYERS: Mapping[int, tuple[int, ...]] = MappingProxyType(
    {12: (3, 6, 9, 12), 24: (5, 12, 18, 24), 40: (10, 20, 30, 40)}
)
"""Whose features the head takes, by how many there are, of V2 (arXiv:2406.09414)."""

PREPARATION: Mapping[str, Any] = MappingProxyType(
    {
        "image_processor_type": "DPTImageProcessor",
        "size": {"height": 518, "width": 518},
        "keep_aspect_ratio": True,
        "ensure_multiple_of": PATCH,
        "resample": 3,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }
)
"""As in its folders for transformers."""


@dataclass(frozen=True)
class DepthShape:
    """What tells one Depth Anything from another.

    Attributes:
        width: Channels of its DINOv2.
        layers: Of that one.
        side: Of the pictures that it was trained on, in pixels.
        gated: Whether its layers are those of the largest one.
        masked: Whether what DINOv2 was trained with is left in it.
        necks: Channels that its features are brought to.
        fused, head: Channels of what they are fused to, and before the last convolution.
    """

    width: int
    layers: int
    side: int
    gated: bool
    masked: bool
    necks: tuple[int, ...]
    fused: int
    head: int

    @property
    def stages(self) -> tuple[int, ...]:
        """Numbers of the layers whose features the head takes, counted from 1."""
        even = tuple(self.layers * part // 4 for part in (1, 2, 3, 4))
        return _LAYERS.get(self.layers, even)


def depth_shape(shapes: Shapes) -> DepthShape | None:
    """The Depth Anything that tensors of these names and shapes are of; None of all else."""
    plain = {plain_name(name): tuple(shape) for name, shape in shapes.items()}
    try:
        places = plain[f"{_EYES}pos_embed"][1]
        return DepthShape(
            width=plain[f"{_EYES}cls_token"][-1],
            layers=sum(_is_layer(name) for name in plain),
            side=PATCH * math.isqrt(places - 1),
            gated=f"{_EYES}blocks.0.mlp.w12.weight" in plain,
            masked=f"{_EYES}mask_token" in plain,
            necks=tuple(plain[f"{_HEAD}projects.{at}.weight"][0] for at in range(4)),
            fused=plain[f"{_HEAD}scratch.layer1_rn.weight"][0],
            head=plain[f"{_HEAD}scratch.output_conv2.0.weight"][0],
        )
    except (KeyError, IndexError):
        return None


def _is_layer(name: str) -> bool:
    return name.startswith(f"{_EYES}blocks.") and name.endswith(".attn.qkv.weight")


def is_depth(shapes: Shapes) -> bool:
    """Whether tensors are of a Depth Anything as its authors name them."""
    return depth_shape(shapes) is not None
