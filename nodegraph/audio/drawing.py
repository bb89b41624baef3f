"""Pictures of audio: its waveform."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import Audio

_BACKGROUND = (0.09, 0.10, 0.13)
_LINE = (0.23, 0.25, 0.30)
_WAVE = (0.79, 0.77, 0.42)


def waveform_picture(audio: Audio, width: int = 1024, height: int = 256) -> Tensor:
    """Its waveform: in each column from the least to the greatest sample of that time.

    Channels lie below each other. What is louder than 1 goes to the edge.

    Args:
        width, height: In pixels.
    Returns:
        Image, float32 in 0..1, shape (1, height, width, 3).
    """
    import torch

    picture = torch.tensor(_BACKGROUND).expand(height, width, 3).clone()
    waveform = audio.waveform.float().nan_to_num(0).clamp(-1, 1)
    for row, channel in enumerate(waveform):
        top, bottom = row * height // len(waveform), (row + 1) * height // len(waveform)
        _draw(picture[top:bottom], channel)
    return picture[None]


def _draw(band: Tensor, channel: Tensor) -> None:
    """Draw one channel onto its part of the picture."""
    import torch

    height, width, _ = band.shape
    if not height:
        return
    middle = (height - 1) / 2
    band[round(middle)] = torch.tensor(_LINE)
    if not len(channel):
        return
    low, high = _extremes(channel, width)
    rows = torch.arange(height)[:, None]
    # A line of at least a pixel, also where it is silent.
    is_wave = (rows >= (middle - high * middle - 0.5)) & (rows <= (middle - low * middle + 0.5))
    band[is_wave] = torch.tensor(_WAVE)


def _extremes(channel: Tensor, columns: int) -> tuple[Tensor, Tensor]:
    """The least and the greatest of each column's samples; each has one at least."""
    import torch

    edges = torch.linspace(0, len(channel), columns + 1, dtype=torch.float64).long()
    begins = edges[:-1].clamp(max=len(channel) - 1)
    ends = torch.maximum(edges[1:], begins + 1)
    number = torch.repeat_interleave(torch.arange(columns), ends - begins)
    at = torch.arange(len(number)) - (torch.cumsum(ends - begins, 0) - (ends - begins))[number]
    samples = channel[begins[number] + at]
    low = torch.zeros(columns).scatter_reduce(0, number, samples, "amin", include_self=False)
    high = torch.zeros(columns).scatter_reduce(0, number, samples, "amax", include_self=False)
    return low, high
