"""Noise masks of latents."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from nodegraph import Latent, Range, node

from ._latent_facts import KEPT


@node(
    category="latent",
    facts={"latent": KEPT},
    tags=("DifferentialDiffusion", "differential diffusion", "soft inpainting", "change map"),
)
def GradualMask(latent: Latent, strength: Annotated[float, Range(0, 1, step=0.01)] = 1.0) -> Latent:
    """Make gray parts of a noise mask change only in later steps (Differential Diffusion).

    Dark gray areas change only in details, white areas change completely. Without this node, gray
    blends old and new content at each step.

    Args:
        latent: A latent with a noise mask, from SetNoiseMask or InpaintConditioning. One without a
            mask stays as it is.
        strength: 0 blends as without this node. 1 does not blend at all.
    """
    return latent if latent.noise_mask is None else replace(latent, gradual=strength)
