"""The rays of a camera's pixels as Plücker coordinates, per latent frame. Imports no torch.

Source: He et al. 2024, CameraCtrl, arXiv:2404.02101, section 3.2; arranged as in
``wan_camera_adapter.py`` of https://github.com/aigc-apps/VideoX-Fun.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodegraph.weights.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

COORDINATES = 6
"""Of a ray: its moment and its direction."""

POSE_NUMBERS = 18
"""Of a frame: the rotation from the camera to the world, row by row, with the position behind each
row; then the focal lengths and the center in pixels, x and y each; and the width and the height of
the frame in pixels."""


def rays(poses: Tensor, downscale: int, dtype: torch.dtype) -> Tensor:
    """Rays of all pixels, with a channel for each pixel of a cell and each frame of a latent frame.

    Args:
        poses: float32, shape (1, `POSE_NUMBERS`, latent frames, frames of one, 1).
        downscale: Pixels along a cell's side.
        dtype: Of the result. It is computed in float32.
    Returns:
        Shape (1, 6 * frames of a latent frame * downscale^2, latent frames, height, width) in
        cells.
    """
    numbers = poses[0, ..., 0].permute(1, 2, 0)
    width, height = (int(side) for side in numbers[0, 0, 16:])
    across = torch.arange(width, dtype=torch.float32) + 0.5
    down = torch.arange(height, dtype=torch.float32) + 0.5
    latent_frames = []
    for group in numbers:
        # One latent frame at a time: float32 numbers of a whole video take twice its memory.
        frames = [_rays_of(frame, across, down) for frame in group]
        # Each coordinate has the frames of a latent frame one after the other.
        stacked = torch.stack(frames, 1).flatten(0, 1)
        cells = torch.nn.functional.pixel_unshuffle(stacked, downscale)
        latent_frames.append(cells.to(dtype))
    return torch.stack(latent_frames, 1)[None]


def _rays_of(pose: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Rays of a frame, shape (6, height, width)."""
    matrix = pose[:12].view(3, 4)
    rotation, position = matrix[:, :3], matrix[:, 3]
    focal_x, focal_y, center_x, center_y = pose[12:16]
    x = ((across - center_x) / focal_x).expand(len(down), -1)
    y = ((down - center_y) / focal_y)[:, None].expand(-1, len(across))
    local = torch.stack([x, y, torch.ones_like(x)], -1)
    directions = (local / local.norm(dim=-1, keepdim=True)) @ rotation.T
    moments = torch.cross(position.expand_as(directions), directions, dim=-1)
    return torch.cat([moments, directions], -1).movedim(-1, 0)
