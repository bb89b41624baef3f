"""The packed sequence of MiniMax H3: texts, conditions, sound and video as rows of one attention.

Each row has a position in time, height and width for the rotary embedding. A unit of time is a
latent frame of sound, 1/40 s; the frames of a video and its sound share this axis.

Source: diffusers, ``modular_pipelines/minimax_h3/before_denoise.py``. Keyframes at any frame are
those of ComfyUI's ``comfy/ldm/minimax/model.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from nodegraph.families.image_conditioning import MediaCondition
from nodegraph.weights.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

FRAMES_PER_SECOND = 24
VIDEO, TEXT, SOUND = 0, 1, 2
"""Kinds of rows, by which the transformer modulates them."""

_FRAME_TIME = 5.0 / 3.0
"""Units of time of a frame: 40 latent frames of sound over 24 frames of video per second."""
_FRAMES_PER_LATENT = (1, 4, 4, 4, 4)
"""Frames of a video per latent frame, which repeat."""
_SPAN = 32
"""Side of a square image in units of the position."""


def frames_of_latents(count: int) -> int:
    """Frames of a video of so many latent frames."""
    whole, more = divmod(count, len(_FRAMES_PER_LATENT))
    return whole * sum(_FRAMES_PER_LATENT) + sum(_FRAMES_PER_LATENT[:more])


def duration(condition: MediaCondition) -> float:
    """Units of time that a reference takes before what is generated."""
    video, sound = condition.video, condition.sound
    length = 0.0 if sound is None else float(sound.shape[2])
    if video is None:
        return length
    if video.shape[2] == 1 and sound is None:
        return 1.0
    return max(length, sum(_spans(video.shape[2])))


@dataclass(frozen=True, slots=True)
class PackedRows:
    """Rows of one sequence.

    Attributes:
        positions: float64, shape (rows, 3).
        tags: Kind of each row, int64, shape (rows,).
        video, sound, text: Indices of the rows of a kind, int64; conditions first.
        video_conditions, sound_conditions: Number of those rows that are conditions.
    """

    positions: Tensor
    tags: Tensor
    video: Tensor
    sound: Tensor
    text: Tensor
    video_conditions: int
    sound_conditions: int

    def timesteps(
        self, of_video: float, of_sound: float, of_conditions: float
    ) -> tuple[Tensor, Tensor]:
        """The timesteps of a step, sorted, and of each row the index of its own.

        A text has the timestep of the video. A sound of conditions has no noise.
        """
        rows = torch.full((len(self.tags),), of_video, dtype=torch.float32)
        rows[self.video[: self.video_conditions]] = of_conditions
        rows[self.sound[self.sound_conditions :]] = of_sound
        rows[self.sound[: self.sound_conditions]] = 1.0
        values, indices = torch.unique(rows, sorted=True, return_inverse=True)
        return values, indices


def packed_rows(
    tags: Tensor,
    conditions: Sequence[MediaCondition],
    shape: tuple[int, int, int],
    length: int,
    patch: tuple[int, int],
) -> PackedRows:
    """Lay out a sequence: the text, keyframes, references, the sound and the video.

    Args:
        tags: Kinds of the rows of the text, shape (rows,): an image in it has those of videos.
        conditions: Keyframes before references; references in the order of the text.
        shape: Frames, height and width of the video in latent cells.
        length: Latent frames of its sound.
        patch: Height and width of a token in cells.
    """
    count = len(tags)
    text = torch.zeros(count, 3, dtype=torch.float64)
    text[:, 0] = torch.arange(count, dtype=torch.float64)
    references = [item for item in conditions if item.frame is None]
    start = float(count)
    for reference in references:
        start += duration(reference)
    frames, height, width = shape
    grid, edges = _frame_grid(height, width, patch)

    def parts() -> Iterator[tuple[int, Tensor]]:
        time = float(count)
        for item in conditions:
            at = time if item.frame is None else start + _FRAME_TIME * item.frame
            cells = (grid, edges)
            if item.video is not None and item.frame is None:
                cells = _frame_grid(item.video.shape[3], item.video.shape[4], patch)
            sound = [] if item.sound is None else [_sound_rows(item.sound.shape[2], at, cells[1])]
            video = [] if item.video is None else [_video_rows(item.video.shape[2], at, cells[0])]
            # The sound of a reference stands before its video, that of a keyframe behind it.
            named = [*((SOUND, rows) for rows in sound), *((VIDEO, rows) for rows in video)]
            yield from named if item.frame is None else reversed(named)
            time += duration(item) if item.frame is None else 0.0
        yield SOUND, _sound_rows(length, start, edges)
        yield VIDEO, _video_rows(frames, start, grid)

    segments = list(parts())
    positions = torch.cat([text, *(rows for _, rows in segments)])
    kinds = torch.cat(
        [tags.to(torch.int64), *(torch.full((len(rows),), kind) for kind, rows in segments)]
    )
    behind = torch.arange(count, len(kinds))
    video, sound = (behind[kinds[count:] == kind] for kind in (VIDEO, SOUND))
    own_video, own_sound = len(segments[-1][1]), len(segments[-2][1])
    return PackedRows(
        positions,
        kinds,
        video,
        sound,
        torch.arange(count),
        len(video) - own_video,
        len(sound) - own_sound,
    )


def to_rows(latents: Tensor, patch: tuple[int, int]) -> Tensor:
    """Latents of shape (1, channels, frames, height, width) as rows of patches."""
    _, channels, frames, height, width = latents.shape
    rows, columns = height // patch[0], width // patch[1]
    cut = latents.reshape(channels, frames, rows, patch[0], columns, patch[1])
    return cut.permute(1, 2, 4, 0, 3, 5).reshape(frames * rows * columns, channels * prod(patch))


def from_rows(rows: Tensor, shape: tuple[int, int, int], patch: tuple[int, int]) -> Tensor:
    """What `to_rows` took apart; `shape` has frames, height and width in cells."""
    frames, height, width = shape
    cut = rows.reshape(frames, height // patch[0], width // patch[1], -1, *patch)
    return cut.permute(3, 0, 1, 4, 2, 5).reshape(1, -1, frames, height, width)


def _spans(count: int) -> list[float]:
    """Units of time of each of some latent frames."""
    return [
        _FRAME_TIME * _FRAMES_PER_LATENT[index % len(_FRAMES_PER_LATENT)] for index in range(count)
    ]


def _axis(cells: int, patch: int, root: float) -> Tensor:
    """Positions of patches along a side, in the middle of the unit interval."""
    share = cells / root
    left = (1.0 - share) / 2.0
    # By numpy, as in diffusers: torch computes other last bits.
    spread = np.linspace(left, left + share, cells // patch, endpoint=False) * _SPAN
    return torch.from_numpy(spread).to(torch.float64)


def _frame_grid(
    height: int, width: int, patch: tuple[int, int]
) -> tuple[Tensor, tuple[float, float]]:
    """Heights and widths of the patches of a frame, shape (patches, 2), and the outermost widths,
    where its sound stands."""
    root = float(np.sqrt(height * width))
    rows, columns = _axis(height, patch[0], root), _axis(width, patch[1], root)
    grid = torch.stack([item.reshape(-1) for item in torch.meshgrid(rows, columns, indexing="ij")])
    return grid.T, (float(columns[0]), float(columns[-1]))


def _video_rows(frames: int, start: float, grid: Tensor) -> Tensor:
    spans = torch.tensor(_spans(frames), dtype=torch.float64)
    times = start + torch.cat([torch.zeros(1, dtype=torch.float64), spans[:-1].cumsum(0)])
    rows = torch.empty(frames, len(grid), 3, dtype=torch.float64)
    rows[:, :, 0] = times[:, None]
    rows[:, :, 1:] = grid
    return rows.reshape(-1, 3)


def _sound_rows(length: int, start: float, edges: tuple[float, float]) -> Tensor:
    """Both channels one after the other, at the left and at the right edge."""
    rows = torch.zeros(len(edges), length, 3, dtype=torch.float64)
    rows[:, :, 0] = start + torch.arange(length, dtype=torch.float64)
    rows[:, :, 2] = torch.tensor(edges, dtype=torch.float64)[:, None]
    return rows.reshape(-1, 3)
