"""Pictures of audio: its frequencies over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import Audio
    from nodegraph.media.audio.mel import MelFormat

_SECONDS = 0.064
"""Of a window; even long audio gets a few windows for each column."""
_LOWEST = 30.0
_COLOURS = (
    (0.09, 0.10, 0.13),
    (0.24, 0.17, 0.42),
    (0.64, 0.22, 0.45),
    (0.93, 0.52, 0.30),
    (0.99, 0.95, 0.73),
)
"""From silence to the loudest."""


def spectrogram_image(
    audio: Audio, width: int = 1024, height: int = 256, decibels: float = 60.0
) -> Tensor:
    """Its spectrogram in mel bands: low ones at the bottom, time from left to right.

    Channels lie below each other. Colours go by decibels below a full sine.

    Args:
        width, height: In pixels.
        decibels: How far below a full sine silence begins.
    Returns:
        Image, float32 in 0..1, shape (1, height, width, 3).
    """
    import torch

    channels = max(1, len(audio.waveform))
    edges = [row * height // channels for row in range(channels + 1)]
    picture = torch.tensor(_COLOURS[0]).expand(height, width, 3).clone()
    for channel, top, bottom in zip(audio.waveform, edges, edges[1:], strict=False):
        if bottom > top and len(channel):
            loud = _loudness(channel.float().nan_to_num(0), audio.rate, decibels, width)
            picture[top:bottom] = apply_colormap(_scaled(loud, bottom - top, width))
    return picture[None]


def mel_images(mels: Tensor, form: MelFormat, scale: int = 2) -> Tensor:
    """Pictures of spectrograms that a model is at work on.

    Args:
        mels: Shape (batch, frames, bands).
        scale: Pixels of a frame and of a band.
    Returns:
        float32 in 0..1, shape (batch, height, width, 3).
    """
    import math

    import torch

    low = math.log10(form.floor)
    loud = ((mels.float() * form.spread + form.middle - low) / -low).clamp(0, 1)
    upright = loud.transpose(1, 2).flip(1)
    return apply_colormap(torch.repeat_interleave(upright, scale, 1).repeat_interleave(scale, 2))


def apply_colormap(loud: Tensor) -> Tensor:
    """Colours of what is 0, silent, to 1, loud; a last axis of three is added."""
    import torch

    colours = torch.tensor(_COLOURS)
    position = loud.clamp(0, 1) * (len(colours) - 1)
    lower = position.floor().long().clamp(max=len(colours) - 2)
    share = (position - lower)[..., None]
    return colours[lower] * (1 - share) + colours[lower + 1] * share


def _loudness(channel: Tensor, rate: int, decibels: float, width: int) -> Tensor:
    """0 to 1, shape (bands, frames), the highest band first."""
    import torch

    from nodegraph.media.audio.mel import mel_filters

    size = 2 * max(8, round(_SECONDS / 2 * rate))
    hop = max(size // 8, len(channel) // (2 * width), 1)
    padded = torch.nn.functional.pad(channel, (0, max(0, size - len(channel))))
    window = torch.hann_window(size)
    spectrum = torch.stft(padded, size, hop, window=window, return_complex=True).abs() / (size / 4)
    bands = mel_filters(rate, size, 128, min(_LOWEST, rate / 8)) @ spectrum
    level = 20 * bands.clamp_min(1e-9).log10()
    return (1 + level / decibels).clamp(0, 1).flip(0)


def _scaled(loud: Tensor, height: int, width: int) -> Tensor:
    import torch

    size = height, width
    scaled = torch.nn.functional.interpolate(loud[None, None], size, mode="bilinear")
    return scaled[0, 0]
