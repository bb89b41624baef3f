"""Inpainting: masked images for inpaint models, and the part that a noise mask keeps.

The model sees the kept part of the original with the noise that sampling began with, and the kept
part of its prediction is replaced by the original. Where a mask is between 0 and 1, this differs
from resetting that part after each step, as diffusers' pipelines do. Source: ComfyUI's
``KSamplerX0Inpaint`` (``comfy/samplers.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.core.values import Conditioning, ConditioningEntry, Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.base import Family
from nodegraph.families.image_conditioning import (
    INPAINT_MASK,
    KEPT_SOUND,
    MASKED_IMAGE,
    SOUND_MASK,
)
from nodegraph.families.model_step import SoundLayout
from nodegraph.families.registry import get_family
from nodegraph.sampling.samplers import Sampler


@dataclass(frozen=True, slots=True)
class KeptPart:
    """The kept part of an image.

    Attributes:
        mask: 1 is denoised, 0 is kept; (1 or batch, 1, height, width) in cells, with a 1 for the
            frames of videos.
        original: The latent of the image.
        noise: That sampling began with.
    """

    mask: Tensor
    original: Tensor
    noise: Tensor

    def with_original(self, sampler: Sampler) -> Tensor:
        """What a sampler would ask the model about, with the kept part in it; as it keeps it."""
        x, (space, step_index) = sampler.evaluation_x(), sampler.evaluation_point
        return self.mask * x + (1 - self.mask) * space.add_noise(
            self.original, self.noise, step_index
        )

    def blend_output(self, sampler: Sampler, output: Tensor, shown: Tensor) -> Tensor:
        """The output that tells a sampler of the prediction with the kept part in it.

        Args:
            output: The model's, about what was `shown`.
        """
        space, step_index = sampler.evaluation_point
        predicted = space.to_denoised(output, shown, step_index)
        wanted = self.mask * predicted + (1 - self.mask) * self.original
        return self._output_for(sampler, wanted).to(output.dtype)

    def unguided(self, sampler: Sampler, output: Tensor, shown: Tensor) -> Tensor:
        """The output that tells a sampler of the prediction as it is: the kept part is put into
        guided ones alone. Arguments are those of `told`."""
        space, step_index = sampler.evaluation_point
        return self._output_for(sampler, space.to_denoised(output, shown, step_index)).to(
            output.dtype
        )

    def _output_for(self, sampler: Sampler, wanted: Tensor) -> Tensor:
        """The output about what a sampler asks that stands for a prediction."""
        x, (space, step_index) = sampler.evaluation_x(), sampler.evaluation_point
        # predictions are straight in the output: of which one does this one come?
        none = space.to_denoised(torch.zeros_like(wanted), x, step_index)
        slope = space.to_denoised(torch.ones(()), torch.zeros(()), step_index)
        return (wanted - none) / slope


_GREY = 0.5
"""Stands for what is masked: 0 where images are in -1..1."""


def masked_picture(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """A mask of 0 and 1, and what an image keeps beside it.

    Args:
        image: In 0..1, shape (1, height, width, 3).
        mask: In 0..1, shape (1, height, width); from a half up it is filled.
    Returns:
        The mask, shape (1, 1, height, width), and the image with gray where it is 1.
    Raises:
        InvalidValue: They are of different sizes, or several.
    """
    if image.shape[0] != 1 or mask.shape != image.shape[:3]:
        raise InvalidValue(
            "the mask and the image must have the same size and number",
            port="mask",
            given=f"shape {tuple(mask.shape)} for an image of {tuple(image.shape)}",
            expected=f"shape {(1, *image.shape[1:3])}",
            hint="Use ResizeMask with the image linked to its `image`.",
        )
    binary_mask = (mask >= 0.5).to(torch.float32)
    return binary_mask[:, None], torch.where(binary_mask[..., None] == 1, _GREY, image)


def fitted_mask(mask: Tensor, image: Tensor) -> Tensor:
    """A mask as large as images: scaled on lines.

    Args:
        mask: In 0..1, shape (1 or batch, height, width).
        image: Shape (batch, height, width, channels).
    Raises:
        InvalidValue: They are of different numbers.
    """
    if mask.ndim != 3 or mask.shape[0] not in (1, image.shape[0]):
        raise InvalidValue(
            "the number of masks differs from the number of images",
            port="mask",
            given=f"shape {tuple(mask.shape)}",
            expected=f"shape (1 or {image.shape[0]}, height, width)",
        )
    size = image.shape[1:3]
    if mask.shape[1:] == size:
        return mask
    return functional.interpolate(mask[:, None], size=size, mode="bilinear")[:, 0]


def hard_mask(mask: Tensor, image: Tensor) -> Tensor:
    """A mask of 0 and 1, as large as images: 1 above a half.

    Args, Raises:
        As of `fitted_mask`.
    """
    return (fitted_mask(mask, image) > 0.5).to(torch.float32)


def greyed(image: Tensor, mask: Tensor) -> Tensor:
    """Images with gray where a mask is 1.

    Args:
        mask: As `hard_mask` gives it.
    """
    return torch.where(mask[..., None] == 1, _GREY, image)


def grown_by_square(mask: Tensor, side: int) -> Tensor:
    """A mask that is 1 wherever a square around the pixel meets it.

    A square of an even side reaches a pixel further to the left and upwards, so that a mask grows
    a pixel further to the right and downwards.

    Args:
        mask: Of 0 and 1, shape (batch, height, width).
        side: In pixels; 0 and 1 leave the mask as it is.
    Source: ComfyUI `VAEEncodeForInpaint` (``nodes.py``), whose `grow_mask_by` is a kernel's side.
    """
    if side <= 1:
        return mask
    before = side // 2
    after = side - 1 - before
    padded = functional.pad(mask[:, None], (before, after, before, after))
    return functional.max_pool2d(padded, side, stride=1)[:, 0]


def with_masked_latent(
    conditioning: Conditioning, kept_latent: Tensor, mask: Tensor
) -> Conditioning:
    """Prompts that bring a masked image.

    Args:
        kept_latent: Latent of what the image keeps, shape (1, channels, height, width) in cells.
        mask: As `masked_picture` gave it.
    """
    family = get_family(conditioning.family or "")
    return with_tensors(
        conditioning, {MASKED_IMAGE: kept_latent, INPAINT_MASK: family.inpaint_mask(mask)}
    )


def noise_mask_tensors(
    family: Family, latent: Latent, picture: Tensor, sound: SoundLayout | None = None
) -> dict[str, Tensor]:
    """What a latent's noise mask says of its image, for models that fill masked ones, and what the
    mask of its sound says, for models that see kept sound without noise; else empty.

    Unlike `InpaintConditioning` it doesn't cover what is masked: what lies there the model sees.

    Args:
        picture: That the mask keeps a part of, shape (n, channels, height, width) in cells.
        sound: Where the sound lies in it.
    """
    if sound is not None and latent.sound_mask is not None:
        return {KEPT_SOUND: sound.split(picture)[1], SOUND_MASK: latent.sound_mask}
    if latent.noise_mask is None or latent.samples is None or picture.ndim != 4:
        return {}
    mask = (latent.noise_mask[:, None] >= 0.5).to(torch.float32)
    mask = functional.interpolate(mask, size=(latent.height, latent.width))
    return {MASKED_IMAGE: picture, INPAINT_MASK: family.inpaint_mask(mask)}


def with_tensors(conditioning: Conditioning, tensors: Mapping[str, Tensor]) -> Conditioning:
    """Prompts that all bring some tensors, the empty one as well."""

    def shown(entry: ConditioningEntry) -> ConditioningEntry:
        return replace(entry, tensors={**entry.tensors, **tensors})

    empty = conditioning.unconditional
    return replace(
        conditioning,
        entries=tuple(map(shown, conditioning.entries)),
        unconditional=None if empty is None else shown(empty),
    )
