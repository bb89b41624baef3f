"""Guidance that makes a prediction no longer than the prompt's own. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodegraph.weights.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def norm_preserving_guidance(towards: Tensor, away: Tensor, cfg: float) -> Tensor:
    """What two outputs add up to, each vector along the last axis as long as in the first.

    Source: Lin et al. 2024, arXiv:2305.08891, section 3.4, with the norm in place of the
    deviation; as diffusers' pipelines of Lumina 2 and Qwen-Image have it.
    """
    both = away + cfg * (towards - away)
    wanted, actual = (torch.norm(item, dim=-1, keepdim=True) for item in (towards, both))
    guided: Tensor = both * (wanted / actual)
    return guided
