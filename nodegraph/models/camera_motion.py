"""Motions of a camera, for the Fun camera models of Wan.

Source: ``predict_*_camera.py`` and ``comfyui_nodes.py`` of
https://github.com/aigc-apps/VideoX-Fun; He et al. 2024, CameraCtrl, arXiv:2404.02101.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from nodegraph.core.values import Conditioning
from nodegraph.errors import InvalidValue
from nodegraph.families.camera_rays import POSE_NUMBERS
from nodegraph.families.components import Autoencoder
from nodegraph.families.family_checks import check_follows_camera
from nodegraph.families.image_conditioning import CAMERA_POSES
from nodegraph.families.registry import get_family
from nodegraph.models.camera_path import CameraPath
from nodegraph.models.image_to_video import encode_first_frame
from nodegraph.models.vae import check_frames, latent_format

_DIRECTIONS: Mapping[str, tuple[float, float, float]] = {
    "pan up": (0.0, -1.0, 0.0),
    "pan down": (0.0, 1.0, 0.0),
    "pan left": (-1.0, 0.0, 0.0),
    "pan right": (1.0, 0.0, 0.0),
    "zoom in": (0.0, 0.0, 2.0),
    "zoom out": (0.0, 0.0, -2.0),
}
_TURNS: Mapping[str, float] = {"counterclockwise": -1.0, "clockwise": 1.0}
_DISTANCE = 1.5
"""That a camera moves in a whole video, at speed 1."""
_ANGLE = math.pi / 3
"""That a camera turns in a whole video, at speed 1."""
_POSE_ASPECT = 1280 / 720
"""Of the frames that focal lengths are a part of."""


def camera_poses(path: CameraPath) -> Tensor:
    """Where the camera is in each frame, and what it sees.

    Returns:
        float32, shape (frames, `camera_rays.POSE_NUMBERS`).
    """
    focal_x, focal_y = path.focal_x, path.focal_y
    if path.width / path.height < _POSE_ASPECT:
        focal_x *= path.height * _POSE_ASPECT / path.width
    else:
        focal_y *= path.width / _POSE_ASPECT / path.height
    optics = [
        *(focal_x * path.width, focal_y * path.height),
        *(path.center_x * path.width, path.center_y * path.height),
        *(float(path.width), float(path.height)),
    ]
    direction = _DIRECTIONS.get(path.motion, (0.0, 0.0, 0.0))
    turn = _TURNS.get(path.motion, 0.0)
    rows = []
    for frame in range(path.frames):
        share = frame / path.frames * path.speed
        angle, reach = share * _ANGLE * turn, share * _DISTANCE
        x, y, z = (reach * part for part in direction)
        sine, cosine = math.sin(angle), math.cos(angle)
        matrix = (cosine, -sine, 0.0, x, sine, cosine, 0.0, y, 0.0, 0.0, 1.0, z)
        rows.append([*matrix, *optics])
    return torch.tensor(rows, dtype=torch.float64).float()


@torch.no_grad()
def encode_camera(
    autoencoder: Autoencoder,
    conditioning: Conditioning,
    path: CameraPath,
    image: Tensor | None = None,
) -> dict[str, Tensor]:
    """A camera's path, and the first image, as the Fun camera models take them.

    Args:
        autoencoder: Of the model.
        conditioning: The prompt.
        image: The first image, float32 in 0..1, shape (1, height, width, 3), of the path's size.
    Returns:
        Tensors for the prompts, by name.
    Raises:
        InvalidValue: The family has no such models, sizes differ, or as of `encode_first_frame`.
        TooLarge, MemoryError, NumericalError: As of `encode_video`.
    """
    check_follows_camera(get_family(conditioning.family or ""))
    check_frames(autoencoder, path.frames, port="camera")
    step = latent_format(autoencoder).temporal
    poses = camera_poses(path)
    # The first latent frame holds one frame, which counts for all.
    frames = torch.cat([poses[:1].expand(step - 1, -1), poses])
    grouped = frames.view(-1, step, POSE_NUMBERS)
    tensors = {CAMERA_POSES: grouped.permute(2, 0, 1)[None, ..., None].contiguous()}
    if image is not None:
        if tuple(image.shape[1:3]) != (path.height, path.width):
            raise InvalidValue(
                "the first image must have the size of the camera's path",
                port="image",
                given=f"{image.shape[2]} x {image.shape[1]} pixels",
                expected=f"{path.width} x {path.height} pixels",
                hint="Put a ResizeImage before this node.",
            )
        tensors |= encode_first_frame(autoencoder, conditioning, image, path.frames)
    return tensors
