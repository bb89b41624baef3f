"""Noise that a sampling begins with."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from nodegraph import Advanced, Choices, InvalidValue, Latent, Range, Seed, node
from nodegraph.sampling.sampling_parts import DRAWS, SamplingNoise

Draw = Annotated[str, Choices(DRAWS), Advanced()]


@node(category="sampling/noise", tags=("seed", "SampleCustom"))
def RandomNoise(seed: Annotated[int, Seed()] = 0, draw: Draw = "per item") -> SamplingNoise:
    """Noise by a seed, as KSampler draws it.

    Args:
        seed: Of the noise of the first item; the next ones count up from it.
        draw: Noise for each item from a seed of its own; or for the batch in one draw from seed,
            and what is drawn on the way from seed + 1, as in ComfyUI, or with one seed from that
            itself, as in older versions of it.
    """
    return SamplingNoise(seed, draw=draw)


@node(category="sampling/noise", tags=("DisableNoise", "leftover", "SampleCustom"))
def NoNoise(seed: Annotated[int, Seed()] = 0, draw: Draw = "per item") -> SamplingNoise:
    """No noise: sampling goes on from the latent as it is, such as one with noise left in it.

    Args:
        seed: Of what samplers draw on the way. That of the sampling before goes on with what comes
            after its noise.
        draw: Of what samplers draw on the way, as for RandomNoise.
    """
    return SamplingNoise(seed, added=False, draw=draw)


@node(category="sampling/noise", tags=("own", "image", "pattern", "SampleCustom"))
def LatentNoise(
    latent: Latent,
    seed: Annotated[int, Seed()] = 0,
    standardize: bool = True,
    draw: Draw = "per item",
) -> SamplingNoise:
    """Noise of one's own, made of a latent: of a picture, by VAEEncode.

    Args:
        latent: As large as what is sampled, and of the same model; a single item goes for all.
        seed: Of what samplers draw on the way.
        standardize: Whether each item is shifted and scaled to mean 0 and variance 1, which models
            are trained on; other noise makes dull or glaring pictures.
        draw: Of what samplers draw on the way, as for RandomNoise.
    """
    samples = latent.samples
    if samples is None:
        raise InvalidValue(
            "an empty latent holds nothing to make noise of",
            port="latent",
            hint="Link VAEEncode's, or a sampled one.",
        )
    if standardize:
        sides = list(range(1, samples.ndim))
        deviation = samples.std(dim=sides, keepdim=True)
        if (deviation == 0).any():
            raise InvalidValue("an even latent has no variance to scale", port="latent")
        samples = (samples - samples.mean(dim=sides, keepdim=True)) / deviation
    return SamplingNoise(seed, tensor=samples, draw=draw)


@node(category="sampling/noise", tags=("variation", "subseed", "SampleCustom"))
def MixNoise(
    noise: SamplingNoise,
    seed: Annotated[int, Seed()] = 0,
    share: Annotated[float, Range(0, 1, step=0.01)] = 0.1,
) -> SamplingNoise:
    """Noise with a share of another: a small one varies a picture.

    Args:
        noise: The first.
        seed: Of the other.
        share: Of the other: 0 is the first alone, 1 the other alone; the variance stays as it is.
    """
    if not noise.added or noise.share:
        raise InvalidValue(
            "the noise is none" if not noise.added else "the noise is a mixture already",
            port="noise",
            hint="Link a RandomNoise or a LatentNoise.",
        )
    return replace(noise, other_seed=seed, share=share)
