"""How masks of latents count."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from nodegraph import InvalidValue, Latent, Range, node

from ._latent_facts import KEPT


@node(
    category="latent",
    facts={"latent": KEPT},
    tags=("DifferentialDiffusion", "differential diffusion", "soft inpainting", "change map"),
)
def GradualMask(latent: Latent, strength: Annotated[float, Range(0, 1, step=0.01)] = 1.0) -> Latent:
    """Let a mask say how much is changed: gray parts begin to change in later steps.

    So details change where the mask is dark gray, and everything where it is white: Differential
    Diffusion. Without it, gray mixes the old and the new at each step.

    Args:
        latent: With a noise mask, such as SetNoiseMask's or InpaintConditioning's.
        strength: 0 mixes as without this node, 1 doesn't mix at all.
    """
    if latent.noise_mask is None:
        raise InvalidValue(
            "the latent has no noise mask", port="latent", hint="Put a SetNoiseMask before."
        )
    return replace(latent, gradual=strength)
