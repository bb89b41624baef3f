"""Images of waveforms and of mel spectrograms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nodegraph.media.audio.audio_files import frame_to_samples, open_audio

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from nodegraph.core.values import Audio

    Numbers = NDArray[np.float32]
    from nodegraph.media.audio.mel import MelFormat

_BACKGROUND = (0.09, 0.10, 0.13)
_LINE = (0.23, 0.25, 0.30)
_WAVE = (0.79, 0.77, 0.42)
_PIECE = 64
"""Samples of which a long file's image knows only the least and the greatest."""
_WHOLE = 1 << 20
"""Samples of a channel up to which a file isn't long."""
MAX_SECONDS = 600
"""Of a file, that are drawn."""


def waveform_image(audio: Audio, width: int = 1024, height: int = 256) -> Tensor:
    """Its waveform: in each column from the least to the greatest sample of that time.

    Channels lie below each other. What is louder than 1 goes to the edge.

    Args:
        width, height: In pixels.
    Returns:
        Image, float32 in 0..1, shape (1, height, width, 3).
    """
    import torch

    waveform = audio.waveform.detach().cpu().float().numpy()
    return torch.from_numpy(waveform_pixels(waveform, width, height)[None])


def waveform_pixels(waveform: Numbers, width: int, height: int) -> Numbers:
    """What `waveform_image` gives, without torch; shape (height, width, 3).

    Args:
        waveform: Shape (channels, samples).
    """
    picture = np.empty((height, width, 3), np.float32)
    picture[:] = _BACKGROUND
    heard = np.nan_to_num(waveform, nan=0.0, posinf=1.0, neginf=-1.0).clip(-1, 1)
    for row, channel in enumerate(heard):
        top, bottom = row * height // len(heard), (row + 1) * height // len(heard)
        _draw(picture[top:bottom], channel)
    return picture


def draw_waveform_of_file(path: Path, width: int, height: int) -> Numbers:
    """The waveform of a file, of its first minutes; held in a small part of its size.

    Returns:
        float32 in 0..1, shape (height, width, 3).
    Raises:
        InvalidFile: It is damaged, or holds no audio.
    """
    pieces: list[Numbers] = []
    with open_audio(path) as file:
        at = 0
        for frame in file.frames():
            samples, before = frame_to_samples(frame), at
            at += frame.samples
            if before <= _WHOLE < at:
                pieces = [_peaks(piece) for piece in pieces]
            pieces.append(samples if at <= _WHOLE else _peaks(samples))
            if at > MAX_SECONDS * file.rate:
                break
        channels = file.channels
    whole = np.concatenate(pieces, 1) if pieces else np.zeros((channels, 0), np.float32)
    return waveform_pixels(whole, width, height)


def _peaks(samples: Numbers) -> Numbers:
    """The least and the greatest of each piece, one after the other; shape (channels, 2 pieces)."""
    if not samples.shape[1]:
        return samples
    begins = np.arange(0, samples.shape[1], _PIECE)
    low = np.minimum.reduceat(samples, begins, axis=1)
    high = np.maximum.reduceat(samples, begins, axis=1)
    both: Numbers = np.stack([low, high], -1).reshape(len(samples), -1)
    return both


def _draw(band: Numbers, channel: Numbers) -> None:
    """Draw one channel onto its part of the image."""
    height, width, _ = band.shape
    if not height:
        return
    middle = (height - 1) / 2
    band[round(middle)] = _LINE
    if not len(channel):
        return
    low, high = _column_peaks(channel, width)
    rows = np.arange(height)[:, None]
    # A line of at least a pixel, also where it is silent.
    is_wave = (rows >= middle - high * middle - 0.5) & (rows <= middle - low * middle + 0.5)
    band[is_wave] = _WAVE


def _column_peaks(channel: Numbers, columns: int) -> tuple[Numbers, Numbers]:
    """The least and the greatest of each column's samples; each has one at least."""
    begins = np.linspace(0, len(channel), columns, endpoint=False).astype(np.int64)
    # Where a column begins with the next one, `reduceat` gives the sample that is there.
    return np.minimum.reduceat(channel, begins), np.maximum.reduceat(channel, begins)


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

    Channels lie below each other. Colors go by decibels below a full sine.

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
    """Images of spectrograms that a model is at work on.

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
    """Colors of what is 0, silent, to 1, loud; a last axis of three is added."""
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
