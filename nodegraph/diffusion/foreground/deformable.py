"""Deformable convolution in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def deformable_convolution(
    picture: Tensor, weight: Tensor, offsets: Tensor, strengths: Tensor, padding: int
) -> Tensor:
    """A convolution of stride 1 each of whose samples is taken off its place, and weighed.

    Between pixels it is sampled linearly; outside the picture there are zeros. It is sampled in
    float32 whatever the weights are: in half precision places would be pixels off.

    Args:
        picture: (batch, channels, height, width).
        weight: (outputs, channels, k, k).
        offsets: (batch, 2 · k · k, height', width') in pixels: down and right of each tap, tap by
            tap, row by row.
        strengths: (batch, k · k, height', width').
    Returns:
        (batch, outputs, height', width'), those of an ordinary convolution.
    Source: Zhu et al. 2018, arXiv:1811.11168; arguments as of torchvision's deform_conv2d.
    """
    height, width = picture.shape[-2:]
    side, wide = weight.shape[-1], picture.float()
    made = None
    for tap in range(side * side):
        down, right = offsets[:, 2 * tap].float(), offsets[:, 2 * tap + 1].float()
        rows = _numbers(down, -2) + (tap // side - padding) + down
        columns = _numbers(right, -1) + (tap % side - padding) + right
        # To where the outer edges of the first and last pixel are -1 and 1.
        places = torch.stack(((2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1), dim=-1)
        found = functional.grid_sample(
            wide, places, mode="bilinear", padding_mode="zeros", align_corners=False
        )
        found = found.to(picture.dtype) * strengths[:, tap, None]
        part = functional.conv2d(found, weight[:, :, tap // side, tap % side, None, None])
        made = part if made is None else made + part
    assert made is not None
    return made


def _numbers(plane: Tensor, axis: int) -> Tensor:
    """0, 1, … along one axis of (batch, height, width), to be broadcast along the others."""
    count = torch.arange(plane.shape[axis], device=plane.device, dtype=torch.float32)
    return count[:, None] if axis == -2 else count


class DeformableConv(nn.Module):
    """A deformable convolution that finds its offsets and strengths (0 to 2) in the picture."""

    def __init__(self, channels: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self._padding = kernel // 2
        taps = kernel * kernel
        self.offset_conv = nn.Conv2d(channels, 2 * taps, kernel, padding=self._padding)
        self.modulator_conv = nn.Conv2d(channels, taps, kernel, padding=self._padding)
        self.regular_conv = nn.Conv2d(channels, outputs, kernel, padding=self._padding, bias=False)

    def forward(self, picture: Tensor) -> Tensor:
        """(batch, channels, height, width) to (batch, outputs, height, width)."""
        strengths = 2 * self.modulator_conv(picture).sigmoid()
        return deformable_convolution(
            picture,
            self.regular_conv.weight,
            self.offset_conv(picture),
            strengths,
            self._padding,
        )
