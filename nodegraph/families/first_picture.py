"""Prompts that bring the first picture of a video: what families that take such have in common.

`nodegraph.models.image_to_video` makes the tensors. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nodegraph.errors import InvalidValue
from nodegraph.weights.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.families.model_step import SamplingRequest

FIRST_FRAME = "first_frame"
"""Latent of the picture, (1, channels, 1, height, width): the video's first frame as it is."""
CONDITION_VIDEO = "film"
"""Latent of a video that is grey after the picture, (1, channels, frames, height, width)."""
FILM_AND_MASK = "condition"
"""What `film_and_mask` made of a film."""
IMAGE_EMBEDS = "sight"
"""What an image encoder sees in the picture, (1, tokens, width)."""

_HINT = "Put an ImageToVideoConditioning between the prompt and the sampler."


def check_video_size(tensors: Mapping[str, Tensor], request: SamplingRequest) -> None:
    """Refuse a picture or film of another size than the video.

    Raises:
        InvalidValue: On the port of the side.
    """
    for name, first_axis in ((FIRST_FRAME, 3), (CONDITION_VIDEO, 2)):
        tensor = tensors.get(name)
        if tensor is not None and tensor.shape[first_axis:] != tuple(request.shape[first_axis:]):
            raise InvalidValue(
                "the first picture was encoded for a video of another size or length",
                port=request.side,
                given=f"{tuple(tensor.shape[first_axis:])} in latent cells",
                expected=str(tuple(request.shape[first_axis:])),
                hint="Sample the latent that ImageToVideoConditioning gives.",
            )


def missing_image_error(request: SamplingRequest) -> InvalidValue:
    """The refusal of a prompt alone."""
    return InvalidValue(
        "the model makes videos of a first picture, and the conditioning brings none",
        port=request.side,
        hint=_HINT,
    )


def unused_image_error(request: SamplingRequest) -> InvalidValue:
    """The refusal of a picture."""
    return InvalidValue(
        "the model makes videos of prompts alone, and the conditioning brings a picture",
        port=request.side,
        hint="Load the image-to-video model of the kind.",
    )


def with_first_frame(x: Tensor, first: Tensor | None) -> Tensor:
    """Latents (n, channels, frames, height, width) whose first frame is the picture's, if any."""
    return x if first is None else torch.cat([first.to(x.device, x.dtype), x[:, :, 1:]], 2)


def denoise_mask(x: Tensor, first: Tensor | None) -> Tensor:
    """1 for each cell of a video, and 0 in the first frame if that is a picture's; float32,
    (frames, height, width)."""
    mask = torch.ones(x.shape[2:], device=x.device)
    if first is not None:
        mask[0] = 0
    return mask


def mask_and_video(film: Tensor, temporal: int) -> Tensor:
    """A film after its mask, which has a channel for each frame of a latent frame: 1 in the first,
    where the film shows something."""
    shown = torch.zeros(1, temporal, *film.shape[2:])
    shown[:, :, 0] = 1
    return torch.cat([shown, film], 1)
