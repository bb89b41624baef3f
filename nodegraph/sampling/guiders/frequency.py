"""Frequency-decoupled guidance: a scale for the composition and another one for details."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.families.model_step import Moment, Side
from nodegraph.sampling.guiders.base import GuidedModel, StatelessGuider

_ROW = (1.0, 4.0, 6.0, 4.0, 1.0)
"""Binomial weights, as Laplacian pyramids are made with. Source: Burt & Adelson 1983."""


@dataclass(frozen=True, slots=True)
class FrequencyGuidance(StatelessGuider):
    """Classifier-free guidance, level by level of a Laplacian pyramid.

    Source: Sadat et al. 2025, arXiv:2506.19713, algorithm 2.

    Attributes:
        guided_model: What it is begun for; its scale is that of low frequencies.
        high_cfg: Scale of high frequencies: details, edges.
        levels: Of the pyramid, at least 2; all but the last have the scale of high frequencies.
    """

    guided_model: GuidedModel
    high_cfg: float
    levels: int = 2

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """Both."""
        return self.guided_model.both_sides()

    def combine(self, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """The levels, each guided by its scale, put together again."""
        towards, away = (pyramid(outputs[name], self.levels) for name in ("positive", "negative"))
        scales = [self.high_cfg] * (len(away) - 1) + [self.guided_model.scale(moment)]
        levels = [
            base + scale * (top - base)
            for top, base, scale in zip(towards, away, scales, strict=True)
        ]
        return reconstruct(levels)


def pyramid(x: Tensor, levels: int) -> list[Tensor]:
    """What is lost from level to level as a picture is halved, and what is left in the end.

    Args:
        x: Shape (…, height, width).
        levels: At most; it ends sooner where a side would go below 4.
    Returns:
        The finest first; `built` gives the picture again.
    """
    details: list[Tensor] = []
    while len(details) < levels - 1 and min(x.shape[-2:]) >= 2 * _LEAST:
        smaller = _resized(_blurred(x), x.shape[-2] // 2, x.shape[-1] // 2)
        details.append(x - _enlarged(smaller, x))
        x = smaller
    return [*details, x]


_LEAST = 4
"""Cells that a side of a level has at least, as the blur looks two further."""


def reconstruct(levels: list[Tensor]) -> Tensor:
    """The picture that a pyramid is of."""
    picture = levels[-1]
    for level in reversed(levels[:-1]):
        picture = _enlarged(picture, level) + level
    return picture


def _enlarged(x: Tensor, like: Tensor) -> Tensor:
    return _blurred(_resized(x, *like.shape[-2:]))


def _resized(x: Tensor, height: int, width: int) -> Tensor:
    flat = x.flatten(0, -4) if x.ndim > 4 else x
    sized = functional.interpolate(flat, (height, width), mode="bilinear", align_corners=False)
    return sized.reshape(*x.shape[:-2], height, width)


def _blurred(x: Tensor) -> Tensor:
    row = torch.tensor(_ROW, dtype=x.dtype, device=x.device) / sum(_ROW)
    flat = x.reshape(-1, 1, *x.shape[-2:])
    padded = functional.pad(flat, (2, 2, 2, 2), mode="reflect")
    return functional.conv2d(padded, torch.outer(row, row)[None, None]).reshape(x.shape)
