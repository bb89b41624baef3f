"""Condition Wan Animate on a character's image, poses, a face and the video around a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.core.values import Conditioning
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Autoencoder
from nodegraph.families.image_conditioning import (
    CONDITION_VIDEO,
    CONDITION_VIDEO_MASK,
    FACE_VIDEO,
    POSE_LATENTS,
)
from nodegraph.families.registry import get_family
from nodegraph.models.image_to_video import check_vae
from nodegraph.models.vae import check_frames, encode_video, latent_format

_GRAY = 0.5
"""Frames that the model generates from nothing: 0 where images are in -1..1."""


@dataclass(frozen=True, slots=True)
class Animation:
    """What Wan Animate generates a segment of a video from, beside the prompt.

    Images are float32 in 0..1. A video that is shorter than the segment runs backwards after its
    end, and forwards again, as in the pipeline.

    Attributes:
        image: The character, shape (1, height, width, 3), of the video's size.
        pose: The video of poses, shape (frames, height, width, 3), of the video's size.
        face: The video of the face, shape (frames, side, side, 3).
        frames: Of the segment.
        start: Frame of the videos that the segment begins at.
        background: The video that the character is put into, as `pose`. None generates a new one.
        masks: White where the character is generated, in 0..1, shape (frames, height, width). Due
            with a background.
        previous: Frames of the segment before, as `pose`. None of the first segment.
        overlap: How many of its last frames the segment begins with.
    """

    image: Tensor
    pose: Tensor
    face: Tensor
    frames: int
    start: int = 0
    background: Tensor | None = None
    masks: Tensor | None = None
    previous: Tensor | None = None
    overlap: int = 1


@torch.no_grad()
def encode_animation(
    autoencoder: Autoencoder, conditioning: Conditioning, animation: Animation
) -> dict[str, Tensor]:
    """What Wan Animate takes of its images and videos.

    Source: Wan Team 2025, arXiv:2509.14055; diffusers' ``WanAnimatePipeline``.

    Args:
        autoencoder: Of the model.
        conditioning: The prompt.
    Returns:
        Tensors for the prompts, by name. The film and its mask begin with the character's image,
        so they have one latent frame more than the segment.
    Raises:
        InvalidValue: The family is another, sizes differ, a video is missing, or the VAE can't
            work on that size or number of frames.
        TooLarge, MemoryError, NumericalError: As of `encode_video`.
    """
    check_family(conditioning, autoencoder, animation.frames, "wan")
    _check_sizes(animation)
    film, masks = None, None
    if animation.background is not None and animation.masks is not None:
        film, masks = _part(animation.background, animation), _part(animation.masks, animation)
    pose = _part(animation.pose, animation)
    face = _part(animation.face, animation) * 2 - 1
    return {
        **encode_film(
            autoencoder,
            animation.image,
            animation.frames,
            film=film,
            masks=masks,
            previous=animation.previous,
            overlap=animation.overlap,
        ),
        POSE_LATENTS: _encoded(autoencoder, pose),
        FACE_VIDEO: face.movedim(-1, 0)[None].contiguous(),
    }


def check_family(
    conditioning: Conditioning, autoencoder: Autoencoder, frames: int, *names: str
) -> None:
    """Refuse prompts of families that animate no characters, and VAEs that can't encode.

    Args:
        names: Of the families that do.
    Raises:
        InvalidValue: On the port of the input.
    """
    family = get_family(conditioning.family or "")
    if family.name not in names:
        raise InvalidValue(
            f"{family.title} animates no characters",
            port="conditioning",
            given=family.name,
            hint="Load a model of Wan Animate.",
        )
    check_vae(family, autoencoder)
    check_frames(autoencoder, frames, port="frames")


def encode_film(
    autoencoder: Autoencoder,
    image: Tensor,
    frames: int,
    *,
    film: Tensor | None = None,
    masks: Tensor | None = None,
    previous: Tensor | None = None,
    overlap: int = 1,
) -> dict[str, Tensor]:
    """What the model sees beside the noise: the character's image, and the frames after it.

    Args:
        image, frames, previous, overlap: As of `Animation`.
        film: The frames of the segment as they are before; None is gray.
        masks: White where they are generated; None generates all.
    Returns:
        The tensors `CONDITION_VIDEO` and `CONDITION_VIDEO_MASK`.
    """
    if film is None:
        film = torch.full((frames, *image.shape[1:]), _GRAY)
    if previous is not None:
        last = previous[-overlap:]
        film = torch.cat([last, film[len(last) :]])
    latents = torch.cat([_encoded(autoencoder, image), _encoded(autoencoder, film)], 2)
    cells = latents.shape[-2], latents.shape[-1]
    if masks is None:
        kept = torch.zeros(frames, *cells)
    else:
        kept = functional.interpolate((1 - masks)[:, None], size=cells, mode="nearest")[:, 0]
    if previous is not None:
        kept[:overlap] = 1
    temporal = latent_format(autoencoder).temporal
    first = torch.ones(1, temporal, 1, *cells)
    return {
        CONDITION_VIDEO: latents,
        CONDITION_VIDEO_MASK: torch.cat([first, _by_cell(kept, temporal)], 2),
    }


def _by_cell(kept: Tensor, temporal: int) -> Tensor:
    """A mask with a channel for each frame of a latent frame, (1, temporal, frames, height, width).

    The first latent frame holds one frame, which counts for all channels.
    """
    frames = torch.cat([kept[:1].expand(temporal, -1, -1), kept[1:]])
    return frames.view(-1, temporal, *kept.shape[1:]).transpose(0, 1)[None]


def _part(video: Tensor, animation: Animation) -> Tensor:
    """The frames of a segment. After its end a video runs backwards, and forwards again."""
    last = len(video) - 1
    indices = torch.arange(animation.start, animation.start + animation.frames)
    if last:
        indices = indices % (2 * last)
        indices = torch.where(indices > last, 2 * last - indices, indices)
    else:
        indices = torch.zeros_like(indices)
    return video[indices].to(torch.float32)


def _check_sizes(animation: Animation) -> None:
    """Refuse images and videos that do not fit together.

    Raises:
        InvalidValue: So it is.
    """
    if (animation.background is None) != (animation.masks is None):
        missing = "background" if animation.background is None else "mask"
        raise InvalidValue(
            "a character replaces a person in a video with masks of the person",
            port=missing,
            given="one of `background` and `mask`",
            expected="both, or none of them",
        )
    videos = {
        "pose": animation.pose,
        "background": animation.background,
        "mask": animation.masks,
    }
    check_segment(animation.image, videos, animation.frames, animation.previous, animation.overlap)


def check_segment(
    image: Tensor,
    videos: Mapping[str, Tensor | None],
    frames: int,
    previous: Tensor | None,
    overlap: int,
) -> None:
    """Refuse images and videos of other sizes than the character's image.

    Args:
        videos: By port.
        image, frames, previous, overlap: As of `Animation`.
    Raises:
        InvalidValue: On the port of the input.
    """
    if len(image) != 1:
        raise InvalidValue(
            "the character is one image",
            port="image",
            given=f"{len(image)} images",
            expected="1",
        )
    size = image.shape[1:3]
    for port, video in {**videos, "previous": previous}.items():
        if video is not None and video.shape[1:3] != size:
            raise InvalidValue(
                "the videos must have the size of the character's image",
                port=port,
                given=f"{video.shape[2]} x {video.shape[1]} pixels",
                expected=f"{size[1]} x {size[0]} pixels",
                hint=f"Put a {'ResizeMask' if port == 'mask' else 'ResizeImage'} before this node.",
            )
    if previous is not None and not overlap <= min(len(previous), frames - 1):
        raise InvalidValue(
            "a segment begins with the last frames of the one before, and is longer",
            port="overlap",
            given=f"{overlap} frames",
            expected=f"at most {min(len(previous), frames - 1)}",
        )


def _encoded(autoencoder: Autoencoder, frames: Tensor) -> Tensor:
    samples = encode_video(autoencoder, frames).samples
    assert samples is not None
    return samples
