"""FreeU in UNets of diffusers."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from diffusers.utils.torch_utils import fourier_filter
from torch import Tensor

from nodegraph.diffusion.speed.freeu import FreeUFactors

_LOW = 1
"""Frequencies on both sides of none that count as low."""


def apply_freeu(unet: Any, freeu: FreeUFactors) -> None:
    """Let a UNet compute with FreeU.

    Args:
        unet: Of diffusers; its own blocks are changed, not its weights.
    """
    if freeu.version == "diffusers":
        unet.enable_freeu(s1=freeu.s1, s2=freeu.s2, b1=freeu.b1, b2=freeu.b2)
        return
    first, *_, below = unet.config.block_out_channels
    factors = {4 * first: (freeu.b1, freeu.s1), 2 * first: (freeu.b2, freeu.s2)}
    for block in unet.up_blocks:
        for layer in block.resnets:
            if below in factors:
                hook = partial(_changed, below=below, by=factors[below], version=freeu.version)
                layer.register_forward_pre_hook(hook)
            below = layer.out_channels


def _changed(
    _: Any, given: tuple[Any, ...], *, below: int, by: tuple[float, float], version: str
) -> tuple[Any, ...]:
    """What a layer takes, with FreeU; it comes as features from below and from across in one.

    Args:
        below: Channels of those from below, which are the first.
        by: Factors b and s.
    """
    features: Tensor = given[0]
    from_below, across = features[:, :below], features[:, below:]
    half = below // 2
    factor = by[0] if version == "v1" else 1 + (by[0] - 1) * _strength(from_below)
    strengthened = (from_below[:, :half] * factor).to(features.dtype)
    filtered = fourier_filter(across, threshold=_LOW, scale=by[1])
    return torch.cat((strengthened, from_below[:, half:], filtered), dim=1), *given[1:]


def _strength(features: Tensor) -> Tensor:
    """Where features are strong, 0..1 in each item: their mean over the channels."""
    mean = features.mean(1, keepdim=True)
    low, high = mean.amin((1, 2, 3), keepdim=True), mean.amax((1, 2, 3), keepdim=True)
    spread = high - low
    return torch.where(spread > 0, (mean - low) / spread, torch.zeros_like(mean))
