"""Pictures of audio: its waveform."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nodegraph.media.audio.audio_files import open_audio
from nodegraph.media.audio.ffmpeg import frame_to_samples

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from nodegraph.core.values import Audio

    Numbers = NDArray[np.float32]

_BACKGROUND = (0.09, 0.10, 0.13)
_LINE = (0.23, 0.25, 0.30)
_WAVE = (0.79, 0.77, 0.42)
_PIECE = 64
"""Samples of which a long file's picture knows only the least and the greatest."""
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
    """What `waveform_picture` gives, without torch; shape (height, width, 3).

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
    """Draw one channel onto its part of the picture."""
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
