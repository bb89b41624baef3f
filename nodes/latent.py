"""Latents: empty ones, noise masks, noise, and items of a batch."""

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

from ._sampling_facts import LATENT_FACTS, check_empty_latent, empty_layers, empty_outputs

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
    any_size: Annotated[bool, Advanced()] = False,
) -> Latent:
    """Empty latent: the size of the images to generate from noise alone.

    It takes the latent format of the model that samples it.

    Args:
        width, height: Size of the image, in pixels.
        batch_size: Number of images.
        multiple_of: Round width and height down to a multiple of this, for example when they are
            linked.
        any_size: Also take sizes that the model cannot split into whole patches. The sampler then
            samples the next larger size and crops the latent. If off, such a size is an error.
    """
    width, height = (max(side // multiple_of, 1) * multiple_of for side in (width, height))
    return Latent(None, width, height, batch_size, any_size=any_size)


@node(
    category="latent",
    label="Empty latent with layers",
    infer=empty_layers,
    validate=check_empty_latent,
    tags=(
        *("EmptyQwenImageLayeredLatentImage", "Qwen-Image-Layered", "RGBA", "decompose"),
        *("split image", "transparent"),
    ),
)
def EmptyLayeredLatent(
    width: Annotated[int, Range(16, 16384, step=16), MultipleOf(16)] = 640,
    height: Annotated[int, Range(16, 16384, step=16), MultipleOf(16)] = 640,
    layers: Annotated[int, Range(1, 64)] = 4,
    batch_size: Annotated[int, Range(1, 4096)] = 1,
    multiple_of: Annotated[int, Range(1, 256), Advanced()] = 1,
) -> Latent:
    """Empty latent of a layered image, for Qwen-Image-Layered.

    The model also generates the whole image, as the first latent frame. To get the layers, remove
    it with CutLatentFrames (start 1), split the others with LatentFramesToBatch, and decode them
    with VAEDecode.

    Args:
        width, height: Size of the image, in pixels. The model was trained on about 640 x 640 and
            1024 x 1024.
        layers: Number of layers.
        batch_size: Number of layered images.
        multiple_of: Round width and height down to a multiple of this, for example when they are
            linked.
    """
    width, height = (max(side // multiple_of, 1) * multiple_of for side in (width, height))
    return Latent(None, width, height, batch_size, frames=layers + 1)


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
    """Set the part of a latent that sampling changes (inpainting).

    Args:
        latent: The latent of an image, or a latent of sound for CombineSoundLatent.
        mask: 1 is generated anew, 0 is kept. The mask is scaled to the size of the latent. For
            sound, its rows from top to bottom are the time.
    """
    if mask.ndim != 3 or mask.shape[0] not in (1, latent.batch_size):
        raise InvalidValue(
            "the batch sizes of mask and latent differ",
            port="mask",
            given=f"shape {tuple(mask.shape)}",
            expected=f"shape (1 or {latent.batch_size}, height, width)",
        )
    if not mask.isfinite().all():
        raise InvalidValue("the mask contains NaN or infinity", port="mask")
    from nodegraph.sampling.latents.combination import with_noise_mask

    return with_noise_mask(latent, mask)


@node(
    category="latent",
    facts={"latent": {**LATENT_FACTS, "format": "latent.format"}},
    tags=("remove mask", "RemoveNoiseMask"),
)
def ClearNoiseMask(latent: Latent) -> Latent:
    """Remove the noise mask of a latent, so that sampling changes all of it.

    Args:
        latent: A latent with or without a noise mask.
    """
    left = latent.leftover
    if left is not None and left.original is not None:
        left = replace(left, original=None)
    return replace(latent, noise_mask=None, leftover=left, gradual=0.0, sound_mask=None)


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
    """Add noise of a training timestep to a latent (forward diffusion).

    Args:
        model: The model whose noise schedule is used.
        latent: The latent of an image.
        timestep: 0 is nearly clean. The last timestep, usually 999, is nearly pure noise.
        seed: Seed of the noise of the first item. Each following item uses the next seed.
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
    """Take consecutive items from a batch of latents.

    The items keep their noise seeds and leftover noise.

    Args:
        latent: The batch.
        index: Index of the first item, starting at 0.
        length: Number of items.
    """
    end = index + length
    if end > latent.batch_size:
        raise InvalidValue(
            "the batch does not have these items",
            port="index",
            given=f"items {index} to {end - 1}",
            expected=f"items 0 to {latent.batch_size - 1}",
        )
    from nodegraph.sampling.latents.combination import take_items

    return take_items(latent, index, length)
