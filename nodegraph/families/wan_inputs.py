"""What Wan's transformers take beside the noise and the prompt. Imports no torch.

Sources: https://github.com/Wan-Video/Wan2.2; Jiang et al. 2025, arXiv:2503.07598, of VACE;
https://github.com/aigc-apps/VideoX-Fun of Fun control and Fun camera.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodegraph.errors import InvalidValue
from nodegraph.families.camera_rays import rays
from nodegraph.families.image_conditioning import (
    CAMERA_POSES,
    CAMERA_RAYS,
    CONDITION_VIDEO,
    CONDITION_VIDEO_MASK,
    CONTROL_LATENTS,
    FILM_AND_MASK,
    FIRST_FRAME,
    LAST_FRAME,
    REFERENCE_LATENT,
    VACE_CONTEXT,
    VACE_STRENGTH,
    check_camera,
    check_control_latents,
    check_reference,
    denoise_mask,
    mask_and_video,
    missing_image_error,
    unused_image_error,
)
from nodegraph.families.model_step import Batch, SamplingRequest
from nodegraph.families.wan_animate import is_animate
from nodegraph.weights.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.families.base import Config


_TEMPORAL = 4
"""Frames of a latent frame, and channels of a film's mask."""


def wan_video_inputs(config: Config) -> frozenset[str]:
    """Return what a model of Wan takes of `VIDEO_MEDIA`, by its transformer's configuration."""
    taken = {
        "VACE context": "vace_layers" in config,
        "camera path": config.get("camera_channels") is not None,
        "animation": is_animate(config),
        "control video": _has_control(config),
        "first image": config["in_channels"] != config["out_channels"],
    }
    return frozenset(name for name, is_taken in taken.items() if is_taken)


def wan22_5b_video_inputs(config: Config) -> frozenset[str]:
    """The same of Wan 2.2 5B, each model of which takes a first image."""
    return wan_video_inputs(config) | {"first image"}


def _has_control(config: Config) -> bool:
    """Whether a transformer takes a control video beside the noise, and a film or none."""
    channels = int(config["out_channels"])
    return int(config["in_channels"]) - channels in (2 * channels, 2 * channels + _TEMPORAL)


def fit_film(
    fitted: dict[str, Tensor], config: Config, request: SamplingRequest, temporal: int
) -> None:
    """Put the control video and the film of images into one tensor `FILM_AND_MASK`.

    Args:
        fitted: Tensors of a prompt; changed.
        config: The transformer's.
        temporal: Frames of a latent frame.
    Raises:
        InvalidValue: They do not fit the transformer; on the port of the side.
    """
    channels = int(config["out_channels"])
    extra = int(config["in_channels"]) - channels
    control = fitted.pop(CONTROL_LATENTS, None)
    has_control = _has_control(config)
    check_control_latents(control, request, takes_latents=has_control)
    film, mask = fitted.pop(CONDITION_VIDEO, None), fitted.pop(CONDITION_VIDEO_MASK, None)
    has_last = fitted.pop(LAST_FRAME, None) is not None
    if FIRST_FRAME in fitted and not (extra or has_last):
        film = None  # the first frame is enough
    if film is not None and not extra:
        raise unused_image_error(request)
    is_optional = has_control or config.get("camera_channels") is not None
    if film is None and extra and not is_optional:
        raise missing_image_error(request, needs_film=FIRST_FRAME in fitted)
    if not extra:
        return
    extra -= channels if has_control else 0
    if film is None:
        shown = torch.zeros(1, extra, *request.shape[2:])
    elif extra == channels:
        # The first image alone, as models without a mask were trained.
        shown = torch.zeros_like(film)
        shown[:, :, :1] = film[:, :, :1]
    else:
        shown = mask_and_video(film, temporal, has_last=has_last, mask=mask)
    fitted[FILM_AND_MASK] = shown if control is None else torch.cat([control, shown], 1)


