"""Latents: empty ones, masks, noise, single items of a batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from nodegraph import (
    Advanced,
    DiffusionModel,
    InvalidValue,
    Latent,
    Mask,
    MultipleOf,
    Range,
    Seed,
    node,
)

from ._sampling_facts import LATENT_FACTS, check_empty_latent, empty_outputs

Side = Annotated[int, Range(8, 16384, step=8), MultipleOf(8)]


@node(
    category="latent",
    infer=empty_outputs,
    validate=check_empty_latent,
    tags=(
        "EmptyLatentImage",
        "EmptySD3LatentImage",
    ),
)
def EmptyLatent(
    width: Side = 512,
    height: Side = 512,
    batch_size: Annotated[int, Range(1, 4096)] = 1,
    multiple_of: Annotated[int, Range(1, 256), Advanced()] = 1,
) -> Latent:
    """The size of pictures that are to be made from noise alone.

    It takes the shape of a model's latents once that model samples it.

    Args:
        width, height: In pixels.
        batch_size: How many pictures.
        multiple_of: What sides are made multiples of, the next smaller one; for linked sizes.
    """
    width, height = (max(side // multiple_of, 1) * multiple_of for side in (width, height))
    return Latent(None, width, height, batch_size)


@node(
    category="latent",
    facts={"latent": {**LATENT_FACTS, "format": "latent.format"}},
    tags=(
        "soft inpainting",
        "SetLatentNoiseMask",
        "VAEEncodeForInpaint",
        "masked content",
    ),
)
def SetNoiseMask(latent: Latent, mask: Mask) -> Latent:
    """Say which part of a latent sampling may change.

    Args:
        latent: Of a picture.
        mask: 1 is made anew, 0 is kept. It is scaled to the latent's size.
    """
    if mask.ndim != 3 or mask.shape[0] not in (1, latent.batch_size):
        raise InvalidValue(
            "the mask is of another batch than the latent",
            port="mask",
            given=f"shape {tuple(mask.shape)}",
            expected=f"shape (1 or {latent.batch_size}, height, width)",
        )
    if not mask.isfinite().all():
        raise InvalidValue("the mask has NaN or infinity", port="mask")
    return replace(latent, noise_mask=mask)


@node(
    category="latent",
    facts={"latent": {**LATENT_FACTS, "format": "latent.format"}},
    tags=("remove mask", "RemoveNoiseMask"),
)
def ClearNoiseMask(latent: Latent) -> Latent:
    """Let sampling change all of a latent again.

    Args:
        latent: With or without a noise mask.
    """
    left = latent.leftover
    if left is not None and left.original is not None:
        left = replace(left, original=None)
    return replace(latent, noise_mask=None, leftover=left, gradual=0.0)


@node(
    category="latent",
    numerics=True,
    facts={"latent": {**LATENT_FACTS, "format": "latent.format"}},
)
def AddNoise(
    model: DiffusionModel,
    latent: Latent,
    timestep: Annotated[int, Range(0, 9999)] = 500,
    seed: Annotated[int, Seed()] = 0,
) -> Latent:
    """Forward diffusion: a latent with the noise that it has at a training timestep.

    Args:
        model: Whose noise schedule to follow.
        latent: Of a picture.
        timestep: 0 is nearly clean; the last, mostly 999, is nearly noise alone.
        seed: Of the noise of the first item; the next ones count up from it.
    """
    from nodegraph.families.flow_noise import recipe_noise
    from nodegraph.sampling.latent_noise import add_noise

    return add_noise(latent, recipe_noise(model), seed=seed, timestep=timestep)


@node(
    category="latent",
    facts={
        "latent": {
            "width": "latent.width",
            "height": "latent.height",
            "batch": "length",
            "frames": "latent.frames",
            "format": "latent.format",
        }
    },
)
def LatentFromBatch(
    latent: Latent,
    index: Annotated[int, Range(0, 4095)] = 0,
    length: Annotated[int, Range(1, 4096)] = 1,
) -> Latent:
    """Some consecutive items of a batch, with the noise that they have in it.

    Args:
        latent: The batch.
        index: The first one, counted from 0.
        length: How many.
    """
    end = index + length
    if end > latent.batch_size:
        raise InvalidValue(
            "the batch has no such items",
            port="index",
            given=f"items {index} to {end - 1}",
            expected=f"items 0 to {latent.batch_size - 1}",
        )
    samples, mask, left = latent.samples, latent.noise_mask, latent.leftover
    if left is not None and left.original is not None:
        left = replace(left, original=left.original[index:end])
    return replace(
        latent,
        leftover=left,
        samples=None if samples is None else samples[index:end],
        batch_size=length,
        noise_mask=mask if mask is None or mask.shape[0] == 1 else mask[index:end],
        batch_index=latent.noise_indices[index:end],
    )
