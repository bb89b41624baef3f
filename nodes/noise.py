"""Initial noise of a sampling."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from nodegraph import Advanced, Choices, InvalidValue, Latent, Range, Seed, node
from nodegraph.sampling.sampling_parts import DRAWS, SamplingNoise

Draw = Annotated[str, Choices(DRAWS), Advanced()]


@node(category="sampling/noise", tags=("seed", "SampleCustom"))
def RandomNoise(seed: Annotated[int, Seed()] = 0, draw: Draw = "per item") -> SamplingNoise:
    """Random noise from a seed, drawn as in KSampler.

    Args:
        seed: Seed of the noise of the first item. Each following item uses the next seed.
        draw: How noise is drawn. per item: each item has a seed. per batch: one draw from seed for
            the whole batch, and noise during sampling from seed + 1, as in ComfyUI. per batch, one
            seed: the same, with noise during sampling from seed itself, as in older versions of
            ComfyUI.
    """
    return SamplingNoise(seed, draw=draw)


@node(category="sampling/noise", tags=("DisableNoise", "leftover", "SampleCustom"))
def NoNoise(seed: Annotated[int, Seed()] = 0, draw: Draw = "per item") -> SamplingNoise:
    """Add no noise: sampling continues from the latent as it is.

    Use it for a latent with leftover noise.

    Args:
        seed: Seed of the noise that samplers draw during sampling. The seed of the previous
            sampling continues its noise sequence.
        draw: How samplers draw noise during sampling, as for RandomNoise.
    """
    return SamplingNoise(seed, added=False, draw=draw)


@node(category="sampling/noise", tags=("own", "image", "pattern", "SampleCustom"))
def LatentNoise(
    latent: Latent,
    seed: Annotated[int, Seed()] = 0,
    standardize: bool = True,
    draw: Draw = "per item",
) -> SamplingNoise:
    """Use a latent as the initial noise, for example an image encoded by VAEEncode.

    Args:
        latent: A latent of the same size and model as the one to sample. A single item is used for
            the whole batch.
        seed: Seed of the noise that samplers draw during sampling.
        standardize: Whether to shift and scale each item to mean 0 and variance 1, on which models
            are trained. Other noise makes images dull or overexposed.
        draw: How samplers draw noise during sampling, as for RandomNoise.
    """
    samples = latent.samples
    if samples is None:
        raise InvalidValue(
            "an empty latent has no content to use as noise",
            port="latent",
            hint="Link the latent of a VAEEncode or of a sampler.",
        )
    if standardize:
        sides = list(range(1, samples.ndim))
        deviation = samples.std(dim=sides, keepdim=True)
        if (deviation == 0).any():
            raise InvalidValue("a constant latent has no variance to scale", port="latent")
        samples = (samples - samples.mean(dim=sides, keepdim=True)) / deviation
    return SamplingNoise(seed, tensor=samples, draw=draw)


@node(category="sampling/noise", tags=("variation", "subseed", "SampleCustom"))
def MixNoise(
    noise: SamplingNoise,
    seed: Annotated[int, Seed()] = 0,
    share: Annotated[float, Range(0, 1, step=0.01)] = 0.1,
) -> SamplingNoise:
    """Mix noise with other noise. A small share gives variations of an image.

    Args:
        noise: The first noise.
        seed: Seed of the second noise.
        share: Share of the second noise: 0 is only the first, 1 is only the second. The variance
            stays the same.
    """
    if not noise.added or noise.share:
        raise InvalidValue(
            "the input contains no noise" if not noise.added else "the noise is already a mixture",
            port="noise",
            hint="Link a RandomNoise or a LatentNoise.",
        )
    return replace(noise, other_seed=seed, share=share)
