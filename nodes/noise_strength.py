"""How strong the noise is that a sampling begins with."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from nodegraph import Range, node
from nodegraph.sampling.sampling_parts import SamplingNoise


@node(category="sampling/noise", tags=("ModelNoiseScale", "noise scale", "s_noise", "SampleCustom"))
def ScaleNoise(
    noise: SamplingNoise, strength: Annotated[float, Range(0, 64, step=0.01)] = 1.0
) -> SamplingNoise:
    """Begin with stronger or weaker noise than the model was trained on.

    A little less gives calmer, emptier pictures, a little more livelier ones. Some models, in
    pixels, are trained on stronger noise: those want it here.

    Args:
        noise: Any.
        strength: Times what it was; what is drawn on the way stays as it is.
    """
    return replace(noise, strength=noise.strength * strength)
