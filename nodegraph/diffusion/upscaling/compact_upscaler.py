"""The plain convolutional upscaler that many published files are of, built from its tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

_FIRST, _SLOPES = "body.0.weight", "body.1.weight"


@dataclass(frozen=True)
class CompactShape:
    """What tells one such network from another.

    Attributes:
        channels: Of the pictures that it takes.
        outputs: Of those that it gives.
        width: Channels within.
        layers: Convolutions between the first and the last.
        scale: How many times larger its pictures are.
    """

    channels: int
    outputs: int
    width: int
    layers: int
    scale: int


class CompactUpscaler(nn.Module):
    """3 x 3 convolutions at the size of what it is given, and one shuffle of channels into pixels.

    What it learns is the difference to the picture made larger by repeating its pixels. Its tensors
    are named as in published files of this kind (Real-ESRGAN's "compact" models, SRVGGNetCompact).
    Source: Wang et al. 2021, arXiv:2107.10833, and its repository's network of that name; the
    shuffle is Shi et al. 2016, arXiv:1609.05158.
    """

    def __init__(self, shape: CompactShape) -> None:
        super().__init__()
        self.shape = shape
        width, last = shape.width, shape.outputs * shape.scale**2
        layers: list[nn.Module] = [nn.Conv2d(shape.channels, width, 3, padding=1), nn.PReLU(width)]
        for _ in range(shape.layers):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.PReLU(width)]
        self.body = nn.Sequential(*layers, nn.Conv2d(width, last, 3, padding=1))

    def forward(self, picture: Tensor) -> Tensor:
        """(batch, channels, height, width), 0..1, to `scale` times the height and width."""
        scale = self.shape.scale
        difference = functional.pixel_shuffle(self.body(picture), scale)
        return difference + functional.interpolate(picture, scale_factor=scale, mode="nearest")


def is_compact(shapes: Mapping[str, Sequence[int]]) -> bool:
    """Whether a file's tensors, by name, are of such a network."""
    return compact_shape(shapes) is not None


def compact_shape(shapes: Mapping[str, Sequence[int]]) -> CompactShape | None:
    """The network that tensors of these names and shapes are of; None if they are of another."""
    first, slopes = shapes.get(_FIRST), shapes.get(_SLOPES)
    numbers = [_number(name) for name in shapes]
    if first is None or slopes is None or None in numbers or len(first) != 4 or len(slopes) != 1:
        return None
    last = max(number for number in numbers if number is not None)
    bias = shapes.get(f"body.{last}.bias")
    if bias is None or len(bias) != 1 or last % 2:
        return None
    channels = first[1]
    for outputs in (channels, 3, 1):
        scale = math.isqrt(bias[0] // outputs)
        if scale >= 1 and outputs * scale**2 == bias[0]:
            return CompactShape(channels, outputs, first[0], (last - 2) // 2, scale)
    return None


def _number(name: str) -> int | None:
    """Of the layer that a tensor belongs to."""
    parts = name.split(".")
    known = len(parts) == 3 and parts[0] == "body" and parts[2] in ("weight", "bias")
    return int(parts[1]) if known and parts[1].isdecimal() else None
