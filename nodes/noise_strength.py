"""Strength of the initial noise of a sampling."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from nodegraph import Range, node
from nodegraph.sampling.sampling_parts import SamplingNoise


@node(category="sampling/noise", tags=("ModelNoiseScale", "noise scale", "s_noise", "SampleCustom"))
def ScaleNoise(
    noise: SamplingNoise, strength: Annotated[float, Range(0, 64, step=0.01)] = 1.0
) -> SamplingNoise:
    """Start from stronger or weaker noise than the model was trained on.

    Slightly weaker noise gives calmer, emptier images. Slightly stronger noise gives livelier ones.
    Some pixel-space models are trained on stronger noise and need it here.

    Args:
        noise: Any noise.
        strength: Factor on the initial noise. Noise that is drawn during sampling does not change.
    """
    return replace(noise, strength=noise.strength * strength)
