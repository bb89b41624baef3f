"""Condition Wan Animate on a character's image, poses, a face and the video around a person."""

from __future__ import annotations

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
_FAMILY = "wan"


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
    family = get_family(conditioning.family or "")
    if family.name != _FAMILY:
        raise InvalidValue(
            f"{family.title} animates no characters",
            port="conditioning",
            given=family.name,
            hint="Load a model of Wan Animate.",
        )
    check_vae(family, autoencoder)
    check_frames(autoencoder, animation.frames, port="frames")
    _check_sizes(animation)
    temporal = latent_format(autoencoder).temporal
    film = torch.cat(
        [_encoded(autoencoder, animation.image), _encoded(autoencoder, _film(animation))], 2
    )
    cells = film.shape[-2], film.shape[-1]
    shown = _by_cell(_kept(animation, cells), temporal)
    pose = _part(animation.pose, animation)
    face = _part(animation.face, animation) * 2 - 1
    return {
        CONDITION_VIDEO: film,
        CONDITION_VIDEO_MASK: torch.cat([torch.ones(1, temporal, 1, *cells), shown], 2),
        POSE_LATENTS: _encoded(autoencoder, pose),
        FACE_VIDEO: face.movedim(-1, 0)[None].contiguous(),
    }


def _film(animation: Animation) -> Tensor:
    """The frames that the model sees beside the noise."""
    frames, size = animation.frames, animation.image.shape[1:]
    if animation.background is None:
        film = torch.full((frames, *size), _GRAY)
    else:
        film = _part(animation.background, animation)
    if animation.previous is None:
        return film
    last = animation.previous[-animation.overlap :]
    return torch.cat([last, film[len(last) :]])


def _kept(animation: Animation, cells: tuple[int, int]) -> Tensor:
    """1 where the model keeps what it sees, shape (frames, height, width) in latent cells."""
    if animation.masks is None:
        kept = torch.zeros(animation.frames, *cells)
    else:
        masks = 1 - _part(animation.masks, animation)
        kept = functional.interpolate(masks[:, None], size=cells, mode="nearest")[:, 0]
    if animation.previous is not None:
        kept[: animation.overlap] = 1
    return kept


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
    image, previous = animation.image, animation.previous
    if len(image) != 1:
        raise InvalidValue(
            "the character is one image",
            port="image",
            given=f"{len(image)} images",
            expected="1",
        )
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
        "previous": previous,
    }
    size = image.shape[1:3]
    for port, video in videos.items():
        if video is not None and video.shape[1:3] != size:
            raise InvalidValue(
                "the videos must have the size of the character's image",
                port=port,
                given=f"{video.shape[2]} x {video.shape[1]} pixels",
                expected=f"{size[1]} x {size[0]} pixels",
                hint=f"Put a {'ResizeMask' if port == 'mask' else 'ResizeImage'} before this node.",
            )
    if previous is not None and not animation.overlap <= min(len(previous), animation.frames - 1):
        raise InvalidValue(
            "a segment begins with the last frames of the one before, and is longer",
            port="overlap",
            given=f"{animation.overlap} frames",
            expected=f"at most {min(len(previous), animation.frames - 1)}",
        )


def _encoded(autoencoder: Autoencoder, frames: Tensor) -> Tensor:
    samples = encode_video(autoencoder, frames).samples
    assert samples is not None
    return samples
