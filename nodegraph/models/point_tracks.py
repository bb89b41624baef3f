"""Condition image-to-video models of Wan on point tracks (ATI).

Source: Wang et al. 2025, ATI: Any Trajectory Instruction, arXiv:2505.22944; its smearing of
features as in ``motion_patch.py`` of https://github.com/bytedance/ATI, with the times of points as
in ``WanTrackToVideo`` of ComfyUI.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.core.values import Conditioning
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Autoencoder
from nodegraph.families.family_checks import check_follows_tracks
from nodegraph.families.image_conditioning import CONDITION_VIDEO, CONDITION_VIDEO_MASK
from nodegraph.families.registry import get_family
from nodegraph.models.image_to_video import encode_first_frame
from nodegraph.models.vae import latent_format

POINTS = 121
"""Points of a track, at 24 per second. A video of any length is as long as a whole track."""

_EMPTY = 1e-5
"""Added to the number of visible points before a division by it."""

_EXAMPLE = '[[{"x": 100, "y": 80}, {"x": 104, "y": 82}]]'


def parse_tracks(text: str) -> list[list[tuple[float, float]]]:
    """Read tracks of points.

    Args:
        text: JSON: a list of tracks, or one track. A track is a list of points, and a point an
            object with ``x`` and ``y`` in pixels of the video. Single quotes count as double ones.
    Returns:
        Tracks, each with one point or more.
    Raises:
        InvalidValue: It is something else; on port ``tracks``.
    """
    try:
        items = json.loads(text.replace("'", '"') or "[]")
        while _depth(items) > 2 and len(items) == 1:
            [items] = items
        tracks = [items] if _depth(items) == 1 else items
        return [[_point(point) for point in track] for track in tracks if track]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InvalidValue(
            "the tracks of points cannot be read",
            port="tracks",
            given=text if len(text) <= 80 else f"{text[:80]}…",
            expected=f"a list of tracks, such as {_EXAMPLE}",
        ) from error


def _depth(items: Any) -> int:
    """How many lists lie around the first object. Raises TypeError without a list or an object."""
    depth = 0
    while isinstance(items, list):
        depth += 1
        if not items:
            return 2
        items = items[0]
    if depth == 0 or not isinstance(items, dict):
        raise TypeError(items)
    return depth


def _point(point: Any) -> tuple[float, float]:
    x, y = float(point["x"]), float(point["y"])
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError(point)
    return x, y


@torch.no_grad()
def encode_tracks(
    autoencoder: Autoencoder,
    conditioning: Conditioning,
    image: Tensor,
    frames: int,
    tracks: Sequence[Sequence[tuple[float, float]]],
    *,
    temperature: float = 220.0,
    top_k: int = 2,
) -> dict[str, Tensor]:
    """The first image of a video whose points move along tracks, as ATI takes it.

    Args:
        autoencoder: Of the model.
        conditioning: The prompt.
        image: float32 in 0..1, shape (1, height, width, 3), of the video's size.
        frames: Of the video.
        tracks: As of `parse_tracks`. A track of fewer points than `POINTS` ends, one of more is
            cut. Without tracks, the first image alone conditions the video.
        temperature: How narrow the trace of a point is: a cell at a distance d has the weight
            exp(-temperature * d^2), where half of the shorter side is 1.
        top_k: Points that a cell is made of at most: those with the highest weights.
    Returns:
        Tensors for the prompts, by name.
    Raises:
        InvalidValue: The family has no such models, or as of `encode_first_frame`.
        TooLarge, MemoryError, NumericalError: As of `encode_video`.
    """
    check_follows_tracks(get_family(conditioning.family or ""))
    tensors = encode_first_frame(autoencoder, conditioning, image, frames)
    if tracks and frames > 1:
        height, width = image.shape[1:3]
        positions, visible = resampled(tracks, frames, width, height)
        film, mask = smeared(tensors[CONDITION_VIDEO][0], positions, visible, temperature, top_k)
        channels = latent_format(autoencoder).temporal
        tensors[CONDITION_VIDEO] = film[None]
        tensors[CONDITION_VIDEO_MASK] = mask.expand(1, channels, -1, -1, -1)
    return tensors


def resampled(
    tracks: Sequence[Sequence[tuple[float, float]]], frames: int, width: int, height: int
) -> tuple[Tensor, Tensor]:
    """Where the points of tracks are in each frame of a video.

    Args:
        tracks: At least one, in pixels.
        frames: Of the video, 2 or more.
        width, height: Of the video, in pixels.
    Returns:
        Positions from the middle, where half of the shorter side is 1, float32, shape
        (frames, tracks, 2); and 1 where a point is visible, else 0, shape (frames, tracks, 1).
    """
    points = torch.zeros(POINTS, len(tracks), 2)
    visible = torch.zeros(POINTS, len(tracks), 1)
    for index, track in enumerate(tracks):
        known = torch.tensor(list(track[:POINTS]), dtype=torch.float32)
        points[: len(known), index] = known
        visible[: len(known), index] = 1
    middle = torch.tensor([width, height], dtype=torch.float32) / 2
    positions = (points - middle) / min(width, height) * 2
    # The first frame has the first point. The others divide the later points evenly.
    later, count = POINTS - 1, frames - 1
    common = math.gcd(later, count)
    step, repeats = later // common, count // common
    indices = [0, *(1 + min((1 + step * frame) // repeats, later - 1) for frame in range(count))]
    return positions[indices], visible[indices]


def smeared(
    film: Tensor, positions: Tensor, visible: Tensor, temperature: float, top_k: int
) -> tuple[Tensor, Tensor]:
    """Latents of a film in which features of its first frame lie along tracks.

    Args:
        film: Shape (channels, latent frames, height, width), as the model takes it.
        positions, visible: As `resampled` returns them.
        temperature, top_k: As of `encode_tracks`.
    Returns:
        The film, and the weight of tracks in each cell, shape (latent frames, height, width); it is
        1 in the first frame. Where several points meet, it may be above 1.
    """
    _, latent_frames, height, width = film.shape
    positions, visible = positions.to(film.device), visible.to(film.device)
    short = min(height, width)
    reach = torch.tensor([width / short, height / short], device=film.device)
    features = _at_points(film[:, 0], (positions[0] / reach).clamp(-1, 1))
    columns = torch.linspace(-width / short, width / short, width, device=film.device)
    rows = torch.linspace(-height / short, height / short, height, device=film.device)
    cells = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)
    per_frame = (len(positions) - 1) // (latent_frames - 1)
    frames, weights = [film[:, 0]], [torch.ones_like(film[0, 0])]
    # One latent frame at a time: all at once takes memory for each pair of a cell and a point.
    for index in range(1, latent_frames):
        rows_of = slice(1 + (index - 1) * per_frame, 1 + index * per_frame)
        visible_count = visible[rows_of].sum(0)
        mean = (positions[rows_of] * visible[rows_of]).sum(0) / (visible_count + _EMPTY)
        distance = (mean - cells[:, :, None]).pow(2).sum(-1)
        weight = torch.exp(-distance * temperature) * visible_count.clamp(0, 1)[:, 0]
        highest, chosen = torch.topk(weight, min(top_k, weight.shape[-1]), dim=-1)
        feature = (features[chosen] * highest[..., None]).sum(-2).movedim(-1, 0)
        total = highest.sum(-1)
        frames.append(feature + film[:, index] * (1 - total.clamp(0, 1)))
        weights.append(total)
    return torch.stack(frames, 1), torch.stack(weights)


def _at_points(frame: Tensor, positions: Tensor) -> Tensor:
    """Features of a latent frame at positions in -1..1, between cells, shape (points, channels)."""
    grid = positions[None, None].to(frame.dtype)
    features = functional.grid_sample(
        frame[None], grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return features[0, :, 0].T