def fit_references(
    fitted: dict[str, Tensor],
    config: Config,
    request: SamplingRequest,
    downscale: int,
    dtype: torch.dtype,
) -> None:
    """Check a reference image and a camera, and compute the rays of the latter.

    A model with a reference image gets zeros in its place, if the prompt has none.

    Args:
        fitted: Tensors of a prompt; changed.
        config: The transformer's.
        downscale: Pixels along a latent cell's side.
        dtype: The transformer's.
    Raises:
        InvalidValue: They do not fit the transformer; on the port of the side.
    """
    channels = config.get("reference_channels")
    reference = fitted.pop(REFERENCE_LATENT, None)
    check_reference(reference, request, takes_reference=channels is not None)
    if channels is not None:
        empty = (1, int(channels), 1, *request.shape[3:])
        fitted[REFERENCE_LATENT] = torch.zeros(empty) if reference is None else reference
    poses = fitted.pop(CAMERA_POSES, None)
    size = None
    if poses is not None:
        width, height = (int(side) for side in poses[0, 16:, 0, 0, 0])
        size = (poses.shape[2], height // downscale, width // downscale)
    check_camera(size, request, takes_camera=config.get("camera_channels") is not None)
    if poses is not None:
        fitted[CAMERA_RAYS] = rays(poses, downscale, dtype)


def with_conditions(x: Tensor, batch: Batch) -> Tensor:
    """Latents with what conditions them: behind their channels, and before their frames.

    Args:
        x: Shape (n, channels, frames, height, width).
    """
    parts = [x, *(batch[name] for name in (FILM_AND_MASK, CAMERA_RAYS) if name in batch)]
    hidden = torch.cat(parts, 1) if len(parts) > 1 else x
    if REFERENCE_LATENT not in batch:
        return hidden
    reference = batch[REFERENCE_LATENT]
    first = reference.new_zeros(len(hidden), hidden.shape[1], 1, *hidden.shape[3:])
    first[:, : reference.shape[1]] = reference
    return torch.cat([first.to(hidden.dtype), hidden], 2)


def token_timesteps(x: Tensor, first: Tensor | None, timestep: Tensor, before: int) -> Tensor:
    """A timestep for each token of each item: 0 for those of a first image.

    Args:
        x: As of `with_conditions`.
        before: Frames of tokens before those of the video.
    """
    tokens = denoise_mask(x, first)[:, ::2, ::2]
    tokens = torch.cat([tokens.new_ones(before, *tokens.shape[1:]), tokens])
    return (tokens * timestep).flatten()[None].expand(len(x), -1)


def vace_inputs(config: Config, batch: Batch) -> dict[str, Tensor]:
    """What VACE's transformer takes beside the prompt: the same strength for all its layers."""
    if VACE_CONTEXT not in batch:
        return {}
    strength = batch[VACE_STRENGTH][0].expand(len(config["vace_layers"]))
    return {
        "control_hidden_states": batch[VACE_CONTEXT],
        "control_hidden_states_scale": strength,
    }


def by_image(config: Config, embeddings: Tensor | None) -> Tensor | None:
    """Embeddings as the transformer takes them: between two images in a row for each."""
    if embeddings is None or config.get("pos_embed_seq_len") is None:
        return embeddings
    return embeddings.reshape(-1, embeddings.shape[1] // 2, embeddings.shape[2])


def check_embeddings(
    config: Config, request: SamplingRequest, has_last: bool, *, has_embeddings: bool
) -> None:
    """Refuse a prompt without what a model sees in its images.

    Raises:
        InvalidValue: On the port of the side.
    """
    if not has_embeddings:
        raise InvalidValue(
            "the model needs image embeddings of the first image, too",
            port=request.side,
            hint="Link a LoadImageEncoder to the node that sets the first image, or the text "
            "encoder if it contains the image encoder.",
        )
    if config.get("pos_embed_seq_len") is not None and not has_last:
        raise InvalidValue(
            "the model makes videos between two images, and the conditioning has no last image",
            port=request.side,
            hint="Link the last image to the ImageToVideoConditioning.",
        )
