"""What a sampling is given, found to fit together before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from nodegraph.core.values import Conditioning, Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.base import Family
from nodegraph.families.components import Denoiser
from nodegraph.media.images.room import check_sampling_memory
from nodegraph.sampling.masks import mask_to_cells


def check_values(
    model: Denoiser,
    family: Family,
    prompts: Mapping[str, Conditioning | None],
    latent: Latent,
) -> None:
    """Refuse prompts of another family and latents of another format.

    Args:
        prompts: By port.
    """
    for port, value in prompts.items():
        if value is not None and value.family not in (
            None,
            model.family,
            *family.accepts_prompts_of,
        ):
            raise InvalidValue(
                f"the model is of family {model.family}, the {port} of {value.family}",
                port=port,
                given=value.family,
                expected=model.family,
                hint="Take model and prompts from the same LoadModel.",
            )
    if latent.format not in (None, family.latent.name):
        raise InvalidValue(
            f"the model works on latents of format {family.latent.name}, not {latent.format}",
            port="latent",
            given=latent.format,
            expected=family.latent.name,
            hint="Encode the picture with the VAE of the same LoadModel.",
        )


def latent_shape(model: Denoiser, family: Family, latent: Latent) -> tuple[int, ...]:
    """Batch, channels, height and width in cells, with frames of videos, if they fit."""
    multiple, pixels = family.multiple, family.latent
    pixels.check_size(_sides(latent), family.title)
    if min(latent.width, latent.height) < multiple or (
        latent.width % multiple or latent.height % multiple
    ):
        near = [max(multiple, round(side / multiple) * multiple) for side in _sides(latent)]
        raise InvalidValue(
            f"width and height must be multiples of {multiple} pixels",
            port="latent",
            given=f"{latent.width} x {latent.height}",
            expected=f"such as {near[0]} x {near[1]}",
        )
    _check_frames(family, latent.frames)
    frames = (pixels.latent_frames(latent.frames),) if pixels.temporal else ()
    cells = pixels.cells(latent.height), pixels.cells(latent.width)
    shape = (latent.batch_size, family.channels(model.config), *frames, *cells)
    if latent.samples is not None and tuple(latent.samples.shape) != shape:
        raise InvalidValue(
            "the latent doesn't fit the model, or its size is not what it says",
            port="latent",
            given=f"shape {tuple(latent.samples.shape)}",
            expected=f"shape {shape}",
            hint="Encode the picture with the VAE of the same LoadModel.",
        )
    if latent.batch_size < 1 or len(latent.noise_indices) != latent.batch_size:
        raise InvalidValue(
            "a latent needs at least one item and a batch index for each",
            port="latent",
            given=f"{latent.batch_size} items, {len(latent.noise_indices)} indices",
        )
    return shape


def _check_frames(family: Family, frames: int) -> None:
    if not family.latent.temporal and frames != 1:
        raise InvalidValue(
            f"{family.title} makes pictures, no videos",
            port="latent",
            given=f"{frames} frames",
            expected="a picture's latent",
            hint="Link an EmptyLatent, or load a video model.",
        )
    nearest = family.latent.nearest_frames(frames)
    if frames not in nearest:
        step = family.latent.temporal
        raise InvalidValue(
            f"{family.title} makes videos of {step}k + 1 frames",
            port="latent",
            given=f"{frames} frames",
            expected=" or ".join(map(str, nearest)),
        )


def _sides(latent: Latent) -> tuple[int, int]:
    return latent.width, latent.height


def check_size(model: Denoiser, latent: Latent, shape: tuple[int, ...], *, is_guided: bool) -> None:
    """Refuse what there isn't memory for."""
    device = model.device.type
    pictures = latent.batch_size * math.prod(shape[2:-2])
    check_sampling_memory(_sides(latent), pictures, device, is_guided=is_guided, port="latent")


def check_seed(seed: int, latent: Latent) -> None:
    """Refuse seeds out of range."""
    if min(latent.noise_indices) < 0 or not 0 <= seed < 2**64:
        raise InvalidValue(
            "the seed is out of range", port="seed", given=str(seed), expected="0 to 2**64 - 1"
        )


def mask_in_cells(latent: Latent, shape: tuple[int, ...], *, smooth: bool = False) -> Tensor | None:
    """What is denoised anew: float32 on the CPU, (1 or batch, 1, height, width) in cells, with a
    1 for the frames of videos.

    Args:
        smooth: Interpolate the mask on lines, as ComfyUI does, not by the share of each cell.
    """
    mask = latent.noise_mask
    if mask is None:
        return None
    batch = shape[0]
    if mask.ndim != 3 or mask.shape[0] not in (1, batch):
        raise InvalidValue(
            "the latent's noise mask is of another batch",
            port="latent",
            given=f"shape {tuple(mask.shape)}",
            expected=f"shape (1 or {batch}, height, width)",
        )
    cells = mask_to_cells(mask.to(torch.float32), shape[-2], shape[-1], smooth=smooth)
    return cells if len(shape) == 4 else cells.unsqueeze(2)
