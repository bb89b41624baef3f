"""Small videos, and files of them."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import torch

from nodegraph import Audio, Video
from nodegraph.videos.encoding import VIDEO_SUFFIXES, VideoFormat, encode_video

FORMATS: list[VideoFormat] = ["mp4", "webm", "mkv"]
NTSC = Fraction(24000, 1001)


def moving(frames: int = 5, width: int = 48, height: int = 32) -> torch.Tensor:
    """A gradient over which a wave moves, in steps of 1 / 255."""
    y, x = torch.meshgrid(torch.arange(height) / height, torch.arange(width) / width, indexing="ij")
    waves = [(torch.sin((x + y) * 3 + at) + 1) / 2 for at in range(frames)]
    found = torch.stack([torch.stack([x, y, wave], -1) for wave in waves])
    return (found * 255).round() / 255


def tone(seconds: Fraction, rate: int = 48000, channels: int = 1) -> Audio:
    """A tone on each channel, each twice as high as the one before."""
    times = torch.arange(round(seconds * rate)) / rate
    pitches = [220.0 * 2**channel for channel in range(channels)]
    return Audio(
        torch.stack([torch.sin(2 * math.pi * pitch * times) / 2 for pitch in pitches]), rate
    )


def video(
    frames: int = 5, width: int = 48, height: int = 32, rate: Fraction = NTSC, channels: int = 0
) -> Video:
    """With a tone on each of its channels, if it has some."""
    audio = tone(frames / rate, channels=channels) if channels else None
    return Video(moving(frames, width, height), rate, audio)


def written(folder: Path, made: Video, format: VideoFormat = "mkv", **options: int) -> Path:
    """The video in a file."""
    path = folder / f"video{VIDEO_SUFFIXES[format]}"
    path.write_bytes(encode_video(made, format, **options))
    return path
